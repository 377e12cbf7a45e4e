"""Checks of streamed input: a request that comes again with each chunk of it, and with what that chunk wants.

``AsyncLLM`` sends such a request to the process of the engine, as is done here in one process. The engine must not run
ahead: a step that it has scheduled when a chunk ends learns from one token more.
"""

import copy
from functools import partial
from typing import Any
from unittest.mock import patch

from patchkit_probe.expect import require
from patchkit_probe.processes import NUMBERS, TOKENS, in_flight, prompt_of, sampling, served, settle, unlike
from vllm.sampling_params import RequestOutputKind

STOP = 30  # a token
Wish = dict[str, Any] | None
OFF: Wish = {"esamp": 0}
STRONG: Wish = {"esamp_beta": 1.5}
ZERO: Wish = {"esamp_beta": 0}
Wishes = tuple[Wish, ...]  # of requests that run side by side


def heeds_what_each_chunk_wants(context: Any) -> None:
    """A chunk is treated as it says itself, whatever the one before it wanted.

    The chunk before draws one token, with which nothing is learnt: this one's tokens depend on its own wish alone.
    """
    llm = served(context)
    wishes: list[Wishes] = [(None,), (OFF,), (STRONG,)]
    heeds_the_second(llm, wishes, wishes, drawn_before=1)
    settle(llm)
    require(in_flight(llm) == (0, 0), f"prompts and distillers left behind: {in_flight(llm)}")


def heeds_a_strength_after_rows_that_had_another(context: Any) -> None:
    """A chunk is moved as far as it wants, though the rows of the one before were the same request's in the same place.

    Every token of the chunk before is given, so that the same is learnt of it whatever its strength.
    """
    strengths: list[Wishes] = [(None,), (STRONG,), (ZERO,)]
    heeds_the_second(served(context), strengths, strengths, drawn_before=TOKENS)


def heeds_off_after_rows_that_were_moved(context: Any) -> None:
    """A chunk that is left alone has the tokens of one moved by 0, though its rows were moved before."""
    llm = served(context)
    for before in (None, STRONG):
        off, unmoved = (second_chunks(llm, (before,), (after,), TOKENS) for after in (OFF, ZERO))
        require(off == unmoved, f"a chunk left alone after one that wants {before}: {unlike(off, unmoved)}")


def heeds_the_strengths_of_two_that_change(context: Any) -> None:
    """Chunks of two requests that end together are moved as far as they want, whatever those before wanted."""
    pairs: list[Wishes] = [(None, None), (None, STRONG), (STRONG, None), (STRONG, ZERO), (ZERO, STRONG)]
    heeds_the_second(served(context), pairs, pairs, drawn_before=TOKENS)


def heeds_the_second(llm: Any, befores: list[Wishes], afters: list[Wishes], drawn_before: int) -> None:
    """Second chunks have the tokens of what they want, and the same ones after each of ``befores``."""
    usual = set()
    for after in afters:
        found = [second_chunks(llm, before, after, drawn_before) for before in befores]
        for before, tokens in zip(befores, found, strict=True):
            how = unlike(tokens, found[0])
            require(tokens == found[0], f"chunks that want {after} after chunks that want {before}: {how}")
        usual.add(str(found[0]))
    require(len(usual) == len(afters), f"what chunks want makes no difference to them: {afters}")


def second_chunks(llm: Any, before: Wishes, after: Wishes, drawn_before: int) -> list[list[int]]:
    """Tokens of the second of two chunks of requests that run side by side, each with what its chunks want.

    The first chunk draws one token, or as many as the second.
    """
    engine, names = llm.llm_engine, [f"streamed{next(NUMBERS)}" for _ in after]
    core, inputs, tokens = engine.engine_core, engine.input_processor, list[list[int]]()

    def add_request(request: Any) -> Any:  # as in another process: both sides append to the prompt
        return type(core).add_request(core, copy.deepcopy(request))

    def given(wish: Wish) -> Any:
        params = sampling(10, 1, wish)
        params.allowed_token_ids = [STOP]
        params.stop_token_ids = [STOP] if drawn_before == 1 else []  # its max_tokens is that of all chunks
        return params

    resumable = partial(inputs.process_inputs, resumable=True)
    with patch.object(inputs, "process_inputs", resumable), patch.object(core, "add_request", add_request):
        first, second = [given(wish) for wish in before], [sampling(10, 1, wish) for wish in after]
        for number, (settings, count) in enumerate(((first, drawn_before), (second, TOKENS))):
            for row, (name, params) in enumerate(zip(names, settings, strict=True)):
                params.output_kind = RequestOutputKind.DELTA
                engine.add_request(name, prompt_of(10 + number + 2 * row), params)
            tokens = drawn(engine, names, count)
    engine.abort_request(names, internal=True)
    return tokens


def drawn(engine: Any, names: list[str], count: int) -> list[list[int]]:
    """Tokens of a chunk of each request; between chunks they wait, and count as unfinished."""
    tokens: dict[str, list[int]] = {name: [] for name in names}
    for _ in range(2 * TOKENS):
        for output in engine.step():
            tokens[output.request_id] += output.outputs[0].token_ids
    for name, own in tokens.items():
        require(len(own) == count, f"a chunk of {name} has {len(own)} tokens, not {count}")
    return [*tokens.values()]


checks = [
    heeds_what_each_chunk_wants,
    heeds_a_strength_after_rows_that_had_another,
    heeds_off_after_rows_that_were_moved,
    heeds_the_strengths_of_two_that_change,
]
