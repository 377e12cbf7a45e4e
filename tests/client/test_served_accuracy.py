"""``patchkit bench accuracy --url``: through a server, with the journal, and with nothing assumed of the server."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from made_server import MadeServer, serving

import patchkit.client.requests as requests
from patchkit.bench.accuracy_evidence import AccuracyEvidence, read_accuracy, unobserved
from patchkit.cli import main

MANIFEST = """
name: toy
package: toy
upstream: {url: "https://host/toy", commit: "%s"}
developed_on: "0.20.0"
start: toy:install
defaults: {force: 0.5}
"off": {force: 0.0}
counters:
  rows: {must_be: decode_rows, means: decode rows that it found}
  lost: {must_be: zero, means: rows that it lost}
plugin: {releases: ">=0.20", variable: TOY}
served:
  on: {toy: true}
  off: {toy: false}
  settings: {force: toy_force}
  counters: toy_counters
""" % ("c" * 40)


class Ran(NamedTuple):
    code: int
    out: str
    err: str
    evidence: Path

    @property
    def record(self) -> AccuracyEvidence:
        return read_accuracy(self.evidence)


Bench = Callable[..., Ran]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MadeServer]:
    monkeypatch.setattr(requests, "FIRST_PAUSE", 0.01)
    with serving(MadeServer()) as made:
        yield made


@pytest.fixture
def bench(
    server: MadeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Bench:
    """``patchkit bench accuracy --url …`` in a project with a runtime that can be switched per request."""
    manifest = tmp_path / "patches" / "toy" / "runtime.yaml"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(MANIFEST)
    monkeypatch.chdir(tmp_path)

    def run(*words: str, url: str = server.url) -> Ran:
        place = tmp_path / "found.json"
        common = ("--task", "arithmetic-1", "--first", "4", "--n", "3", "--max-tokens", "6", "--retries", "1")
        monkeypatch.setattr(
            "sys.argv", ["patchkit", "bench", "accuracy", "--url", url, "--evidence", str(place), *common, *words]
        )
        with pytest.raises(SystemExit) as done:
            main()
        return Ran(int(done.value.code or 0), *capsys.readouterr(), place)

    return run


def test_the_baseline_alone_needs_no_proof_and_says_what_is_unknown(bench: Bench, server: MadeServer) -> None:
    ran = bench("--modes", "baseline", "--per-minute", "60000")
    assert ran.code == 0, ran.err
    record = ran.record
    assert (record.release, record.device, record.hardware.cpu, record.unproven) == ("0.20.0", "unknown", "", "")
    assert record.runner == "unknown"
    assert record.server is not None
    assert (record.server.url, record.server.model, record.server.version) == (server.url, "made", "0.20.0")
    assert (record.server.requests, record.server.per_minute) == ({"baseline": {"toy": False}}, 60000)
    assert record.cells[0].modes["baseline"][0].tokens == 4 * 3 * 6
    assert "on unknown hardware" in ran.out
    drawn = server.bodies[1:]  # the first asks whether there is a chat template
    assert [body["n"] for body in drawn] == [3] * 4 and all("messages" in body for body in drawn)
    assert all(body["top_k"] == 0 and body["repetition_penalty"] == 1.0 for body in drawn), "no default of the server's"


def test_seeds_are_those_of_a_draw_by_workers(bench: Bench, server: MadeServer) -> None:
    assert bench("--modes", "baseline", "--seed", "5").code == 0
    plan_of = json.loads(next(Path(".patchkit/accuracy").glob("*/draw.json")).read_text())
    assert (plan_of["url"], plan_of["request"], plan_of["seed"]) == (server.url, {"toy": False}, 5)
    with gzip.open("found.samples.jsonl.gz", "rt") as lines:
        samples = [json.loads(line) for line in lines]
    assert [sample["seed"] - samples[0]["seed"] for sample in samples[:3]] == [0, 1, 2]
    assert all(sample["text"] == f"chat {sample['seed']}" for sample in samples)


def test_with_the_runtime_it_is_unproven_and_was_not_observed(bench: Bench, server: MadeServer) -> None:
    refused = bench()
    assert refused.code == 2 and "say --unproven" in refused.err and not server.bodies
    ran = bench("--unproven", "--setting", "force=0.25")
    assert ran.code == 0, ran.err
    assert unobserved(ran.record) == ["toy"]
    assert "The runtime was not observed in toy." in ran.out
    assert "--device unknown" not in ran.evidence.with_suffix(".html").read_text(), "no command that cannot work"
    assert "so the runtime was not observed" in ran.evidence.with_suffix(".html").read_text()
    assert ran.record.runtime.name == "toy" and not ran.record.runtime.pin
    carried = [body["vllm_xargs"] for body in server.bodies]
    assert carried[:5] == [{"toy": False}] * 5 and carried[5:] == [{"toy": True, "toy_force": 0.25}] * 5


def test_with_its_counters_it_is_observed(bench: Bench, server: MadeServer) -> None:
    server.counters = {"rows": 1000, "lost": 2, "mean": 0.5, "finite": True}
    ran = bench("--unproven")
    assert ran.code == 0, ran.err
    assert unobserved(ran.record) == []
    assert ran.record.cells[0].modes["toy"][0].counters == {"rows": 60, "lost": 0, "mean": 0.5, "finite": 1}, "over it"
    assert "not observed" not in ran.out


def test_a_dead_runtime_ends_it_and_nothing_of_its_draw_is_kept(bench: Bench, server: MadeServer) -> None:
    server.counters, server.dead = {"rows": 1000, "lost": 0}, True
    ran = bench("--unproven")
    assert ran.code == 1 and "the runtime was not at work: rows grew by 0 in" in ran.err
    assert not ran.evidence.exists()
    server.dead, asked = False, len(server.bodies)
    assert bench("--unproven").code == 0
    assert len(server.bodies) - asked == 1 + 4, "the baseline is kept, the other draw is drawn again"


def test_a_run_goes_on_where_the_server_left_it(bench: Bench, server: MadeServer) -> None:
    server.dies_after = 3
    ran = bench("--modes", "baseline", "--concurrency", "1")
    assert ran.code == 1 and "the same command goes on from there" in ran.err and not ran.evidence.exists()
    server.dies_after = None
    before = len(server.bodies)
    ran = bench("--modes", "baseline", "--concurrency", "1")
    assert ran.code == 0
    assert len(server.bodies) - before == 1 + 2, "two of four problems were left"
    assert ran.record.cells[0].modes["baseline"][0].sessions == 2


def test_no_more_requests_at_once_than_it_may(bench: Bench, server: MadeServer) -> None:
    server.slow = 0.05
    assert bench("--modes", "baseline", "--concurrency", "2").code == 0
    assert server.most == 2


def test_repeated_requests_are_counted(bench: Bench, server: MadeServer) -> None:
    server.failures = [(429, {}), (503, {})]
    ran = bench("--modes", "baseline", "--concurrency", "1", "--retries", "3")
    assert ran.code == 0 and ran.record.server is not None and ran.record.server.repeated == 2


def test_a_model_without_a_chat_template_is_asked_plainly(bench: Bench, server: MadeServer) -> None:
    server.chat = False
    ran = bench("--modes", "baseline")
    assert ran.code == 0
    assert {body["path"] for body in server.bodies} == {"/v1/completions"}
    assert ran.record.cells[0].modes["baseline"][0].engine == {"prompts": "plain"}


def test_a_server_that_does_not_count_tokens_is_refused(bench: Bench, server: MadeServer) -> None:
    server.token_ids = False
    ran = bench("--modes", "baseline")
    assert ran.code == 1 and "does not return token ids" in ran.err


def test_a_server_that_does_not_say_its_vllm(bench: Bench, server: MadeServer) -> None:
    server.version = None
    refused = bench("--modes", "baseline", "--vllm", "0.20.0")
    assert refused.code == 2 and "does not say which vLLM it runs" in refused.err
    ran = bench("--modes", "baseline")
    assert ran.code == 0 and ran.record.release == "unknown" and "an unknown vLLM" in ran.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--vllm", "0.19.0"), "runs vLLM 0.20.0, and --vllm is 0.19.0"),
        (("--model", "other"), "serves no model other, only made"),
        (("--setting", "preset=x"), "preset cannot be set per request, only force"),
        (("--modes", "baseline,other"), "there is no 'other'"),
        (("--engine", "dtype=bfloat16"), "--engine is for workers"),
        (("--device", "cuda"), "--device is for workers"),
        (("--shards", "2"), "--shards is for workers"),
        (("--timeout", "1e400"), "timeout is inf seconds"),
    ],
)
def test_bad_input_is_one_line(bench: Bench, words: tuple[str, ...], says: str, server: MadeServer) -> None:
    ran = bench("--unproven", *words)
    assert ran.code == 2 and says in ran.err and not server.bodies
    assert ran.err.startswith(("patchkit: ", "Usage"))


def test_limits_of_a_client_mean_nothing_without_a_server(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["patchkit", "bench", "accuracy", "--vllm", "0.20.0", "--model", "m", "--task", "arithmetic-1"]
    for more, says in ((["--per-minute", "3"], "--per-minute is for a server"),):
        monkeypatch.setattr("sys.argv", [*words, *more])
        with pytest.raises(SystemExit) as done:
            main()
        assert done.value.code == 2 and says in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", words[:5])
    with pytest.raises(SystemExit):
        main()
    assert "--task" in capsys.readouterr().err


def test_credentials_of_the_url_are_not_in_the_evidence(bench: Bench, server: MadeServer) -> None:
    ran = bench("--modes", "baseline", url=server.url.replace("//", "//me:secret@"))
    assert ran.code == 0, ran.err
    assert "secret" not in ran.evidence.read_text() and "secret" not in ran.out + ran.err
    assert not any("secret" in path.read_text() for path in Path(".patchkit").rglob("*.json"))


def site(folder: Path, evidence: Path) -> dict[str, Any]:
    return {path.name: path.read_text() for path in folder.glob("*.html")}


def test_it_has_its_place_on_a_site(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = bench("--unproven")
    monkeypatch.setattr("sys.argv", ["patchkit", "report", str(ran.evidence), "--html", str(tmp_path / "site")])
    with pytest.raises(SystemExit) as done:
        main()
    assert not done.value.code
    page = site(tmp_path / "site", ran.evidence)["accuracy.html"]
    assert "on unknown hardware" in page and "another pin or other patches" not in page


def test_a_release_in_which_the_runtime_cannot_be(bench: Bench, server: MadeServer) -> None:
    server.version = "0.19.1"
    ran = bench("--unproven")
    assert ran.code == 2 and "the server has vLLM 0.19.1, and toy is in every process of vLLM >=0.20 only" in ran.err
    assert bench("--modes", "baseline").code == 0


def test_a_runtime_that_no_request_can_choose(bench: Bench, server: MadeServer) -> None:
    manifest = Path("patches/toy/runtime.yaml")
    manifest.write_text(manifest.read_text().partition("plugin:")[0])
    ran = bench("--unproven")
    assert ran.code == 2 and "has no `served`" in ran.err
    assert bench("--modes", "baseline").code == 0 and all("vllm_xargs" not in body for body in server.bodies)
