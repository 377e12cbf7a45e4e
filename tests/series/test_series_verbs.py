"""``patchkit apply`` and ``patchkit status`` from the outside: output, bad input, kills, races, full disks."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from toy import Run, command, edit, fix_tap, git

from patchkit.project import Project
from patchkit.series import Series

APPLY = ("apply", "--runtime", "toy", "--vllm")
STATUS = ("status", "--runtime", "toy")
Refused = Callable[..., str]


def leftovers(project: Project) -> list[str]:
    """What an apply that did not end well left beside the trees."""
    return sorted(path.name for path in (project.state / "trees" / "toy").glob(".*"))


def test_apply_says_what_it_did(patchkit: Run, place: Path) -> None:
    done = patchkit(*APPLY, "0.20.0")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "toy for vLLM 0.20.0" and "not proven" in lines[1] and "pin" in lines[2]
    assert len(lines) == 9 and lines[-1].startswith("4 of 4 patches") and lines[-1].endswith(str(place))
    head = git(place, "rev-parse", "--short=8", "HEAD")
    assert lines[7].split() == ["✓", "0004", "Fix", "tap", "7", head, "every", "vllm", "needs", "it"]
    assert "nothing to do" in patchkit(*APPLY, "0.20.0").stdout


def test_apply_in_json(patchkit: Run, place: Path) -> None:
    document = json.loads(patchkit(*APPLY, "0.12.0", "--without", "2", "--json").stdout)
    assert (document["runtime"], document["release"], document["fresh"]) == ("toy", "0.12.0", True)
    assert [patch["taken"] for patch in document["patches"]] == [True, False, False, True]
    assert document["patches"][1]["why"] == "left out by --without" and document["patches"][1]["commit"] is None
    assert document["patches"][3]["commit"] == document["head"]
    assert document["path"] == str(place.with_name("0.12.0-without-0002")) and document["warnings"] == []


def test_a_release_that_was_never_proven_is_said_first(patchkit: Run) -> None:
    done = patchkit(*APPLY, "0.21.0")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1] == (
        "? not proven on cpu with vLLM's first model runner: no gate was run; run `patchkit gate --vllm 0.21.0`"
    )


def prove(toy: Path, tree: str, *lines: str) -> None:
    """Write proofs of the toy's pin: ``release: …, runner: …`` and the like, a line each."""
    rest = f'gates: 2, patches: [1], tree: "{tree}", date: "2026-11-26", evidence: gate.json'
    pin = re.search(r"tree: (\w+)", (toy / "runtime.yaml").read_text())
    assert pin
    rows = "".join(f"- {{{line}, {rest}}}\n" for line in lines)
    (toy / "proven.yaml").write_text(f"pin: {pin[1]}\nproofs:\n{rows}")


def test_a_release_that_is_known_not_to_work_ends_with_another_exit_code(patchkit: Run, toy: Path) -> None:
    """Proven and red hold for a device, a model runner and these files alone."""
    tree = json.loads(patchkit(*APPLY, "0.20.0", "--json").stdout)["tree"]
    lines = ("release: 0.20.0, runner: v1, device: cpu", "release: 0.20.0, runner: v2, device: cpu, red: [identity]")
    prove(toy, tree, *lines)
    done = patchkit(*APPLY, "0.20.0")
    assert done.returncode == 0 and done.stdout.splitlines()[1] == (
        "✓ proven on cpu with vLLM's first model runner: 2 of 2 gates green on 2026-11-26 (gate.json)"
    )
    second = patchkit(*APPLY, "0.20.0", "--runner", "v2")
    assert second.returncode == 1 and "known not to work on cpu with vLLM's second model runner" in second.stdout
    assert patchkit(*APPLY, "0.20.0", "--runner", "v2", "--unproven").returncode == 0
    (said,) = json.loads(patchkit(*APPLY, "0.20.0", "--device", "cuda", "--json").stdout)["standing"]
    assert (said["device"], said["runner"], said["state"]) == ("cuda", "v1", "unknown")
    said = patchkit(*APPLY, "0.20.0", "--without", "2").stdout
    assert "the gates were green on other files" in said and "or `patchkit prove` if only comments differ" in said


