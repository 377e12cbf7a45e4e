"""Checks of the runtime as vLLM loads it, in each of its processes; here all of them are this one.

What install() does is proven by the other gates, row by row: the same seeds must give the same tokens.
"""

import importlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

from patchkit_probe.expect import require
from patchkit_worker.faults import change_class
from patchkit_worker.left_behind import Snapshot, functions_of_vllm
from patchkit_worker.observe import engine_of
from vllm import SamplingParams

VARIABLE = "ESAMP"
SETTINGS = {"beta": 0.6, "width": 16, "learning_rate": 0.01}
TOKENS = 14
NUMBERS = count()  # ids are not made unique by vLLM here
POINT = r'^\[project\.entry-points\."vllm\.general_plugins"\]\n\w+ = "([\w.]+):(\w+)"'
Tokens = list[list[int]]


def does_nothing_unless_asked(context: Any) -> None:
    """With ESAMP unset, empty or 0 the entry point imports nothing and changes nothing of vLLM."""
    load, llm = entry_point(context), context.engine(0)
    before, functions = Snapshot(llm, engine_of(llm)), functions_of_vllm()
    for value in (None, "", " ", "0"):
        with variable(value):
            load()
        left = before.differences()
        require(not left, f"with {VARIABLE}={value!r} it changed {left[:2]}")
        require(functions_of_vllm().keys() == functions.keys(), f"with {VARIABLE}={value!r} it imported more of vLLM")
        require("esamp.engine" not in sys_modules(), f"with {VARIABLE}={value!r} it imported its engine")


def refuses_values_that_cannot_be(context: Any) -> None:
    """A mistyped variable ends the process, in one line that says what may stand there."""
    load = entry_point(context)
    for value, word in (
        ("yes", "neither 0 nor 1 nor a JSON object"),
        ("[1]", "neither 0 nor 1 nor a JSON object"),
        ('{"betta": 1}', "no setting is named 'betta'"),
        ('{"beta": "much"}', 'beta in ESAMP cannot be "much"'),
        ('{"beta": true}', "beta in ESAMP cannot be true"),
        ('{"width": 1.5}', "width in ESAMP cannot be 1.5"),
        ('{"width": 0}', "width must be at least 1"),
        ('{"preset": "papers"}', "no preset is named 'papers'"),
        ('{"preset": [1]}', "preset in ESAMP cannot be [1]"),
    ):
        with variable(value):
            try:
                load()
            except SystemExit as ended:
                line = str(ended.code)
            else:
                raise AssertionError(f"{VARIABLE}={value!r} is not refused")
        require(word in line and "\n" not in line and line.startswith("esamp: "), f"{value!r} is refused as {line!r}")
    require("esamp.engine.processes" not in sys_modules(), "a process was hooked all the same")


def knows_samples_as_install_does(context: Any) -> None:
    """n samples, prompts beside each other and more samples than run at once give the tokens of install()."""
    expected, found = reference(context), {name: call(served(context)) for name, call in CALLS.items()}
    for name, tokens in found.items():
        require(tokens == expected[name], f"{name}: {unlike(tokens, expected[name])}")


def counts_as_install_does(context: Any) -> None:
    """The counters come by name from the worker, and are those of install()."""
    expected, llm = reference(context)["counters"], served(context)
    before = counters(llm)
    for call in CALLS.values():
        call(llm)
    after = counters(llm)
    for name in ("decode_rows", "captured_rows", "intervened_rows", "port_hits", "distiller_steps", "candidate_tokens"):
        counted = after[name] - before[name]
        require(counted == expected[name], f"{name} is {counted}, not {expected[name]}")
    require(json.loads(json.dumps(after, allow_nan=False)) == after, "the counters are no JSON")


def keeps_a_distiller_for_samples_that_wait(context: Any) -> None:
    """Samples run eight at a time: between two of them the prompt's distiller is there, and in the end it is not."""
    llm = served(context)
    held = [at["distillers"] for at in at_each_step(llm, 20)]
    require(set(held[1:]) == {1}, f"distillers held while 20 samples go by, step by step: {held}")
    settle(llm)
    require(in_flight(llm) == (0, 0), f"prompts and distillers left behind: {in_flight(llm)}")


def keeps_a_distiller_behind_another_prompt(context: Any) -> None:
    """Nine samples, eight run; a prompt that may go first takes all places before the ninth: its distiller waits."""
    llm = served(context)
    engine, held = llm.llm_engine, []
    engine.add_request("first", prompt_of(7), sampling(7, 9))
    engine.step()
    engine.add_request("urgent", prompt_of(8), sampling(8, 8), priority=-1)
    while engine.has_unfinished_requests():
        engine.step()
        held.append(counters(llm)["distillers"])
    require(held.count(2) >= TOKENS - 2, f"distillers held while another prompt runs: {held}")
    settle(llm)
    require(in_flight(llm) == (0, 0), f"prompts and distillers left behind: {in_flight(llm)}")


