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


def heeds_what_each_chunk_wants(context: Any) -> None:
    """A chunk is treated as it says itself, whatever the one before it wanted.

    The chunk before draws one token, with which nothing is learnt: this one's tokens depend on its own wish alone.
    """
    llm = served(context)
    wishes: list[Wish] = [None, {"esamp": 0}, {"esamp_beta": 1.5}]
    found = [[second_chunk(llm, before, wish) for before in wishes] for wish in wishes]
    settle(llm)
    require(in_flight(llm) == (0, 0), f"prompts and distillers left behind: {in_flight(llm)}")
    for wish, (usual, *others) in zip(wishes, found, strict=True):
        for before, other in zip(wishes[1:], others, strict=True):
            how = unlike([other], [usual])
            require(other == usual, f"a chunk that wants {wish} after one that wants {before}: {how}")
    require(len({str(usual) for usual, *_ in found}) == len(wishes), "what a chunk wants makes no difference to it")


def heeds_a_strength_after_rows_that_had_another(context: Any) -> None:
    """A chunk is moved as far as it wants, though the rows of the one before were the same request's in the same place.

    Every token of the chunk before is given, so that the same is learnt of it whatever its strength.
    """
    llm = served(context)
    wishes: list[Wish] = [None, {"esamp_beta": 1.5}, {"esamp_beta": 0}]
    found = [[second_chunk(llm, before, wish, TOKENS) for before in wishes] for wish in wishes]
    for wish, (usual, *others) in zip(wishes, found, strict=True):
        for before, other in zip(wishes[1:], others, strict=True):
            how = unlike([other], [usual])
            require(other == usual, f"a chunk that wants {wish} after rows that had {before}: {how}")
    require(len({str(usual) for usual, *_ in found}) == len(wishes), "a strength makes no difference after such rows")


def second_chunk(llm: Any, before: Wish, wish: Wish, drawn_before: int = 1) -> list[int]:
    """Tokens of the second of two chunks, of what each wants; the first draws one token, or as many as the second."""
    engine, name, tokens = llm.llm_engine, f"streamed{next(NUMBERS)}", list[int]()
    core, inputs = engine.engine_core, engine.input_processor

    def add_request(request: Any) -> Any:  # as in another process: both sides append to the prompt
        return type(core).add_request(core, copy.deepcopy(request))

    resumable = partial(inputs.process_inputs, resumable=True)
    with patch.object(inputs, "process_inputs", resumable), patch.object(core, "add_request", add_request):
        first = sampling(10, 1, before)
        first.allowed_token_ids = [STOP]
        first.stop_token_ids = [STOP] if drawn_before == 1 else []  # its max_tokens is that of all chunks
        for number, (params, count) in enumerate(((first, drawn_before), (sampling(10, 1, wish), TOKENS))):
            params.output_kind = RequestOutputKind.DELTA
            engine.add_request(name, prompt_of(10 + number), params)
            tokens = drawn(engine, count)
    engine.abort_request([name], internal=True)
    return tokens


def drawn(engine: Any, count: int) -> list[int]:
    """Tokens of a chunk; between chunks the request waits, and counts as unfinished."""
    tokens: list[int] = []
    for _ in range(2 * TOKENS):
        tokens += [token for output in engine.step() for token in output.outputs[0].token_ids]
    require(len(tokens) == count, f"a chunk has {len(tokens)} tokens, not {count}")
    return tokens


checks = [heeds_what_each_chunk_wants, heeds_a_strength_after_rows_that_had_another]
