"""A copy of this checkout as a stranger would have it, and the commands that its documents show."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]


def fresh_checkout(folder: Path) -> Path:
    """Copy what git knows of this checkout, or would take, into ``folder``."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (CHECKOUT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, folder / name, follow_symlinks=False)
    return folder


def without_set_up(folder: Path) -> Path:
    """Let the copy's ``./go`` run its patchkit with this interpreter, without a ``.venv`` of its own."""
    (folder / "go").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m patchkit "$@"\n')
    return folder


def section(document: str, heading: str) -> str:
    """What stands under a heading of second order."""
    text = (CHECKOUT / document).read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{document} has no section {heading!r}"
    return found[1]


def blocks(text: str, language: str = "") -> list[str]:
    """The code blocks of a language, without their fences."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
