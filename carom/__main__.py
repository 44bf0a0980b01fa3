"""The console script: runs a command and turns every mistake of its user into one line on stderr.

Exit codes: 0 done; 1 a check failed, or something outside is not as it must be; 2 wrong usage or
settings; 130 interrupted.  A traceback is a fault of Carom.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from typer.exceptions import TyperException

from carom.cli import build
from carom.errors import CaromError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command of these arguments (those of the process unless given); the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        result = build(arguments)(arguments or ["--help"], "carom", standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # carom ... | head
        _let_go_of_output()
        return 1
    except TyperException as error:
        return _refuse(_with_help(error), error.exit_code)
    except CaromError as error:
        return _refuse(str(error), error.exit_code)
    except OSError as error:
        _let_go_of_output()
        return _refuse(_outside(error), 1)
    except _store_trouble() as error:
        return _refuse(f"database: {_with_mend(error)}", 1)
    if not arguments:
        return 2
    return result if isinstance(result, int) else 0


def _refuse(text: str, code: int) -> int:
    sys.stderr.write(f"carom: {' '.join(text.split())}\n")
    return code


def _with_help(error: TyperException) -> str:
    said = error.format_message().replace("Value error, ", "").rstrip(".")
    context = getattr(error, "ctx", None)
    if context is None:
        return said
    return f"{said}{'' if said.endswith('?') else '.'} See {context.command_path} --help."


def _outside(error: OSError) -> str:
    what = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {what}" if error.filename else what


def _with_mend(error: Exception) -> str:
    said = str(error)
    if "onnect call failed" in said:  # asyncio's words; a full disk needs another mend
        said += "; see that it runs, and that [database] url names it"
    return said


def _store_trouble() -> tuple[type[Exception], ...]:
    """`StoreUnavailable`, if a command loaded the store: one that did not cannot raise it."""
    store = sys.modules.get("analysis.store")
    return (store.StoreUnavailable,) if store is not None else ()


def _let_go_of_output() -> None:
    """Where nothing more can be written, keep the interpreter from trying once more at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
