"""Debian's Chromium, driven by Playwright: the browser that people have, not a bundled one."""

from __future__ import annotations

import shutil


def program() -> str | None:
    """Where it is installed, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def missing() -> str | None:
    """Why it cannot run here, or None."""
    if program() is None:
        return "Chromium is not installed: run .ci/servers as root on Debian"
    return None
