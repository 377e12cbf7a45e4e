"""The gates' own taps in a compiled model: an operation in its graph keeps every row of a layer, in each replay.

Written independently of the runtime's: it copies all rows, not those of some index, and which of them count is picked
afterwards on the host. The model is compiled once, with whatever hooks it has then, so these are never taken away.
"""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from patchkit_probe.taps import find_norm, stream_or_normalised

MARK = "patchkit_probe_taps"  # in VllmConfig.additional_config
SPARE = 64  # rows beyond a step's tokens, to which a step may be padded

_taps: dict[int, "GraphTap"] = {}
_prepared: "weakref.WeakKeyDictionary[Any, dict[str, GraphTap]]" = weakref.WeakKeyDictionary()


def _keep(rows: torch.Tensor, number: int) -> None:
    _taps[number].keep(rows)


_library = torch.library.Library("patchkit_probe", "DEF")
# Said to write to its rows, which it does not: the compiler must neither drop it nor move it behind later writers.
_library.define("keep(Tensor(a!) rows, int number) -> ()")
_library.impl("keep", _keep, "CompositeExplicitAutograd")
torch.library.register_fake("patchkit_probe::keep", lambda rows, number: None, lib=_library)


class GraphTap:
    """All rows of one tap in the last forward pass; ``tap`` is named as in :class:`~patchkit_probe.taps.TapHook`."""

    def __init__(self, runner: Any, model: Any, tap: str) -> None:
        kind, _, number = tap.partition(":")
        norm = find_norm(model, kind, int(number))
        settings = runner.vllm_config
        rows = settings.scheduler_config.max_num_batched_tokens + SPARE
        size, dtype = settings.model_config.get_hidden_size(), settings.model_config.dtype
        self._rows = torch.zeros(rows, size, dtype=dtype, device=runner.device)
        self._runs = torch.zeros((), dtype=torch.int64, device=runner.device)
        self._runs_before = self._runs.clone()
        self._wanted: Callable[[], Sequence[int]] = list
        self._number = len(_taps)
        _taps[self._number] = self
        own = self._number

        def hook(module: Any, inputs: tuple[Any, ...], output: Any) -> None:
            torch.ops.patchkit_probe.keep(stream_or_normalised(kind, inputs, output), own)

        norm.register_forward_hook(hook)

    def keep(self, rows: torch.Tensor) -> None:
        """The operation itself: once in each forward pass."""
        count = min(len(rows), len(self._rows))
        self._rows[:count].copy_(rows[:count])
        self._runs += 1

    def begin(self, rows: Callable[[], Sequence[int]]) -> None:
        """A step begins; ``rows()`` returns packed row numbers of its decode rows."""
        self._wanted = rows
        self._runs_before.copy_(self._runs)

    def rows(self) -> torch.Tensor | None:
        """``[decode rows, hidden]`` of this step in the model's type; None if the operation did not run in it."""
        if int(self._runs) == int(self._runs_before):
            return None
        return self._rows[torch.tensor(list(self._wanted()), dtype=torch.int64, device=self._rows.device)]

    def remove(self) -> None:
        """Let go of the step; the graphs of the model go on to use the tap."""
        self._wanted = list


def prepare(runner: Any, taps: Sequence[str]) -> None:
    """Put the taps into a model that is loaded and not compiled yet.

    Raises:
        ValueError: the model has no such layer, or the settings hold something else where the mark goes.
    """
    settings = runner.vllm_config
    if settings.model_config.enforce_eager:
        return
    if not isinstance(settings.additional_config, dict):
        raise ValueError("the gates mark their taps in additional_config, which must be a dict")
    model = runner.get_model()
    _prepared[model] = {tap: GraphTap(runner, model, tap) for tap in taps}
    # vLLM's compile cache does not see what is traced.
    settings.additional_config[MARK] = list(taps)


def prepared(model: Any, taps: Sequence[str]) -> list[GraphTap]:
    """These taps of a model that was compiled with them; empty if it was compiled with none.

    Raises:
        ValueError: it was compiled with others.
    """
    found = _prepared.get(model)
    if found is None:
        return []
    if not found.keys() >= set(taps):
        raise ValueError(f"the model was compiled with the gates' taps {sorted(found)}, not with {sorted(taps)}")
    return [found[tap] for tap in taps]