def test_latest_is_the_newest_that_is_proven(patchkit: Run, toy: Path, refused: Refused) -> None:
    assert "toy is proven on no release yet; name one: `patchkit releases`" in refused(*APPLY, "latest")
    prove(toy, "t", "release: 0.9.2, runner: v1, device: cpu", "release: 0.20.0, runner: v1, device: cpu")
    done = patchkit(*APPLY, "latest")
    assert done.stderr == "latest: vLLM 0.20.0, the newest that toy is proven on\n"
    assert done.stdout.startswith("toy for vLLM 0.20.0\n")


def test_a_patch_outside_the_series_is_warned_of(patchkit: Run, toy: Path) -> None:
    edit(toy / "series", "0004-Fix-tap-7.patch", "#")
    for verb in ((*APPLY, "0.20.0"), STATUS):
        assert "warning: 0004-Fix-tap-7.patch is in" in patchkit(*verb).stderr


def test_status(patchkit: Run, toy: Path, place: Path) -> None:
    assert "no trees yet" in patchkit(*STATUS).stdout
    patchkit(*APPLY, "0.20.0")
    patchkit(*APPLY, "0.10.1.1")
    done = patchkit(*STATUS)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["0002", "Fix", "tap", "6", "2", "silent", ">=0.11.1", "gather_check"] in lines
    assert ["0.20.0", "5", "clean", str(place)] in lines
    assert ["0.10.1.1", "2", "clean", str(place.with_name("0.10.1.1"))] in lines
    fix_tap(place, 3)
    (toy / "upstream" / "toy" / "tap.py").write_text("")
    done = patchkit(*STATUS)
    assert done.returncode == 0 and "edited (toy/tap.py)" in done.stdout and "expected tree" in done.stdout
    document = json.loads(patchkit(*STATUS, "--json").stdout)
    assert "expected tree" in document["edited"] and len(document["series"]) == 4
    assert [tree["changes"] for tree in document["trees"]] == [[], ["toy/tap.py"]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--vllm", "banana"], "`banana` is no vLLM release"),
        (["--vllm", ""], "`` is no vLLM release"),
        (["--vllm", "0.20.0", "--runtime", "nope"], "no runtime `nope`"),
        (["--vllm", "0.20.0", "--runtime", "../toy"], "known: toy"),
        (["--vllm", "0.20.0", "--without", "12"], "there are: 0001-Fix-tap-1, 0002-"),
        (["--vllm", "0.20.0", "--without", "1"], "0003-Fix-tap-10 depends on 0001-Fix-tap-1"),
        (["--vllm", "0.20.0", "--into", "patches"], "is no tree of patchkit's"),
    ],
)
def test_bad_arguments(refused: Refused, arguments: list[str], said: str) -> None:
    assert said in refused("apply", "--runtime", "toy", *arguments)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("runtime.yaml", "name: toy", "name: [toy", "write it as YAML"),
        ("runtime.yaml", "package: toy", "package: 3", "package: Expected `str`"),
        ("runtime.yaml", "start: toy:install\n", "", "missing required field `start`"),
        ("series", "0001-Fix-tap-1.patch", "0001-gone.patch", "lists 0001-gone.patch"),
        ("series", "0002-Fix-tap-6.patch", "0001-Fix-tap-1.patch", "listed twice"),
        ("0002-Fix-tap-6.patch", "Drift: 2", "Drift: two", "0002-Fix-tap-6.patch: Drift"),
        ("0002-Fix-tap-6.patch", "+    return", "    return", "malformed diff"),
    ],
)
def test_bad_files(refused: Refused, toy: Path, file: str, old: str, new: str, said: str) -> None:
    edit(toy / file, old, new)
    assert said in refused(*APPLY, "0.20.0")
    assert said in refused(*STATUS)


def test_garbage_for_a_manifest(refused: Refused, toy: Path) -> None:
    (toy / "runtime.yaml").write_bytes(b"\xff\xfe\x00")
    assert "not a text file in UTF-8" in refused(*APPLY, "0.20.0")


def test_an_edited_upstream(refused: Refused, project: Project, toy: Path) -> None:
    (toy / "upstream" / "toy" / "tap.py").write_text("")
    assert "is not the pinned upstream" in refused(*APPLY, "0.20.0")
    assert leftovers(project) == []


