"""Parts with a server and a client: how they are declared, when they are run, and that each invariant can go red."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from runs import declare, make_run, make_runtime

from patchkit.errors import PatchkitError
from patchkit.gates.loading import load_scenarios
from patchkit.gates.part_run import Run
from patchkit.gates.scenario import Part, load_scenario, select
from patchkit.gates.verdict import judge_part
from patchkit.gates.worker_client import request_for
from patchkit.project import find_project
from patchkit.series.manifest import Plugin, Served, load_manifest

PROMPTS = {"kind": "random", "count": 1, "tokens": 8}
COUNTED = {"decode_rows": 4, "seen_rows": 4, "hits": 2, "candidates": 40, "lost_rows": 0, "score": 0.5}


def ask(name: str = "a", **fields: Any) -> dict[str, Any]:
    return {"name": name, "prompts": PROMPTS, "n": 2, "max_tokens": 3, **fields}


def client_part(*invariants: Any, client: list[dict[str, Any]] | None = None, **fields: Any) -> Part:
    whole = declare(*(invariants or ("exchanged",)))
    part = {key: value for key, value in whole["parts"][0].items() if key != "calls"}
    return load_scenario(whole | {"parts": [part | {"client": client or [ask()]} | fields]}).parts[0]


def sample(number: int, tokens: tuple[int, ...] = (5, 6, 7), **fields: Any) -> dict[str, Any]:
    return {"prompt": 0, "sample": number, "token_ids": [*tokens], "text": "x", "finish": "length", **fields}


def answered(name: str = "a", **fields: Any) -> dict[str, Any]:
    """A call of two samples of three tokens, answered without a fault."""
    both = [sample(0), sample(1)]
    known = {"name": name, "outputs": both, "expected": both, "health": 200}
    return known | {"before": [dict.fromkeys(COUNTED, 0)], "after": [COUNTED]} | fields


def served(part: Part, *exchanges: dict[str, Any], **result: Any) -> Run:
    return make_run(part, steps=[], passes=[], exchanges=[*exchanges], **result)


def reasons(run: Run) -> list[str]:
    return [broken.reason for broken in judge_part(run)[1]]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"calls": [{"groups": [{"prompts": PROMPTS, "max_tokens": 3}]}]}, "client stands alone"),
        ({"watch": ["timing"]}, "client stands alone"),
        ({"runtime": [{}, {}]}, "client stands alone"),
        ({"client": [ask(), ask()]}, "two calls are named 'a'"),
        ({"client": [ask(leaves_after=2)]}, "only a streamed answer can be left"),
        ({"client": [ask(refused="(")]}, "is no regular expression"),
        ({"client": [ask(n=0)]}, "n must be at least 1"),
        ({"client": [ask(extras={})]}, "unknown field `extras`"),
    ],
)
def test_a_part_that_cannot_be_served_is_one_line(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(PatchkitError) as error:
        client_part(**fields)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_scenario_is_for_the_releases_that_it_names() -> None:
    scenarios = {"made_up": load_scenario(declare("alive") | {"releases": ">=0.23.0"})}
    assert [one.name for one in select(scenarios, release="0.28.0")] == ["made_up"]
    assert select(scenarios, release="0.20.0") == []
    assert len(select(scenarios)) == 1, "without a release it is one of the runtime's gates"
    with pytest.raises(PatchkitError, match=r"made_up is for vLLM >=0.23.0, not 0.20.0"):
        select(scenarios, ["made_up"], "0.20.0")
    with pytest.raises(PatchkitError, match="names no releases"):
        load_scenario(declare("alive") | {"releases": "new"})


def test_only_a_runtime_that_vllm_starts_has_the_gate_of_servers() -> None:
    project = find_project(Path(__file__).parent)
    served = load_scenarios(project, "esamp")["served"]
    assert served.serves and served.releases == load_manifest(project, "esamp").plugin.releases  # type: ignore[union-attr]
    lonely = load_scenario(declare("alive"))
    assert not lonely.serves


def test_the_worker_is_told_how_vllm_starts_the_runtime() -> None:
    part = client_part()
    plugin, served_ = (
        Plugin(">=0.23.0", "MADE_UP", {"--enforce-eager": "<0.28.0"}),
        Served({}, {}, {}, "made_up_counters"),
    )
    request, record = request_for(part, make_runtime(plugin=plugin, served=served_), {}, "0.27.1")
    assert request["plugin"] == {
        "name": "made_up",
        "variable": "MADE_UP",
        "counters": "made_up_counters",
        "arguments": ["--enforce-eager"],
    }
    assert request["part"]["client"][0]["n"] == 2 and not record.unfit


def test_a_faultless_server_is_green() -> None:
    part = client_part("exchanged", "served_same", "served_counts")
    run = served(part, answered())
    verdict, broken = judge_part(run)
    assert broken == []
    assert verdict.figures == {
        "served_samples": 2,
        "refusals": 0,
        "served_tokens": 6,
        "served_rows": 4,
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"health": 503, "error": "it died"}, "a: the server's health is 503 afterwards: it died"),
        ({"outputs": [sample(0)]}, "a: 1 of 2 samples came back"),
        ({"outputs": [sample(0), sample(1, finish=None)]}, "a: sample 1 of prompt 0 has no tokens or no end"),
        ({"error": "no such model", "status": 404}, "a: 404: no such model"),
    ],
)
def test_a_call_that_is_not_answered_is_red(changes: dict[str, Any], said: str) -> None:
    assert reasons(served(client_part("exchanged"), answered(**changes))) == [said]


def test_a_refusal_must_be_a_400_in_the_words_that_were_asked_for() -> None:
    part = client_part("exchanged", client=[ask(refused="strength must be")])
    right = answered(outputs=[], expected=None, status=400, error="strength must be a number")
    assert reasons(served(part, right)) == []
    for wrong in ({"status": 500}, {"error": "no"}, {"status": None, "error": ""}):
        (reason,) = reasons(served(part, right | wrong))
        assert reason.startswith("a: it is not refused with 'strength must be'")


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        (sample(1, (5, 6, 8)), "token 2 is 8, LLM() gives 7"),
        (sample(1, (5, 6)), "2 tokens, LLM() gives 3"),
        (sample(1, finish="stop"), "its text or end (stop) is not LLM()'s (length)"),
        (sample(1, logprobs=[[[5, -1.0]], [[6, -1.0]], [[7, -1.0]]]), "its log-probabilities are not LLM()'s"),
    ],
)
def test_a_token_that_the_server_alone_gives_is_red(ours: dict[str, Any], said: str) -> None:
    run = served(client_part("served_same"), answered(outputs=[sample(0), ours], expected=[sample(0), sample(1)]))
    assert reasons(run) == [f"a: sample 1 of prompt 0: {said}"]


def test_log_probabilities_of_fewer_tokens_are_red() -> None:
    ours, theirs = ([[[5, -1.0]], [[6, -1.0]], last] for last in ([[7, -1.0], [8, -2.0]], [[7, -1.0]]))
    both = {"outputs": [sample(0), sample(1, logprobs=ours)], "expected": [sample(0), sample(1, logprobs=theirs)]}
    run = served(client_part("served_same"), answered(**both))
    assert reasons(run) == ["a: sample 1 of prompt 0: its log-probabilities are not LLM()'s"]


def test_nothing_to_compare_with_is_red() -> None:
    run = served(client_part("served_same"), answered(expected=None))
    assert reasons(run) == ["a: LLM() gave 0 of 2 samples", "no token was compared"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seen_rows": 3}, "a: seen_rows is 3, of 4 decode rows"),
        ({"lost_rows": 1}, "a: lost_rows is 1, not 0"),
        ({"candidates": 0}, "a: candidates is 0, not above 0"),
        ({"hits": 0}, "a: hits is 0, hits is 0"),
    ],
)
def test_a_row_that_the_runtime_missed_is_red(changes: dict[str, Any], said: str) -> None:
    run = served(client_part("served_counts"), answered(after=[COUNTED | changes]))
    assert said in reasons(run)


def test_the_counters_of_a_client_that_is_gone_lie_between_what_it_got_and_what_it_asked() -> None:
    part = client_part("served_counts", client=[ask(stream=True, leaves_after=1, max_tokens=9)])
    for rows, green in ((4, True), (16, True), (3, False), (17, False)):
        counted = COUNTED | {"decode_rows": rows, "seen_rows": rows}
        assert (reasons(served(part, answered(after=[counted]))) == []) is green, rows


def test_counters_that_could_not_be_read_are_red() -> None:
    run = served(client_part("served_counts"), answered(after=[]))
    assert reasons(run) == ["a: the counters could not be read", "no decode row was counted"]


def test_a_dead_runtime_must_be_loud() -> None:
    part = client_part({"unhealthy": {"naming": "hook .* dead"}})
    dead = answered(outputs=[], expected=None, error="engine dead", status=500, health=503, after=[])
    assert reasons(served(part, dead, log=["made_up: hook X is dead"])) == []
    assert reasons(served(part, dead, log=["made_up: well"])) == [
        "no line of the server's log matches 'hook .* dead': made_up: well"
    ]
    assert reasons(served(part, dead | {"health": 200}, log=["hook X is dead"])) == ["the server's health is 200"]
    (first, *_) = reasons(served(part, answered(), log=["hook X is dead"]))
    assert first == "a: 6 tokens came back from a runtime that is dead"