def forgets_what_was_aborted(context: Any) -> None:
    """Samples that are aborted before they run have never been in the worker; their prompt ends all the same."""
    llm = served(context)
    for samples, steps in ((20, 3), (20, 0), (1, 3), (3, 1)):
        at_each_step(llm, samples, steps)
        llm.llm_engine.abort_request(list(llm.llm_engine.output_processor.request_states), internal=True)
        settle(llm)
        require(in_flight(llm) == (0, 0), f"{samples} samples aborted after {steps} steps leave {in_flight(llm)}")


def knows_a_request_by_its_latest_use(context: Any) -> None:
    """An id that is used again, the moment its request has ended, is another prompt."""
    llm = served(context)
    first = [by_id(llm, "again", 3), by_id(llm, "again", 3)]
    settle(llm)
    require(first[0] == first[1], f"a prompt learns from one that has ended: {unlike(*first)}")
    require(in_flight(llm) == (0, 0), f"prompts and distillers left behind: {in_flight(llm)}")


def knows_samples_of_another_front_end(context: Any) -> None:
    """Where nothing is noted of a request, as by a process without the runtime, samples are known by their ids."""
    llm = served(context)
    core = llm.llm_engine.engine_core

    def add_request(request: Any) -> Any:
        request.sampling_params.extra_args = None
        return type(core).add_request(core, request)

    core.add_request = add_request
    try:
        found = CALLS["two_prompts"](llm)
    finally:
        del core.add_request
    settle(llm)
    expected = reference(context)["two_prompts"]
    require(found == expected, unlike(found, expected))
    require(in_flight(llm) == (0, 0), f"prompts and distillers left behind: {in_flight(llm)}")


