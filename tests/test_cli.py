"""The command line in places that do not suit it: no UTF-8, no reader, no room, no folder. One line, no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from patchkit.cli import commands

CHECKOUT = Path(__file__).resolve().parents[1]
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


def test_the_summary_of_every_verb_is_one_whole_line_at_80_columns() -> None:
    for words in ([], ["bench"]):
        done = subprocess.run(
            [PATCHKIT, *words, "--help"], env=os.environ | {"COLUMNS": "80"}, capture_output=True, text=True
        )
        assert done.returncode == 0
        listed = done.stdout.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
        assert listed and all(len(line) <= 80 and line.endswith(".") and "..." not in line for line in listed)
        group = commands.commands["bench"] if words else commands
        assert [line.split()[0] for line in listed] == sorted(group.commands)


def test_the_options_of_bench_are_in_its_help() -> None:
    bench, throughput = (
        subprocess.run([PATCHKIT, "bench", *words, "--help"], capture_output=True, text=True).stdout
        for words in ((), ("throughput",))
    )
    for option in (
        "--vllm",
        "--runtime",
        "--device",
        "--python",
        "--model",
        "--shapes",
        "--loads",
        "--settings",
        "--evidence",
        "--json",
    ):
        assert option in throughput and option in bench


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_verbs_and_options(shell: str) -> None:
    def ask(instruction: str, **variables: str) -> str:
        environment = os.environ | {"_PATCHKIT_COMPLETE": instruction} | variables
        return subprocess.run([PATCHKIT], env=environment, capture_output=True, text=True, check=True).stdout

    assert "_PATCHKIT_COMPLETE=" in ask(f"{shell}_source")
    typed = {"COMP_WORDS": "patchkit kno", "COMP_CWORD": "kno" if shell == "fish" else "1"}
    assert "knockout" in ask(f"{shell}_complete", **typed)
    typed = {"COMP_WORDS": "patchkit gate --on", "COMP_CWORD": "--on" if shell == "fish" else "2"}
    assert "--only" in ask(f"{shell}_complete", **typed)


def test_patchkits_own_runtime_is_used_outside_a_project_and_that_is_said(tmp_path: Path) -> None:
    done = subprocess.run([*STATUS, "--json"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, json.loads(done.stdout)["runtime"]) == (0, "esamp")
    assert done.stderr == f"patchkit: no runtime at or above {tmp_path}; using {CHECKOUT / 'patches' / 'esamp'}\n"
    (tmp_path / "patches").mkdir()  # of another tool, quilt for one
    assert subprocess.run(STATUS, cwd=tmp_path, capture_output=True, text=True).stderr == done.stderr


def test_nothing_is_said_inside_a_project() -> None:
    assert subprocess.run(STATUS, cwd=CHECKOUT / "docs", capture_output=True, text=True).stderr == ""
