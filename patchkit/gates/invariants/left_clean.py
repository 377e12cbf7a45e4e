"""A runtime that is uninstalled leaves nothing behind, and draws nothing from global random generators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from patchkit.gates.invariants.base import Broken, Figures, Params, count_clause, invariant
from patchkit.gates.part_run import Run

SEVERAL = 3  # differences listed in one line
MB = 1e6

LINES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "attribute": lambda one: f"{one['name']} is {one['is'] or 'gone'}",
    "hook": lambda one: f"{one['name']} has {one['is']}",
    "memory": lambda one: f"{one['bytes'] / MB:.1f} MB of tensors are held, the largest {one['largest']}",
    "random": lambda one: (
        f"the global generator of {one['name']} was moved beside vLLM's own draws, by step {one['step']}"
    ),
    "counter": lambda one: f"the counter {one['name']} was {one['was']} and is {one['is']}",
    "raised": lambda one: f"{one['name']} raised {one['is']}",
}


@invariant(clauses=(count_clause(82, "clean_passes", "{} passes left vLLM clean"),))
def left_clean(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """After uninstall() vLLM, its engine, memory and the counters are as before, in every pass with the runtime."""
    done = run.passes("patched")
    figures["clean_passes"] = sum(one.left == [] for one in done)
    for one in done:
        at = f" (install {one.install})" if len(run.part.installs()) > 1 else ""
        if one.left is None:
            yield Broken(f"what uninstall() leaves was not examined{at}")
        elif one.left:
            lines = [LINES[what["what"]](what) for what in one.left[:SEVERAL]]
            more = f", and {len(one.left) - SEVERAL} more" if len(one.left) > SEVERAL else ""
            yield Broken(f"after uninstall(){at} {'; '.join(lines)}{more}")
    if not done:
        yield Broken("no pass with the runtime")