def leaves_a_request_alone(context: Any) -> None:
    """A request that does not want the runtime gets plain vLLM's tokens, beside one that does."""
    llm, expected = served(context), reference(context)
    before = counters(llm)
    found = pair(llm, {"esamp": False}, None)
    after = counters(llm)
    rows = 2 * 2 * (TOKENS - 1)
    require(found[:2] == expected["plain"][:2], f"left alone: {unlike(found[:2], expected['plain'][:2])}")
    require(found[2:] == expected["pair"][2:], f"beside it: {unlike(found[2:], expected['pair'][2:])}")
    counted = {name: after[name] - before[name] for name in ("decode_rows", "intervened_rows", "plain_rows")}
    require(counted == {"decode_rows": rows // 2, "intervened_rows": rows // 2, "plain_rows": rows // 2}, f"{counted}")
    alone = pair(llm, {"esamp": 0}, {"esamp": 0})
    require(alone == expected["plain"], f"both left alone: {unlike(alone, expected['plain'])}")


def moves_a_request_as_far_as_it_wants(context: Any) -> None:
    """A strength of its own gives the tokens of that strength, beside a request of another."""
    llm, expected = served(context), reference(context)
    found = pair(llm, {"esamp_beta": 1.5}, None)
    require(found[:2] == expected["strong"][:2], f"1.5: {unlike(found[:2], expected['strong'][:2])}")
    require(found[2:] == expected["pair"][2:], f"beside it: {unlike(found[2:], expected['pair'][2:])}")
    both = pair(llm, {"esamp_beta": 1.5}, {"esamp_beta": 1.5, "esamp": 1})
    require(both == expected["strong"], f"both 1.5: {unlike(both, expected['strong'])}")


def refuses_what_a_request_cannot_want(context: Any) -> None:
    """The caller reads one line, and the engine goes on."""
    llm = served(context)
    for wanted, word in (
        ({"esamp": 2}, "esamp must be 0 or 1, not 2"),
        ({"esamp": "off"}, "esamp must be 0 or 1, not 'off'"),
        ({"esamp": [1]}, "esamp must be 0 or 1"),
        ({"esamp_beta": "0.1"}, "esamp_beta must be a number, not '0.1'"),
        ({"esamp_beta": float("nan")}, "esamp_beta must be a number"),
        ({"esamp_beta": True}, "esamp_beta must be a number"),
        ({"esamp_betta": 0.1}, "no setting 'esamp_betta'"),
    ):
        try:
            pair(llm, wanted, None)
        except Exception as error:
            line, kind = str(error), type(error).__name__
            require(kind == "VLLMValidationError" and word in line and "\n" not in line, f"{wanted}: {kind}: {line}")
        else:
            raise AssertionError(f"{wanted} is not refused")
    require(pair(llm, {"other": 1}, None) == reference(context)["pair"], "another key's value changes the tokens")


def refuses_beam_search(context: Any) -> None:
    """It samples by itself: no row would decode."""
    from vllm.sampling_params import BeamSearchParams

    llm = served(context)
    try:
        llm.beam_search(context.prompts(1), BeamSearchParams(beam_width=2, max_tokens=4))
    except Exception as error:
        require(str(error).startswith("esamp: beam search"), f"refused in other words: {error}")
    else:
        raise AssertionError("beam search is not refused")


def refuses_an_unfit_engine(context: Any) -> None:
    """Before a process is started for it."""
    from vllm.v1.executor.abstract import Executor

    made: list[Any] = []
    original = Executor.__init__

    def counted(self: Any, *given: Any, **named: Any) -> None:
        made.append(self)
        original(self, *given, **named)

    with patch.object(Executor, "__init__", counted):
        try:
            context.make_engine(runner="pooling", convert="embed")
        except Exception as error:
            line = str(error)
            require(line.startswith("esamp:") and "run as a pooling model" in line, f"refused in other words: {line}")
        else:
            raise AssertionError("a model that generates no token is not refused")
    require(not made, "refused when the workers were made")


def refuses_a_second_engine_and_install(context: Any) -> None:
    """One process follows one worker."""
    served(context)
    for what, word in ((context.make_engine, "this process has an engine already"), (context.install, "install")):
        try:
            what()
        except Exception as error:
            require(word in str(error) and "\n" not in str(error), f"refused in other words: {error}")
        else:
            raise AssertionError(f"not refused: {word}")


def is_loud_when_a_hook_is_dead(context: Any) -> None:
    """Another runner's methods run in place of the hooked ones: the step ends in one line."""
    llm = served(context)
    runner = engine_of(llm).runner
    kind = type(runner)
    named = [name for name in ("execute_model", "_prepare_inputs", "prepare_inputs") if hasattr(kind, name)]
    originals = {name: original_of(getattr(kind, name)) for name in named}
    change_class(runner, **originals)
    try:
        CALLS["three_prompts"](llm)
    except Exception as error:
        require("execute_model was not called in a step with requests" in str(error), f"raised something else: {error}")
    else:
        raise AssertionError("a dead hook is not noticed")
    finally:
        runner.__class__ = kind


# Calls, and what is known of them.


def three_prompts(llm: Any) -> Tokens:
    """Three prompts of three samples: not more than run at once, eight, but for one."""
    return tokens_of(llm, [(number, 3, None) for number in range(3)])


def two_prompts(llm: Any) -> Tokens:
    """All six samples run at once."""
    return tokens_of(llm, [(number, 3, None) for number in range(2)])


def more_samples_than_run(llm: Any) -> Tokens:
    """A prompt of twenty samples, and one of one."""
    return tokens_of(llm, [(3, 20, None), (4, 1, None)])


CALLS: dict[str, Callable[[Any], Tokens]] = {
    "three_prompts": three_prompts,
    "two_prompts": two_prompts,
    "more_samples_than_run": more_samples_than_run,
}


def pair(llm: Any, first: dict[str, Any] | None, second: dict[str, Any] | None) -> Tokens:
    """Two prompts of two samples, and what each of them wants."""
    return tokens_of(llm, [(5, 2, first), (6, 2, second)])


def tokens_of(llm: Any, asked: list[tuple[int, int, dict[str, Any] | None]]) -> Tokens:
    """Tokens of each sample of ``(prompt, n, extra_args)``."""
    outputs = llm.generate(
        [prompt_of(number) for number, _, _ in asked],
        [sampling(number, n, extra) for number, n, extra in asked],
        use_tqdm=False,
    )
    return [list(sample.token_ids) for output in outputs for sample in output.outputs]


def prompt_of(number: int) -> dict[str, list[int]]:
    return {"prompt_token_ids": [20 + 7 * number + at for at in range(5)]}


def sampling(number: int, n: int, extra: dict[str, Any] | None = None) -> Any:
    """Samples of different lengths would need different requests: the prompts' lengths differ instead."""
    return SamplingParams(
        n=n, seed=100 * number + 1, max_tokens=TOKENS, temperature=1.0, ignore_eos=True, extra_args=extra
    )


@cache
def reference(context: Any) -> dict[str, Any]:
    """Tokens of the calls under install(), and of plain vLLM."""
    llm = context.engine(0)
    runtime = context.install(**SETTINGS)
    found: dict[str, Any] = {name: call(llm) for name, call in CALLS.items()}
    found["counters"] = runtime.counters()
    found["pair"] = pair(llm, None, None)
    runtime.uninstall()
    found["plain"] = pair(llm, None, None)
    runtime = context.install(**{**SETTINGS, "beta": 1.5})
    found["strong"] = pair(llm, None, None)
    runtime.uninstall()
    require(found["plain"] != found["pair"] != found["strong"], "the strength makes no difference to these prompts")
    return found


@cache
def served(context: Any) -> Any:
    """An engine that is made once the entry point was called with ESAMP set."""
    reference(context)  # after it install() is refused
    with variable(json.dumps(SETTINGS)):
        entry_point(context)()
    return context.engine(1)


def at_each_step(llm: Any, samples: int, steps: int = 1000) -> list[dict[str, Any]]:
    """The counters after each of so many steps of a prompt of so many samples."""
    engine, found = llm.llm_engine, []
    engine.add_request(f"waiting{next(NUMBERS)}", prompt_of(7), sampling(7, samples))
    while engine.has_unfinished_requests() and len(found) < steps:
        engine.step()
        found.append(counters(llm))
    return found


def by_id(llm: Any, name: str, samples: int) -> Tokens:
    """Tokens of a request with an id of the caller's."""
    engine, found = llm.llm_engine, {}
    engine.add_request(name, prompt_of(8), sampling(8, samples))
    while engine.has_unfinished_requests():
        for output in engine.step():
            found.update({sample.index: list(sample.token_ids) for sample in output.outputs})
    return [found[index] for index in sorted(found)]


def settle(llm: Any) -> None:
    """Other requests, of one token: with their steps the scheduler tells what has ended before."""
    for _ in range(2):
        llm.generate([prompt_of(9)], SamplingParams(max_tokens=1, extra_args={"esamp": 0}), use_tqdm=False)


def in_flight(llm: Any) -> tuple[int, int]:
    """Prompts and distillers in the worker, but for the request that :func:`settle` asked last."""
    now = counters(llm)
    return now["prompts"] - 1, now["distillers"]


def counters(llm: Any) -> dict[str, Any]:
    (found,) = llm.collective_rpc("esamp_counters")
    return dict(found)


def unlike(found: Tokens, expected: Tokens) -> str:
    """The first sample that differs."""
    for number, (one, other) in enumerate(zip(found, expected, strict=False)):
        if one != other:
            return f"sample {number} is {one[:6]}…, not {other[:6]}…"
    return f"{len(found)} samples, not {len(expected)}"


def original_of(hooked: Any) -> Any:
    """The method that a hook replaced."""
    return next(cell.cell_contents for cell in hooked.__closure__ if callable(cell.cell_contents))


def entry_point(context: Any) -> Callable[[], None]:
    """What the tree gives vLLM to load."""
    tree = Path(context._request["tree"])
    declared = (tree / "pyproject.toml").read_text() if (tree / "pyproject.toml").is_file() else ""
    found = re.search(POINT, declared, re.MULTILINE)
    require(found, "no entry point in the group vllm.general_plugins in the tree's pyproject.toml")
    sys_path(str(tree))
    loaded: Callable[[], None] = getattr(importlib.import_module(found[1]), found[2])
    return loaded


def sys_path(tree: str) -> None:
    import sys

    if tree not in sys.path:
        sys.path.insert(0, tree)


def sys_modules() -> set[str]:
    import sys

    return set(sys.modules)


@contextmanager
def variable(value: str | None) -> Iterator[None]:
    """ESAMP has this value, or none."""
    before = os.environ.pop(VARIABLE, None)
    os.environ.update({} if value is None else {VARIABLE: value})
    try:
        yield
    finally:
        os.environ.pop(VARIABLE, None)
        os.environ.update({} if before is None else {VARIABLE: before})


checks = [
    does_nothing_unless_asked,
    refuses_values_that_cannot_be,
    knows_samples_as_install_does,
    counts_as_install_does,
    keeps_a_distiller_for_samples_that_wait,
    keeps_a_distiller_behind_another_prompt,
    forgets_what_was_aborted,
    knows_a_request_by_its_latest_use,
    knows_samples_of_another_front_end,
    leaves_a_request_alone,
    moves_a_request_as_far_as_it_wants,
    refuses_what_a_request_cannot_want,
    refuses_beam_search,
    refuses_an_unfit_engine,
    refuses_a_second_engine_and_install,
    is_loud_when_a_hook_is_dead,
]
