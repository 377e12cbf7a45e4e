"""Every invariant goes red on a doctored run, for the stated reason; missing data is red too."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from doctored import make_part, make_pass, make_run, make_step

from patchkit.gates.events import Error, Exit, Shape, Step
from patchkit.gates.run import Run
from patchkit.gates.scenario import Part
from patchkit.gates.verdict import judge_part

BOTH = {"passes": ["patched", "plain"]}
GOLD = {"watch": ["gold"]}


def reasons(run: Run) -> list[str]:
    return [broken.reason for broken in judge_part(run)[1]]


def steps_with(**changes: Any) -> list[Step]:
    """Eight faultless decode steps, and a ninth that is not."""
    return [*(make_step(number) for number in range(8)), make_step(8, **changes)]


WHERE = ", at step 8 of call 0 (4 requests: 4 decode rows after 4, 0 prefill tokens)"


@pytest.mark.parametrize("name", ["alive", "counts_equal", "gold_rows", "credited", "learning", "moved", "exercised"])
def test_a_faultless_run_is_green_and_one_without_steps_is_red(name: str) -> None:
    rule = {"exercised": {"decode_steps": 20}} if name == "exercised" else name
    part = make_part(rule, **GOLD)
    assert reasons(make_run(part)) == []
    assert reasons(make_run(part, steps=[])), "no steps prove nothing"
    assert reasons(make_run(part, steps=[make_step(0, 0)])), "a prefill alone proves nothing"


def test_finished_tells_an_error_with_step_shape_and_place() -> None:
    run = make_run(make_part())
    shape = Shape(requests=5, decode_rows=5, decode_rows_before=8)
    run.error = Error(
        "r", "IndexError", "index 7 is\nout of bounds", "esamp/taps.py:61 in gather", "patched", 0, 12, shape
    )
    (broken,) = judge_part(run)[1]
    assert broken.reason == (
        "IndexError: index 7 is out of bounds, at step 12 of call 0 "
        "(5 requests: 5 decode rows after 8, 0 prefill tokens), in esamp/taps.py:61 gather"
    )
    assert (broken.step, broken.shape) == (12, shape)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"exit": None}, "the run vanished without an exit, after step 23 of call 0"),
        ({"exit": Exit("r", code=3)}, "the run ended with exit code 3, after"),
        ({"exit": Exit("r", signal=11)}, "the run was killed by SIGSEGV, after"),
        ({"exit": Exit("r", code=0, signal="SIGKILL")}, "the run was killed by SIGKILL, after"),
        ({"result": None}, "the run ended without a result, after"),
        ({"result": None, "steps": []}, "the run ended without a result, before the first step"),
        ({"trouble": "hung: no event for 9 s"}, "hung: no event for 9 s, after"),
        ({"error": Error("r", "ValueError", "")}, "ValueError, before the first step"),
    ],
)
def test_finished_alone_judges_a_run_that_did_not(changes: dict[str, Any], said: str) -> None:
    run = make_run(make_part())
    for name, value in changes.items():
        setattr(run, name, value)
    assert len(reasons(run)) == 1
    assert reasons(run)[0].startswith(said)


def test_finished_wants_passes_in_the_result() -> None:
    assert reasons(make_run(make_part(), passes=[]))[0].startswith("the run ended without a result")


def test_alive_names_the_counters_that_are_dead() -> None:
    steps = [make_step(number, port_hits=0, candidate_tokens=0) for number in range(63)]
    assert reasons(make_run(make_part("alive"), steps)) == ["port hits 0, candidate tokens 0 over 63 decode steps"]
    silent = [make_step(number, runtime=None) for number in range(3)]
    assert "captured rows 0" in reasons(make_run(make_part("alive"), silent, [make_pass()]))[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"captured_rows": 3}, "captured rows 3, the worker counted 4 decode rows"),
        ({"intervened_rows": 5}, "intervened rows 5, the worker counted 4 decode rows"),
        ({"unmapped_rows": 4}, "4 decode rows belong to no request"),
        ({"unmapped_rows": 1}, "1 decode row belongs to no request"),
        ({"distiller_steps": 2}, "2 distiller steps where 1 was due"),
        ({"distiller_steps": 0}, "0 distiller steps where 1 was due"),
        ({"captured_rows": None}, "the runtime does not count captured_rows"),
        ({"runtime": None}, "the runtime counted nothing"),
    ],
)
def test_counts_equal(changes: dict[str, Any], said: str) -> None:
    run = make_run(make_part("counts_equal"), steps_with(**changes))
    assert reasons(run) == [said + WHERE]


def test_counts_equal_on_a_step_without_decode_rows() -> None:
    trained = make_step(1, 0, distiller_steps=1)
    assert reasons(make_run(make_part("counts_equal"), [make_step(0), trained])) == [
        "1 distiller step where 0 was due, at step 1 of call 0 (1 request: 0 decode rows after 0, 9 prefill tokens)"
    ]


def test_counts_equal_compares_the_pass_with_its_steps() -> None:
    part, steps = make_part("counts_equal"), [make_step(number) for number in range(2)]
    totals = {"decode_rows": 8, "captured_rows": 9, "intervened_rows": 8, "distiller_steps": 2, "unmapped_rows": 0}
    assert reasons(make_run(part, steps, [make_pass(counters=totals)])) == [
        "captured rows 9 over the pass, 8 over its steps"
    ]
    assert reasons(make_run(part, steps, [make_pass(counters=None)])) == [
        "decode rows None over the pass, 8 over its steps"
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"mismatched": 2, "first_mismatch": {"row": 3, "tap": "deep", "difference": 0.5}},
            "2 of 4 captured rows not the layer's own (row 3, deep tap by 0.5)",
        ),
        ({"mismatched": 1}, "1 of 4 captured rows not the layer's own"),
        ({"compared": 3}, "3 rows captured, 4 decode rows to capture"),
        ({"compared": 0}, "0 rows captured, 4 decode rows to capture"),
        ({"gold": None}, "nothing to compare the captured rows with"),
    ],
)
def test_gold_rows(changes: dict[str, Any], said: str) -> None:
    assert reasons(make_run(make_part("gold_rows", **GOLD), steps_with(**changes))) == [said + WHERE]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"unmapped_rows": 4}, "4 decode rows belong to no request"),
        (
            {"miscredited": 1, "first_miscredit": {"row": 2, "expected": [1, 0], "found": [0, 0]}},
            "1 row credited to the wrong request (row 2: prompt 0 sample 0, not prompt 1 sample 0)",
        ),
        ({"gold": None}, "no gold to tell whose the rows are"),
    ],
)
def test_credited(changes: dict[str, Any], said: str) -> None:
    assert reasons(make_run(make_part("credited", **GOLD), steps_with(**changes))) == [said + WHERE]


def test_credited_wants_rows() -> None:
    steps = [make_step(number, compared=0) for number in range(3)]
    assert reasons(make_run(make_part("credited", **GOLD), steps)) == [
        "no row was credited to anyone over 3 decode steps"
    ]


def outputs(*token_ids: list[int]) -> list[dict[str, Any]]:
    samples = [{"prompt": prompt, "sample": 0, "token_ids": ids} for prompt, ids in enumerate(token_ids)]
    return [{"outputs": samples}]


@pytest.mark.parametrize(
    ("patched", "said"),
    [
        (outputs([5, 6, 7], [5, 9, 7]), "prompt 1 sample 0 of call 0: token 1 is 9, plain vLLM gives 6"),
        (outputs([5, 6], [5, 6, 7]), "prompt 0 sample 0 of call 0: 2 tokens, plain vLLM gives 3"),
        (outputs([5, 6, 7]), "prompt 1 sample 0 of call 0 is missing from the patched pass"),
        (outputs([5, 6, 7], [5, 6, 7], [5]), "prompt 2 sample 0 of call 0 is missing from the plain pass"),
    ],
)
def test_same_tokens(patched: list[dict[str, Any]], said: str) -> None:
    part = make_part("same_tokens", **BOTH)
    plain = make_pass("plain", calls=outputs([5, 6, 7], [5, 6, 7]))
    assert reasons(make_run(part, passes=[plain, make_pass(calls=patched)])) == [said]
    assert reasons(make_run(part, passes=[plain, make_pass(calls=plain["calls"])])) == []


def test_same_tokens_wants_something_to_compare() -> None:
    part = make_part("same_tokens", **BOTH)
    assert reasons(make_run(part, passes=[make_pass()])) == ["0 of 1 pairs of passes, 0 requests to compare"]
    empty = [make_pass("plain", calls=outputs([])), make_pass(calls=outputs([]))]
    assert reasons(make_run(part, passes=empty)) == ["1 of 1 pairs of passes, 0 requests to compare"]
    twice = make_part("same_tokens", repeat=2, **BOTH)
    assert reasons(make_run(twice, passes=[make_pass("plain"), make_pass()])) == [
        "1 of 2 pairs of passes, 2 requests to compare"
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"loss": 0.0}, "loss 0.0" + WHERE),
        ({"loss": float("nan")}, "loss nan" + WHERE),
        ({"loss": float("inf")}, "loss inf" + WHERE),
        ({"loss": None}, "no loss" + WHERE),
        ({"identity_loss": 0.0}, "identity loss 0.0: nothing to measure the loss against" + WHERE),
        ({"gold": None}, "identity loss None: nothing to measure the loss against" + WHERE),
    ],
)
def test_learning_at_a_step(changes: dict[str, Any], said: str) -> None:
    part = make_part({"learning": {"min_steps": 9}}, **GOLD)
    assert reasons(make_run(part, steps_with(**changes))) == [said]


def test_learning_over_the_run() -> None:
    part = make_part({"learning": {"fall": 0.1}}, **GOLD)
    constant = [make_step(number, loss=0.7) for number in range(16)]
    assert reasons(make_run(part, constant)) == ["loss 0.7 at every one of 16 decode steps: nothing is learnt"]
    lazy = [make_step(number, loss=1.0 - number / 1000) for number in range(16)]
    assert reasons(make_run(part, lazy)) == [
        "loss against identity went from 0.499 to 0.493 over 16 decode steps, it must fall by 10%"
    ]
    easier = [make_step(number, loss=1.0 / (number + 1), identity_loss=1.0 / (number + 1)) for number in range(16)]
    assert "from 1.000 to 1.000" in reasons(make_run(part, easier))[0], "easier rows are no learning"
    assert reasons(make_run(part, constant[:5])) == ["5 decode steps to learn from, 16 needed"]


@pytest.mark.parametrize(
    ("beta", "changes", "said"),
    [
        (0.8, {"moved_tokens": 0}, ["moved tokens 0 of 40 candidates over 1 decode step with beta 0.8"]),
        (0.8, {"candidate_tokens": 0, "moved_tokens": 0}, ["candidate tokens 0 over 1 decode step with beta 0.8"]),
        (0.0, {}, ["36 tokens moved over 1 decode step with beta 0, none may be"]),
        (0.0, {"moved_tokens": 0}, []),
        (0.8, {}, []),
    ],
)
def test_moved(beta: float, changes: dict[str, Any], said: list[str]) -> None:
    run = make_run(make_part("moved"), [make_step(0, **changes)])
    run.settings = {"beta": beta}
    assert reasons(run) == said


def test_moved_wants_to_know_beta() -> None:
    run = make_run(make_part("moved"))
    run.settings = {}
    assert reasons(run) == ["no beta to judge by: neither the part nor the runtime's defaults name one"]


@pytest.mark.parametrize(
    "wanted",
    ["shrinks", "mixed_steps", "prefills_after_decode", "recomputed_tokens", "batch_sizes", "stop_finishes", "aborted"],
)
def test_exercised_is_red_where_the_workload_did_less(wanted: str) -> None:
    run = make_run(make_part({"exercised": {wanted: 2}}))
    (said,) = reasons(run)
    assert said.startswith(f"not exercised: {wanted.replace('_', ' ')} ")
    assert said.endswith("this scenario needs at least 2")


def test_exercised_counts() -> None:
    steps = [
        make_step(0, 0),
        make_step(1, 4, decode_rows_before=0),
        make_step(2, 3, decode_rows_before=4, prefill_tokens=7),
        make_step(3, 0, decode_rows_before=3, recomputed_tokens=5),
    ]
    wanted = {"shrinks": 1, "mixed_steps": 1, "prefills_after_decode": 1, "recomputed_tokens": 5, "batch_sizes": 2}
    assert reasons(make_run(make_part({"exercised": wanted}), steps)) == []


def test_exercised_counts_aborted_prompts_whose_outputs_are_left_out() -> None:
    prompts = {"kind": "random", "count": 3, "tokens": 4}
    call = {"groups": [{"prompts": prompts, "max_tokens": 8}], "abort": {"step": 2, "prompts": [1, 2]}}
    part = make_part({"exercised": {"aborted": 2}}, calls=[call])
    assert reasons(make_run(part)) == ["not exercised: aborted 1, this scenario needs at least 2"]


OTHERWISE = "prompt 0 samples otherwise in company than alone:"


def compared(plain: float | None, **patched: Any) -> list[dict[str, Any]]:
    """What the worker found of prompt 0, under plain vLLM and with the runtime."""
    return [
        {"pass": "plain", "prompt": 0, "positions": 20, "max_total_variation": plain, "at": 1},
        {"pass": "patched", "prompt": 0, "positions": 20, "at": 3, **patched},
    ]


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (compared(0.0, max_total_variation=1e-6), []),
        (
            compared(0.0, max_total_variation=0.2),
            [f"{OTHERWISE} total variation 0.2 at position 3, 0.001 allowed, plain vLLM's is 0"],
        ),
        (compared(0.002, max_total_variation=0.01), []),
        (
            compared(0.002, max_total_variation=0.02),
            [f"{OTHERWISE} total variation 0.02 at position 3, 0.011 allowed, plain vLLM's is 0.002"],
        ),
        (
            compared(0.0, max_total_variation=None),
            [f"{OTHERWISE} no total variation at position 3, 0.001 allowed, plain vLLM's is 0"],
        ),
        (compared(0.0, max_total_variation=0.0, positions=3), ["prompt 0: 3 positions compared, 8 needed"]),
        (compared(None, max_total_variation=0.0), ["prompt 0 was not compared under plain vLLM"]),
        (compared(0.0, max_total_variation=0.0)[1:], ["prompt 0 was not compared under plain vLLM"]),
        (compared(0.0)[:1], ["no watched prompt's distributions were compared"]),
        ([], ["no watched prompt's distributions were compared"]),
        (None, ["no watched prompt's distributions were compared"]),
    ],
)
def test_independent(entries: list[dict[str, Any]] | None, said: list[str]) -> None:
    part = make_part("independent", watch=["distributions"], passes=["plain", "patched"])
    assert reasons(make_run(part, independence=entries)) == said


def graded(part: Part, *prompts: list[bool | None]) -> Run:
    samples = [
        {"prompt": prompt, "sample": sample, "token_ids": [1], "correct": grade}
        for prompt, grades in enumerate(prompts)
        for sample, grade in enumerate(grades)
    ]
    return make_run(part, passes=[make_pass(calls=[{"outputs": samples}])])


def test_answers() -> None:
    part = make_part({"answers": {"k": [1, 2], "min_solved": 2}})
    verdict, broken = judge_part(graded(part, [True, False], [True, True], [False, False]))
    assert not broken
    assert verdict.figures == {"pass@1": 0.5, "pass@2": pytest.approx(2 / 3), "solved": 2, "problems": 3}
    assert reasons(graded(part, [True, False], [False, False])) == ["1 of 2 problems solved, at least 2 must be"]
    assert reasons(graded(part, [None, None])) == ["no answer was graded"]
    assert reasons(graded(part, [True, True], [True])) == ["pass@2 needs 2 samples a problem, 1 problems have fewer"]


def paired(repeats: int, **changes: Any) -> list[dict[str, Any]]:
    plain = [make_pass("plain", repeat, seconds=1.0) for repeat in range(repeats)]
    return [*plain, *(make_pass("patched", repeat, **{"seconds": 2.0, **changes}) for repeat in range(repeats))]


def test_throughput_is_a_figure_and_never_a_bound() -> None:
    part = make_part({"throughput": {"warmup": 1}}, repeat=3, **BOTH)
    verdict, broken = judge_part(make_run(part, passes=paired(3)))
    assert not broken
    assert verdict.figures["ratio"] == 0.5
    assert verdict.figures["pairs"] == 2


def test_throughput_wants_every_pair() -> None:
    part = make_part({"throughput": {"warmup": 1}}, repeat=3, **BOTH)
    assert reasons(make_run(part, passes=paired(2))) == ["1 of 2 pairs measured"]
    assert reasons(make_run(part, passes=paired(3, generated_tokens=0))) == [
        "a pass took no time or made no tokens: nothing was measured"
    ]


DRIFTED = "esamp on vLLM 0.20.0: Sampler.sample was not called"
KNOWN = {"run": "r", "type": "Drifted", "message": DRIFTED, "step": 1, "returned_tokens": 0, "pass": "patched"}
SAID = "Drifted: esamp on vLLM 0.20.0: Sampler.sample was not called, at step 1 of call 0"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        (
            {"message": "out of memory"},
            ["refused, but not naming 'Sampler': Drifted: out of memory, at step 1 of call 0"],
        ),
        ({"message": f"{DRIFTED}\nNote"}, [f"refused in 2 lines, not in one: {SAID.replace(',', ' Note,')}"]),
        ({"returned_tokens": 3}, [f"refused after 3 tokens had been returned: {SAID}"]),
        ({"step": 4}, [f"refused at step 4, it could be known at step 1: {SAID.replace('step 1', 'step 4')}"]),
        (
            {"step": None},
            ["refused before there was a step: " + SAID.replace("at step 1 of call 0", "before the first step")],
        ),
        ({"returned_tokens": None}, [f"refused before there was a step: {SAID}"]),
    ],
)
def test_refused(changes: dict[str, Any], said: list[str]) -> None:
    run = make_run(make_part({"refused": {"naming": "Sampler"}}), steps=[])
    run.exit = Exit("r", code=1)
    run.result, run.error = None, msgspec.convert({**KNOWN, **changes}, Error)
    assert reasons(run) == said
    if not said:
        assert judge_part(run)[0].figures == {"refusals": 1, "said": DRIFTED}


def test_refused_is_red_on_a_run_that_came_to_its_end() -> None:
    part = make_part({"refused": {"naming": "Sampler"}}, doctor=["sampler_bypassed"])
    assert reasons(make_run(part)) == ["not refused with sampler_bypassed: 6 tokens returned in 24 steps"]


def test_refused_is_red_on_a_run_that_died() -> None:
    run = make_run(make_part({"refused": {"naming": "Sampler"}}))
    run.result, run.exit = None, Exit("r", signal=9)
    assert reasons(run)[0].startswith("the run was killed by SIGKILL, after step 23")
    run.exit, run.trouble = None, "hung: no event for 9 s"
    assert reasons(run)[0].startswith("hung: no event for 9 s")


def test_every_invariant_is_tested_here() -> None:
    from patchkit.gates.invariants import REGISTRY

    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert all(any(test.startswith(name) for test in tested) for name in REGISTRY), sorted(REGISTRY)


def test_shapes_read_well() -> None:
    shape = msgspec.convert({"requests": 1, "decode_rows": 1, "prefill_tokens": 1, "recomputed_tokens": 2}, Shape)
    assert str(shape) == "1 request: 1 decode row after 0, 1 prefill token, 2 recomputed tokens"


def intervention(**changes: Any) -> dict[str, Any]:
    """A faultless step's ``intervention``, with changes."""
    rows = dict.fromkeys(("exact", "exact_greedy", "exact_tempered", "exact_beside_prefill", "untouched"), 1)
    return {"checked": 4, **rows, "first_wrong": None, **changes}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (intervention(), []),
        (None, [f"the step's sampling was not seen{WHERE}"]),
        (
            intervention(first_wrong={"row": 2, "what": "logits were not moved", "difference": 0.0}),
            [f"row 2: logits were not moved, off by 0{WHERE}"],
        ),
        (
            intervention(first_wrong={"row": 1, "what": "a greedy row did not take its highest logit"}),
            [f"row 1: a greedy row did not take its highest logit{WHERE}"],
        ),
    ],
)
def test_intervened(found: dict[str, Any] | None, said: list[str]) -> None:
    part = make_part({"intervened": {"exact": 8, "untouched": 8}}, watch=["intervention"])
    steps = [*(make_step(number, intervention=intervention()) for number in range(8)), make_step(8, intervention=found)]
    assert reasons(make_run(part, steps)) == said


