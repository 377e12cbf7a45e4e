"""Every invariant goes red on a run that is changed, for the stated reason; missing data is red too."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from runs import COUNTERS, make_part, make_pass, make_run, make_runtime, make_step

from patchkit.gates.events import BatchShape, Error, Exit, Step
from patchkit.gates.invariants.independent import largest
from patchkit.gates.part_run import Run
from patchkit.gates.scenario import Part
from patchkit.gates.verdict import judge_part

BOTH = {"passes": ["patched", "plain"]}


def reasons(run: Run) -> list[str]:
    return [broken.reason for broken in judge_part(run)[1]]


def steps_with(**changes: Any) -> list[Step]:
    """Eight faultless decode steps, and a ninth that is not."""
    return [*(make_step(number) for number in range(8)), make_step(8, **changes)]


WHERE = ", at step 8 of call 0 (4 requests: 4 decode rows after 4, 0 prefill tokens)"


@pytest.mark.parametrize("name", ["alive", "counts_equal", "sampled", "poisoned", "exercised"])
def test_a_faultless_run_is_green_and_one_without_steps_is_red(name: str) -> None:
    params = {"exercised": {"decode_steps": 20}, "sampled": {"drawn": 4}}
    part = make_part({name: params[name]} if name in params else name, watch=["poison"])
    assert reasons(make_run(part)) == []
    assert reasons(make_run(part, steps=[])), "no steps prove nothing"
    if name != "poisoned":
        assert reasons(make_run(part, steps=[make_step(0, 0)])), "a prefill alone proves nothing"


def test_finished_tells_an_error_with_step_shape_and_place() -> None:
    run = make_run(make_part())
    shape = BatchShape(requests=5, decode_rows=5, decode_rows_before=8)
    run.error = Error(
        "r", "IndexError", "index 7 is\nout of bounds", "made_up/taps.py:61 in gather", "patched", 0, 12, shape
    )
    (broken,) = judge_part(run)[1]
    assert broken.reason == (
        "IndexError: index 7 is out of bounds, at step 12 of call 0 "
        "(5 requests: 5 decode rows after 8, 0 prefill tokens), in made_up/taps.py:61 gather"
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
    steps = [make_step(number, hits=0, candidates=0) for number in range(63)]
    assert reasons(make_run(make_part("alive"), steps)) == ["hits 0, candidates 0 over 63 decode steps"]
    silent = [make_step(number, runtime=None) for number in range(3)]
    assert "seen rows 0" in reasons(make_run(make_part("alive"), silent, [make_pass()]))[0]
    assert reasons(make_run(make_part({"alive": {"counters": ["decode_rows"]}}), steps)) == []


@pytest.mark.parametrize(
    ("invariant", "said"),
    [
        ("alive", "made_up declares no counter that must be decode_rows, decode_steps or positive: "),
        ({"alive": {"counters": ["hits"]}}, "made_up declares no counter hits: "),
        ("counts_equal", "made_up declares no counter that must be decode_rows: "),
        ("totals", "made_up declares no counter that must be decode_rows or decode_steps: "),
    ],
)
def test_what_a_runtime_does_not_declare_is_said_in_one_line(invariant: Any, said: str) -> None:
    run = make_run(make_part(invariant))
    run.runtime = make_runtime(counters={"score": COUNTERS["score"]})
    assert reasons(run) == [f"{said}say it under `counters` in patches/made_up/runtime.yaml"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seen_rows": 3}, "seen rows 3, the worker counted 4 decode rows"),
        ({"seen_rows": 5}, "seen rows 5, the worker counted 4 decode rows"),
        ({"lost_rows": 4}, "lost rows 4, must be 0: rows without an owner"),
        ({"hits": 2}, "hits 2 where 1 was due"),
        ({"hits": 0}, "hits 0 where 1 was due"),
        ({"seen_rows": None}, "the runtime does not count seen_rows"),
        ({"lost_rows": None}, "the runtime does not count lost_rows"),
        ({"runtime": None}, "the runtime counted nothing"),
    ],
)
def test_counts_equal(changes: dict[str, Any], said: str) -> None:
    run = make_run(make_part("counts_equal"), steps_with(**changes))
    assert reasons(run) == [said + WHERE]


def test_counts_equal_on_a_step_without_decode_rows() -> None:
    assert reasons(make_run(make_part("counts_equal"), [make_step(0), make_step(1, 0, hits=1)])) == [
        "hits 1 where 0 was due, at step 1 of call 0 (1 request: 0 decode rows after 0, 9 prefill tokens)"
    ]


def test_counts_equal_compares_each_pass_with_its_own_steps() -> None:
    part, steps = make_part("counts_equal"), [make_step(number) for number in range(2)]
    totals = {"decode_rows": 8, "seen_rows": 9, "hits": 2, "lost_rows": 0}
    assert reasons(make_run(part, steps, [make_pass(counters=totals)])) == [
        "seen rows 9 over the pass, 8 over its steps"
    ]
    assert reasons(make_run(part, steps, [make_pass(counters=None)])) == [
        "decode rows None over the pass, 8 over its steps"
    ]
    whole = totals | {"seen_rows": 8}
    installed = [*steps, *(make_step(number, install=1) for number in range(2, 4))]
    passes = [make_pass(counters=whole), make_pass(install=1, counters=whole)]
    assert reasons(make_run(part, installed, passes)) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"unlike": {"row": 2, "what": "its token is not the one that was drawn for it"}},
            "row 2: its token is not the",
        ),
        ({"sampling": None}, "the step's sampling was not seen"),
        ({"checked": 3}, "3 rows sampled, fewer than decode"),
    ],
)
def test_sampled(changes: dict[str, Any], said: str) -> None:
    (found,) = reasons(make_run(make_part("sampled"), steps_with(**changes)))
    assert found.startswith(said) and found.endswith(WHERE)


def test_sampled_wants_rows_of_each_kind() -> None:
    part = make_part({"sampled": {"greedy": 9, "lone": 1}})
    assert reasons(make_run(part, steps_with())) == ["0 lone rows sampled, this scenario needs at least 1"]


def test_poisoned() -> None:
    part = make_part("poisoned", watch=["poison"])
    assert reasons(make_run(part, steps_with(poisoned=False))) == [f"nothing was poisoned{WHERE}"]
    run = make_run(part)
    run.runtime = make_runtime(probe=None)
    assert reasons(run) == ["made_up has no probe to poison with: write patches/made_up/gates/probe.py"]


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


def test_same_tokens_compares_log_probabilities_text_and_ends() -> None:
    part = make_part("same_tokens", **BOTH)

    def calls(**more: Any) -> list[dict[str, Any]]:
        return [{"outputs": [{"prompt": 0, "sample": 0, "token_ids": [5, 6], "text": "ab", "finish": "stop", **more}]}]

    plain = make_pass("plain", calls=calls(logprobs=[[[5, -0.5]], [[6, -0.25]]], prompt_logprobs=[None, [[4, -1.0]]]))
    good = plain["calls"][0]["outputs"][0]
    assert reasons(make_run(part, passes=[plain, make_pass(calls=plain["calls"])])) == []
    for changes, said in (
        ({"logprobs": [[[5, -0.5]], [[6, -0.250001]]]}, "logprobs at position 1 are not plain vLLM's"),
        ({"logprobs": None}, "logprobs at position 0 are not plain vLLM's"),
        ({"prompt_logprobs": [None]}, "prompt_logprobs at position 1 are not plain vLLM's"),
        ({"text": "ac"}, "its text or end is not plain vLLM's"),
        ({"finish": "length"}, "its text or end is not plain vLLM's"),
    ):
        patched = make_pass(calls=[{"outputs": [good | changes]}])
        assert reasons(make_run(part, passes=[plain, patched])) == [f"prompt 0 sample 0 of call 0: {said}"]


def test_same_tokens_pairs_a_plain_pass_with_every_install() -> None:
    part = make_part("same_tokens", runtime=[{}, {"strength": 1}], **BOTH)
    passes = [make_pass("plain"), make_pass(), make_pass(install=1)]
    assert reasons(make_run(part, passes=passes)) == []
    assert reasons(make_run(part, passes=passes[:2])) == ["1 of 2 pairs of passes, 2 requests to compare"]


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


@pytest.mark.parametrize(("distance", "bound"), [(2.375e-07, "3e-07"), (2e-07, "2e-07"), (0.001, "0.001"), (0.0, "0")])
def test_a_bound_on_the_total_variation_is_rounded_up(distance: float, bound: str) -> None:
    assert largest({"tiny.max_total_variation": distance}) == [f"total variation ≤ {bound}"]


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


DRIFTED = "made_up on vLLM 0.20.0: Sampler.sample was not called"
KNOWN = {"run": "r", "type": "Drifted", "message": DRIFTED, "step": 1, "returned_tokens": 0, "pass": "patched"}
SAID = "Drifted: made_up on vLLM 0.20.0: Sampler.sample was not called, at step 1 of call 0"


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
        ({"step": 9, "faulted_at": 7}, ["refused at step 9, it could be known at step 1 after the fault at step 7: *"]),
        ({"step": 3}, [f"refused at step 3, it could be known at step 1: {SAID.replace('step 1', 'step 3')}"]),
        ({"step": 3, "async_scheduling": True}, []),
        ({"step": 4, "async_scheduling": True}, ["refused at step 4, it could be known at step 3: *"]),
    ],
)
def test_refused(changes: dict[str, Any], said: list[str]) -> None:
    run = make_run(make_part({"refused": {"naming": "Sampler", "in_flight": 2}}), steps=[])
    run.exit = Exit("r", code=1)
    run.result, run.error = None, msgspec.convert({**KNOWN, **changes}, Error)
    assert len(reasons(run)) == len(said)
    assert all(found.startswith(one.removesuffix("*")) for found, one in zip(reasons(run), said, strict=True))
    if not said:
        assert judge_part(run)[0].figures == {"refusals": 1, "said": DRIFTED}


def test_refused_is_red_on_a_run_that_came_to_its_end() -> None:
    part = make_part({"refused": {"naming": "Sampler"}}, faults=["sampler_bypassed"])
    assert reasons(make_run(part)) == ["not refused with sampler_bypassed: 6 tokens returned in 24 steps"]


def test_refused_is_red_on_a_run_that_died() -> None:
    run = make_run(make_part({"refused": {"naming": "Sampler"}}))
    run.result, run.exit = None, Exit("r", signal=9)
    assert reasons(run)[0].startswith("the run was killed by SIGKILL, after step 23")
    run.exit, run.trouble = None, "hung: no event for 9 s"
    assert reasons(run)[0].startswith("hung: no event for 9 s")


def test_refused_by_vllm_takes_that_error_alone_and_before_the_first_step() -> None:
    part = make_part({"refused_by_vllm": {"naming": "Unsupported mode"}})
    assert reasons(make_run(part)) == ["vLLM did not refuse it: no error matches 'Unsupported mode'"]
    run = make_run(part, [])
    run.result, run.exit = None, Exit("r", code=1)
    refusal = KNOWN | {"type": "NotImplementedError", "message": "Unsupported mode: soft", "step": None}
    run.error = msgspec.convert(refusal, Error)
    assert reasons(run) == []
    assert judge_part(run)[0].figures["vllm_said"] == "Unsupported mode: soft"
    run.error = msgspec.convert(refusal | {"message": "out of memory"}, Error)
    assert reasons(run)[0].startswith(
        "not vLLM's refusal, which matches 'Unsupported mode': NotImplementedError: out of"
    )
    run.error = msgspec.convert(refusal | {"step": 3, "call": 0}, Error)
    assert reasons(run)[0].startswith("not vLLM's refusal")
    run.error, run.exit = None, Exit("r", signal=9)
    assert reasons(run)[0].startswith("the run was killed by SIGKILL")


def test_refused_or_right_takes_a_refusal_or_a_run_that_holds_all_else() -> None:
    part = make_part("refused_or_right", "alive", faults=["norm_swapped"])
    assert reasons(make_run(part)) == []
    dead = [make_step(number, hits=0) for number in range(3)]
    assert reasons(make_run(part, dead)) == ["hits 0 over 3 decode steps"]
    run = make_run(part, dead)
    run.result, run.exit, run.error = None, Exit("r", code=1), msgspec.convert(KNOWN, Error)
    assert reasons(run) == []
    assert judge_part(run)[0].figures["refusals"] == 1
    run.error = msgspec.convert(KNOWN | {"message": "out of memory"}, Error)
    assert reasons(run) == ["refused, but not naming '\\\\bvLLM \\\\d': Drifted: out of memory, at step 1 of call 0"]
    run.error, run.exit = None, Exit("r", signal=9)
    assert reasons(run)[0].startswith("the run was killed by SIGKILL")


def test_refused_may_be_asked_on_top_of_refused_or_right() -> None:
    part = make_part("refused_or_right", "alive", {"refused": {"naming": "Sampler"}}, faults=["sampler_bypassed"])
    assert reasons(make_run(part)) == ["not refused with sampler_bypassed: 6 tokens returned in 24 steps"]
    run = make_run(part)
    run.result, run.exit, run.error = None, Exit("r", code=1), msgspec.convert(KNOWN, Error)
    assert reasons(run) == []


def test_every_invariant_is_tested() -> None:
    from patchkit.gates.invariants import REGISTRY

    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")} | {"honoured"}
    tested |= {"left_clean", "checks_hold"}  # in test_left_and_checks.py
    tested |= {"exchanged", "served_counts", "served_same", "unhealthy"}  # in test_served.py
    tested |= {"delayed", "same_again"}  # in test_streams.py
    assert all(any(test.startswith(name) for test in tested) for name in REGISTRY), sorted(REGISTRY)


def test_shapes_read_well() -> None:
    shape = msgspec.convert({"requests": 1, "decode_rows": 1, "prefill_tokens": 1, "recomputed_tokens": 2}, BatchShape)
    assert str(shape) == "1 request: 1 decode row after 0, 1 prefill token, 2 recomputed tokens"


COUNTED = {"decode_rows": 92, "seen_rows": 92, "hits": 23, "candidates": 920, "lost_rows": 0, "score": None}


@pytest.mark.parametrize(
    ("counters", "said"),
    [
        (COUNTED, []),
        (COUNTED | {"seen_rows": 91}, ["repeat 0: decode rows 92, seen rows 91"]),
        (COUNTED | {"hits": 0}, ["repeat 0: hits 0"]),
        (COUNTED | {"lost_rows": 2}, ["repeat 0: lost rows 2"]),
        (COUNTED | {"candidates": 0, "lost_rows": None}, ["repeat 0: candidates 0, lost rows None"]),
        (None, ["repeat 0: decode rows None, seen rows None"]),
    ],
)
def test_totals(counters: dict[str, Any] | None, said: list[str]) -> None:
    passes = [make_pass(counters=counters)]
    assert reasons(make_run(make_part("totals", watch=["timing"]), [], passes)) == said
