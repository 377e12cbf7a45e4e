"""``patchkit`` as the command line runs it, without the third of a second that a process of its own takes to start."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from patchkit.cli import main


def run(*arguments: str, cwd: Path, **variables: str) -> CompletedProcess[str]:
    """Run ``patchkit arguments`` in ``cwd`` with these variables on top of the environment; anything but an exit
    code that comes out of it fails the test."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(cwd)
        for name, value in variables.items():
            patched.setenv(name, value)
        patched.setattr(sys, "argv", ["patchkit", *arguments])
        patched.setattr(sys, "stdout", streams[0])
        patched.setattr(sys, "stderr", streams[1])
        with pytest.raises(SystemExit) as ended:
            main()
    code = ended.value.code
    assert code is None or isinstance(code, int), code  # a text would be printed, and be 1
    printed = [stream.buffer.getvalue().decode() for stream in streams]  # type: ignore[attr-defined]
    return CompletedProcess(["patchkit", *arguments], code or 0, *printed)