def test_a_patch_that_does_not_apply(refused: Refused, project: Project, toy: Path, place: Path) -> None:
    edit(toy / "0002-Fix-tap-6.patch", "-    return rows[6]", "-    return row[6]")
    assert "0002-Fix-tap-6 does not apply: toy/tap.py:" in refused(*APPLY, "0.20.0")
    assert not place.exists() and leftovers(project) == []


def test_an_edited_tree(patchkit: Run, refused: Refused, place: Path) -> None:
    patchkit(*APPLY, "0.20.0")
    fix_tap(place, 3)
    assert "was edited since it was laid out (toy/tap.py)" in refused(*APPLY, "0.20.0")


def test_without_git(refused: Refused, tmp_path: Path) -> None:
    assert "git is not there; install git" in refused(*APPLY, "0.20.0", PATH=str(tmp_path))


def test_killed_in_mid_apply(patchkit: Run, project: Project, place: Path, toy: Path, tmp_path: Path) -> None:
    """SIGKILL while git works: what was there before stays, and the next run clears the rest away."""
    patchkit(*APPLY, "0.20.0")
    before = git(place, "rev-parse", "HEAD")
    edit(toy / "0004-Fix-tap-7.patch", "+    return rows[7].clone()", "+    return rows[7].copy()")
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "git").write_text(
        f'#!/bin/sh\ncase "$1" in am) echo $$ > {slow}/pid; sleep 60;; esac\nexec {shutil.which("git")} "$@"\n'
    )
    (slow / "git").chmod(0o755)
    environment = os.environ | {"PATH": f"{slow}:{os.environ['PATH']}"}
    victim = subprocess.Popen(command(*APPLY, "0.20.0"), cwd=project.root, env=environment, start_new_session=True)
    deadline = time.monotonic() + 30
    while not ((slow / "pid").exists() and (slow / "pid").read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    try:
        assert git(place, "rev-parse", "HEAD") == before
        assert leftovers(project) != []
        done = patchkit(*APPLY, "0.20.0")
        assert done.returncode == 0 and "4 of 4 patches  →" in done.stdout
        assert git(place, "rev-parse", "HEAD") != before
        assert leftovers(project) == []
    finally:
        os.killpg(victim.pid, signal.SIGKILL)


def test_two_at_once(patchkit: Run, project: Project, place: Path) -> None:
    runs = [
        subprocess.Popen(
            command(*APPLY, release), cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for release in ("0.20.0", "0.20.0", "0.10.1.1", "0.20.0")
    ]
    outputs = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0] * 4, outputs
    assert sum("nothing to do" in text for text, _ in outputs) == 2
    assert git(place, "status", "--porcelain") == "" and leftovers(project) == []


def test_a_file_that_grows_too_large(project: Project, place: Path) -> None:
    """The system refuses the write in mid-copy, as it does on a full disk."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = subprocess.run(command(*APPLY, "0.20.0"), cwd=project.root, preexec_fn=limit, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and "File too large" in done.stderr
    assert not place.exists() and leftovers(project) == []


def mounts_allowed() -> bool:
    script = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/tmp"]
    return shutil.which("unshare") is not None and subprocess.run(script, capture_output=True).returncode == 0


@pytest.mark.skipif(not mounts_allowed(), reason="this system lets nobody mount a small file system of his own")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("size=64k", "No space left on device"),
        ("size=200k", "No space left on device|Out of diskspace"),
        ("ro", "Read-only file system"),
    ],
)
def test_a_full_or_read_only_disk(project: Project, tmp_path: Path, options: str, said: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f'mount -t tmpfs -o {options} none {disk}; "$@"; code=$?; ls -A {disk}; exit $code'
    apply = command(*APPLY, "0.20.0", "--into", str(disk / "tree"))
    unshare = ["unshare", "-rm", "sh", "-c", script, "sh", *apply]
    done = subprocess.run(unshare, cwd=project.root, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done
    assert re.search(said, done.stderr) and done.stderr.startswith("patchkit: cannot lay out")


def test_the_made_up_series_is_whole(toy: Path) -> None:
    assert [patch.drift for patch in Series.load(toy).patches] == [1, 2, 3, 4]
