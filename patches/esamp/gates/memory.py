"""Checks that memory is stated before it is allocated, refused where it is not available, and freed."""

import gc
import logging
import re
import resource
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from patchkit_probe.expect import SAMPLES, TOKENS, Returned, expect_refusal, generate, require

MIB, GIB = 1 << 20, 1 << 30
WIDE = 2048  # a distiller of some MiB
LINE = re.compile(r"esamp: (\d+) distillers? of (\d+\.\d+) M numbers take up to (\d+\.\d+) GiB, (\d+) MiB each")
ADVICE = ("GiB are free", "max_num_seqs", "shared=True")


def states_memory(context: Any) -> None:
    """A line before the first step, another one when more prompts are in flight, and no other."""
    llm = context.engine()
    runtime = context.install(width=WIDE)
    numbers = 2 * 3 * llm.llm_engine.model_config.get_hidden_size() * WIDE
    with listening("vllm.esamp", lambda: runtime.counters()["steps"]) as lines:
        for prompts, stated in ((2, 1), (1, 1), (5, 2), (5, 2), (3, 2)):
            generate(context, llm, prompts)
            require(len(lines) == stated, f"{len(lines)} lines after {prompts} prompts, not {stated}: {lines}")
    require(lines[0][0] == 0, f"memory is stated after {lines[0][0]} steps, not before the first")
    for (_, line), distillers in zip(lines, (2, 5), strict=True):
        found = LINE.fullmatch(line)
        stated_figures = tuple(float(figure) for figure in found.groups()) if found else None
        each = (16 if keeps_gradient() else 12) * numbers
        true = (distillers, round(numbers / 1e6, 2), round(distillers * each / GIB, 2), round(each / MIB))
        require(stated_figures == true, f"{line!r} is not of {true}")


def keeps_gradient() -> bool:
    """A distiller is weights and two moments, float32, and before patch 15 a gradient."""
    return find_spec("esamp.method.arithmetic") is None


def refuses_what_does_not_fit(context: Any) -> None:
    """Refused before a token and before memory is allocated, whether one prompt is too much or all together."""
    llm = context.make_engine()
    free, hidden = free_bytes(context.device), llm.llm_engine.model_config.get_hidden_size()
    for width, prompts in ((1 << 26, 1), (free // 4 // (16 * 2 * 3 * hidden), 8)):
        returned = Returned(llm)
        runtime = context.install(width=width)
        with little_memory(2 * GIB) if context.device == "cpu" else nullcontext():
            expect_refusal(lambda: generate(context, llm, prompts), f"{prompts} distiller", *ADVICE)  # noqa: B023
        require(returned.tokens == 0, f"refused after {returned.tokens} tokens")
        runtime.uninstall()
        llm = context.make_engine()


def refuses_more_prompts_than_fit(context: Any) -> None:
    """One prompt fits, later there are too many: those are refused before they get a token."""
    llm = context.make_engine()
    each = 16 * 2 * 3 * llm.llm_engine.model_config.get_hidden_size() * WIDE
    context.install(width=WIDE)
    with mock.patch("esamp.engine.support.free_bytes", lambda device: 4 * each):
        require(generate(context, llm, 1) == SAMPLES * TOKENS, "one prompt does not run")
        returned = Returned(llm)
        expect_refusal(lambda: generate(context, llm, 8), "8 distillers", *ADVICE)
    require(returned.tokens == 0, f"refused after {returned.tokens} tokens")


def refuses_too_few_capture_rows(context: Any) -> None:
    """Six rows decode where the taps hold four: refused at the first step with decode rows."""
    llm = context.make_engine()
    returned = Returned(llm)
    context.install(width=16, capture_rows=4)
    expect_refusal(lambda: generate(context, llm, 6, n=1), "6 decode rows", "capture_rows is 4")
    require(
        returned.tokens <= 6, f"refused after {returned.tokens} tokens: six come from prompts, all others from rows"
    )


def runs_more_prompts_than_sequences(context: Any) -> None:
    """A hundred prompts, sixteen rows at once: every row is found, and few distillers are held."""
    llm = context.engine()
    runtime = context.install(width=16)
    tokens = generate(context, llm, 100)
    require(tokens == 100 * SAMPLES * TOKENS, f"{tokens} tokens of 100 prompts")
    rows, held = runtime.counters()["decode_rows"], runtime.view().distillers
    require(rows == 100 * SAMPLES * (TOKENS - 1), f"{rows} decode rows found")
    require(0 < held <= 16, f"{held} distillers are held in the end")


def gives_memory_back(context: Any) -> None:
    """After uninstall() the bank and the taps are gone, though the runtime still returns its counters."""
    runtime = context.install(width=16)
    generate(context, context.engine())
    bank = runtime.bank
    held = [weakref.ref(value) for value in (bank, *bank._held, runtime.taps[0], runtime.head)]
    counted = runtime.counters()
    del bank
    runtime.uninstall()
    gc.collect()
    kept = [type(value()).__name__ for value in held if value() is not None]
    require(not kept, f"uninstall() keeps {', '.join(kept)}")
    require(runtime.counters() == counted, "the counters are others after uninstall()")
    require(runtime.view() is None, "there is a view after uninstall()")


@contextmanager
def listening(name: str, stamp: Callable[[], Any]) -> Iterator[list[tuple[Any, str]]]:
    """The lines of a logger, each with the value of ``stamp()`` at that time."""
    lines: list[tuple[Any, str]] = []
    logger, handler = logging.getLogger(name), logging.Handler()
    handler.emit = lambda record: lines.append((stamp(), record.getMessage()))  # type: ignore[method-assign]
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@contextmanager
def little_memory(more: int) -> Iterator[None]:
    """Only ``more`` bytes can be allocated; beyond them an allocation fails at once, without filling the machine."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def free_bytes(device: str) -> int:
    """Bytes of memory available on this machine, or on its GPU."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) * 1024


checks = [
    states_memory,
    runs_more_prompts_than_sequences,
    gives_memory_back,
    refuses_too_few_capture_rows,
    refuses_more_prompts_than_fit,
    refuses_what_does_not_fit,
]
