"""What ``bench throughput`` measures, as the command line says it; anything wrong with it is one line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from patchkit.bench.plan import SAMPLING
from patchkit.documents import key_values
from patchkit.errors import PatchkitError
from patchkit.mode import MODES, Mode

DEFAULTS = "defaults"
LOAD = re.compile(r"([1-9][0-9]*)x([1-9][0-9]*)")
RANDOM_PROMPT = {"kind": "random", "tokens": 24}
TEXT_PROMPT = {"kind": "arithmetic"}
LONGEST_PROMPT = 64
"""Tokens that any of these prompts has at most, whatever the tokenizer."""
BLOCK = 32
"""Tokens a block of the cache of keys and values on the CPU."""
LEAST_BLOCKS = 512
FITS = 0.84
"""Share of a GPU's memory for all engines together; contexts, graphs and the runtime's own need the rest."""
BUDGET = {"cpu": 2048, "cuda": 16384}
"""Tokens a step."""


@dataclass(frozen=True)
class Load:
    """How many prompts at once, and how many samples of each."""

    prompts: int
    samples: int

    @property
    def rows(self) -> int:
        """Samples in flight."""
        return self.prompts * self.samples

    def __str__(self) -> str:
        return f"{self.prompts}x{self.samples}"


@dataclass(frozen=True)
class SettingsGiven:
    """One set of the runtime's settings: how it is called, and what is laid over the runtime's defaults."""

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ThroughputPlan:
    """What is measured; see ``patchkit bench throughput --help``.

    Attributes:
        random_weights: the model is a configuration alone, whose weights are made while loading.
        pairs: how often each side runs each load; the warm-up before them is not counted.
        tokens: of every sample.
        memory: share of a GPU's memory that each engine gets; 0: what fits.
        profile_tokens: of every sample of the run that is profiled; 0: none is.
        memory_steps: decode steps after which memory is looked at, at ten points; 0: it is not.
        uninstalled: the runtime's engine is measured after ``uninstall()`` as well.
    """

    model: str
    random_weights: bool
    loads: Sequence[Load]
    modes: Sequence[Mode]
    settings: Sequence[SettingsGiven]
    pairs: int = 6
    tokens: int = 128
    device: str = "cpu"
    memory: float = 0.0
    engine: Mapping[str, Any] = field(default_factory=dict)
    sampling: Mapping[str, Any] = field(default_factory=lambda: dict(SAMPLING))
    profile_tokens: int = 0
    memory_steps: int = 0
    uninstalled: bool = False

    @property
    def prompts(self) -> dict[str, Any]:
        """The kind of prompts: a model that was trained gets text that it can answer."""
        return dict(RANDOM_PROMPT if self.random_weights else TEXT_PROMPT)

    @property
    def engines(self) -> int:
        """How many engines are held at once: plain vLLM in every mode, and the runtime in one."""
        return len(self.modes) + 1

    def engine_settings(self, mode: Mode) -> dict[str, Any]:
        """Keyword arguments of ``vllm.LLM``, the same for both sides of a pair."""
        rows = max(load.rows for load in self.loads)
        length = LONGEST_PROMPT + self.tokens
        settings: dict[str, Any] = {
            "enforce_eager": mode == "eager",
            "max_model_len": length,
            "max_num_seqs": max(rows, 16),
            "max_num_batched_tokens": max(BUDGET[self.device], length),
        }
        if self.device == "cpu":
            blocks = rows * (-(-length // BLOCK) + 1)
            settings |= {"num_gpu_blocks_override": max(LEAST_BLOCKS, blocks)}
        else:
            settings |= {"gpu_memory_utilization": self.memory or round(FITS / self.engines, 2)}
            if mode == "graphs":
                settings["cudagraph_capture_sizes"] = None  # vLLM's own sizes; the worker's are for gates
        if self.random_weights:
            settings |= {"load_format": "dummy", "skip_tokenizer_init": True}
        return {**settings, **self.engine}


def read_loads(text: str) -> list[Load]:
    """``1x16,8x16``: prompts x samples."""
    loads = []
    for one in text.split(","):
        found = LOAD.fullmatch(one.strip())
        if not found:
            raise PatchkitError(f"--loads: {one.strip()!r} is not PROMPTSxSAMPLES", "e.g. --loads 1x16,8x16")
        loads.append(Load(int(found[1]), int(found[2])))
    if len(set(loads)) < len(loads):
        raise PatchkitError("--loads: a load is listed twice", "list each once")
    return loads


def read_modes(text: str) -> list[Mode]:
    """``eager,graphs``."""
    modes: list[Mode] = []
    for one in text.split(","):
        known = [mode for mode in MODES if mode == one.strip()]
        if not known or known[0] in modes:
            what = "is listed twice" if known else f"is none of {', '.join(MODES)}"
            raise PatchkitError(f"--modes: {one.strip()!r} {what}", "e.g. --modes eager,graphs")
        modes += known
    return modes


def read_settings(texts: Sequence[str]) -> list[SettingsGiven]:
    """``KEY=VALUE,KEY=VALUE`` each, read as YAML reads values, or ``defaults``; nothing given is the defaults alone."""
    found = [SettingsGiven(text.strip(), _values(text.strip())) for text in texts or [DEFAULTS]]
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise PatchkitError("--settings: a set of settings is given twice", "give each once")
    return found


def _values(text: str) -> dict[str, Any]:
    form = f"KEY=VALUE,KEY=VALUE, or --settings {DEFAULTS}"
    return {} if text == DEFAULTS else key_values(text.split(","), "--settings", form)
