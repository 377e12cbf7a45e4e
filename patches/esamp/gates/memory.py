"""Checks: memory is stated before it is taken, refused where it is not there, and given back."""

import gc
import logging
import re
import resource
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from patchkit_probe.expect import SAMPLES, TOKENS, Returned, generate, holds, refused

MIB, GIB = 1 << 20, 1 << 30
WIDE = 2048  # a distiller of some MiB
LINE = re.compile(r"esamp: (\d+) distillers? of (\d+\.\d+) M numbers take up to (\d+\.\d+) GiB, (\d+) MiB each")
ADVICE = ("GiB are free", "max_num_seqs", "shared=True")


def states_memory(bench: Any) -> None:
    """A line before the first step, another one when more prompts are in flight, and no other."""
    llm = bench.engine()
    runtime = bench.install(width=WIDE)
    numbers = 2 * 3 * llm.llm_engine.model_config.get_hidden_size() * WIDE
    with listening("vllm.esamp", lambda: runtime.counters()["steps"]) as lines:
        for prompts, stated in ((2, 1), (1, 1), (5, 2), (5, 2), (3, 2)):
            generate(bench, llm, prompts)
            holds(len(lines) == stated, f"{len(lines)} lines after {prompts} prompts, not {stated}: {lines}")
    holds(lines[0][0] == 0, f"memory is stated after {lines[0][0]} steps, not before the first")
    for (_, line), distillers in zip(lines, (2, 5), strict=True):
        found = LINE.fullmatch(line)
        told = tuple(float(figure) for figure in found.groups()) if found else None
        each = 16 * numbers  # float32: weights, gradient and two moments
        true = (distillers, round(numbers / 1e6, 2), round(distillers * each / GIB, 2), round(each / MIB))
        holds(told == true, f"{line!r} is not of {true}")


def refuses_what_does_not_fit(bench: Any) -> None:
    """One prompt would be too much, or only as many as there are, before a token and before memory is taken."""
    llm = bench.make_engine()
    free, hidden = free_bytes(bench.device), llm.llm_engine.model_config.get_hidden_size()
    for width, prompts in ((1 << 26, 1), (free // 4 // (16 * 2 * 3 * hidden), 8)):
        returned = Returned(llm)
        runtime = bench.install(width=width)
        with little_memory(2 * GIB) if bench.device == "cpu" else nullcontext():
            refused(lambda: generate(bench, llm, prompts), f"{prompts} distiller", *ADVICE)  # noqa: B023
        holds(returned.tokens == 0, f"refused after {returned.tokens} tokens")
        runtime.uninstall()
        llm = bench.make_engine()


def refuses_more_prompts_than_fit(bench: Any) -> None:
    """One prompt fits, later there are too many: those are refused before they get a token."""
    llm = bench.make_engine()
    each = 16 * 2 * 3 * llm.llm_engine.model_config.get_hidden_size() * WIDE
    bench.install(width=WIDE)
    with mock.patch("esamp.engine.support.free_bytes", lambda device: 4 * each):
        holds(generate(bench, llm, 1) == SAMPLES * TOKENS, "one prompt does not run")
        returned = Returned(llm)
        refused(lambda: generate(bench, llm, 8), "8 distillers", *ADVICE)
    holds(returned.tokens == 0, f"refused after {returned.tokens} tokens")


def refuses_too_few_capture_rows(bench: Any) -> None:
    """Six rows decode where the taps have room for four: refused at the first step with decode rows."""
    llm = bench.make_engine()
    returned = Returned(llm)
    bench.install(width=16, capture_rows=4)
    refused(lambda: generate(bench, llm, 6, n=1), "6 decode rows", "capture_rows is 4")
    holds(returned.tokens <= 6, f"refused after {returned.tokens} tokens: six come from prompts, all others from rows")


def runs_more_prompts_than_sequences(bench: Any) -> None:
    """A hundred prompts, sixteen rows at once: every row is found, and few distillers are held."""
    llm = bench.engine()
    runtime = bench.install(width=16)
    tokens = generate(bench, llm, 100)
    holds(tokens == 100 * SAMPLES * TOKENS, f"{tokens} tokens of 100 prompts")
    rows, held = runtime.counters()["decode_rows"], runtime.view().distillers
    holds(rows == 100 * SAMPLES * (TOKENS - 1), f"{rows} decode rows found")
    holds(0 < held <= 16, f"{held} distillers are held in the end")


def gives_memory_back(bench: Any) -> None:
    """After uninstall() the bank and the taps are gone, though the runtime still tells its counters."""
    runtime = bench.install(width=16)
    generate(bench, bench.engine())
    bank = runtime.bank
    held = [weakref.ref(value) for value in (bank, *bank._held, runtime.taps[0], runtime.head)]
    counted = runtime.counters()
    del bank
    runtime.uninstall()
    gc.collect()
    kept = [type(value()).__name__ for value in held if value() is not None]
    holds(not kept, f"uninstall() keeps {', '.join(kept)}")
    holds(runtime.counters() == counted, "the counters are others after uninstall()")
    holds(runtime.view() is None, "there is a view after uninstall()")


@contextmanager
def listening(name: str, stamp: Callable[[], Any]) -> Iterator[list[tuple[Any, str]]]:
    """The lines of a logger as they come, each with a stamp."""
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
    """So many more bytes can be had, and an allocation beyond them fails at once: the machine is not filled up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def free_bytes(device: str) -> int:
    """Bytes that this machine, or its card, could still give."""
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
