"""`python -m dashboards`: draw every board anew into `grafana/`."""

from __future__ import annotations

import json
from pathlib import Path

from dashboards.boards import BOARDS
from dashboards.drawing import Board, draw

GRAFANA = Path(__file__).parent / "grafana"


def written(board: Board) -> str:
    """The file as Grafana exports it: one form, so that a change shows as that change only."""
    return json.dumps(draw(board), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for board in BOARDS:
        (GRAFANA / f"{board.stem}.json").write_text(written(board), encoding="utf-8")
