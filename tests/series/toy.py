"""What the made-up runtime is made of, and helpers of the tests around it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from patchkit.series.patch import Patch
from patchkit.series.trailers import split_message

ENVIRONMENT = os.environ | {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada Löwe",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_AUTHOR_DATE": "2025-01-06T12:00:00+0100",
    "GIT_COMMITTER_NAME": "Ada Löwe",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}
TAP = "".join(f"def tap_{at}(rows):\n    return rows[{at}]\n\n\n" for at in range(12))
FILES = {
    "toy/__init__.py": 'from toy.tap import tap_0\n\n\ndef install():\n    return "toy"\n',
    "toy/tap.py": TAP,
    "toy/tables.py": "TABLE = [\n" + "    0,\n" * 8000 + "]\n",
    "bin/run": "#!/bin/sh\nexec python -m toy\n",
    ".gitattributes": "*.py text eol=crlf\n",
}
MESSAGE = """{subject}

Why it is needed, in a line or two.

Drift: {number} ({kind})
Symbol: vllm.v1.worker.gpu_model_runner.GPUModelRunner.thing_{number}
Applies-To: {applies_to}
Symptom: port hits 0, loss steps 0,
 text still fine
Caught-By: gather_check: row {number} of .* differs
{more}Forwarded: no
"""
# number, kind, applies to, other fields, the tap that it fixes; 2 and 4 are near enough to share context lines
PATCHES = [
    (1, "loud", "vllm >=0.11.0", "", 1),
    (2, "silent", "vllm >=0.11.1", "", 6),
    (3, "loud", "vllm >=0.14.0", "Depends: 0001-Fix-tap-1\n", 10),
    (4, "latent", "vllm", "", 7),
]


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=ENVIRONMENT, check=True, capture_output=True, encoding="utf-8"
    ).stdout.rstrip("\n")


def fix_tap(tree: Path, tap: int) -> None:
    path = tree / "toy" / "tap.py"
    path.write_text(path.read_text().replace(f"return rows[{tap}]\n", f"return rows[{tap}].clone()\n"))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


Run = Callable[..., "subprocess.CompletedProcess[str]"]


def command(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("patchkit")), *arguments]


def prose_of(patch: Patch) -> str:
    """The body of a patch without the fields at its end."""
    lines = patch.body.split("\n")
    return "\n".join(lines[: split_message(lines)]).rstrip("\n")
