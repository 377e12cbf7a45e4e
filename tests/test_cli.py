"""The command line in places that do not suit it: no UTF-8, no reader, no room, no folder. One line, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PATCHKIT = str(Path(sys.executable).with_name("patchkit"))
STATUS = [PATCHKIT, "status"]


def test_a_terminal_without_check_marks_gets_their_names() -> None:
    for variables in ({"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        done = subprocess.run(STATUS, env=os.environ | variables, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert "\\u2713 pin " in done.stdout and done.stdout.isascii()


@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["--help"]])
def test_a_full_disk_behind_the_output_is_one_line(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([PATCHKIT, *words], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (2, "patchkit: cannot go on: No space left on device\n")


@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["--help"]])
def test_a_reader_that_has_enough_is_no_news(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as deaf:
        done = subprocess.run([PATCHKIT, *words], stdout=deaf, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"cd {gone} && rmdir {gone} && exec {PATCHKIT} status"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == "patchkit: cannot go on: No such file or directory"