def test_intervened_wants_rows_of_each_kind() -> None:
    part = make_part({"intervened": {"exact_greedy": 2}}, watch=["intervention"])
    steps = [make_step(1, intervention=intervention(exact_greedy=0))]
    assert reasons(make_run(part, steps)) == ["0 exact_greedy rows compared, this scenario needs at least 2"]
    assert reasons(make_run(make_part("intervened", watch=["intervention"]), [])) != []


COUNTED = {
    **dict.fromkeys(("decode_rows", "captured_rows", "intervened_rows"), 92),
    **dict.fromkeys(("port_hits", "distiller_steps"), 23),
    "unmapped_rows": 0,
    "loss_finite": True,
    "loss_last": 0.5,
}


@pytest.mark.parametrize(
    ("counters", "said"),
    [
        (COUNTED, []),
        (COUNTED | {"intervened_rows": 91}, ["repeat 0: decode rows 92, captured rows 92, intervened rows 91"]),
        (COUNTED | {"port_hits": 0, "distiller_steps": 0}, ["repeat 0: port hits 0, distiller steps 0"]),
        (COUNTED | {"loss_finite": False, "loss_last": None}, ["repeat 0: unmapped rows 0, loss None"]),
        (None, ["repeat 0: decode rows None, captured rows None, intervened rows None"]),
    ],
)
def test_totals(counters: dict[str, Any] | None, said: list[str]) -> None:
    passes = [make_pass(counters=counters)]
    assert reasons(make_run(make_part("totals", watch=["timing"]), [], passes)) == said
