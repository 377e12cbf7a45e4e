"""A project whose runtime is made up: two patches, and scenarios for the fake worker."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from packaging.specifiers import SpecifierSet
from runs import make_runtime

SCENARIO = """\
name: {name}
title: The {name} scenario
guards: nothing, it is made up
order: {order}
parts:
  - name: p
    engine: {engine}
    calls: [{{groups: [{{prompts: {{kind: random, count: 1, tokens: 4}}, max_tokens: 4}}]}}]
    invariants: [{invariant}]
"""


def patch(number: int, scenario: str, reason: str, *depends: str) -> SimpleNamespace:
    """The fields of a patch that the gates need."""
    return SimpleNamespace(
        number=number,
        name=f"{number:04}-fix",
        drift=number,
        caught_by=((scenario, re.compile(reason)),),
        applies_to=SpecifierSet(">=0.11.0"),
        depends=depends,
        symbols=["vllm.v1.engine.llm_engine.LLMEngine.step"],
    )


PATCHES = [patch(1, "first", "IndexError"), patch(2, "second", "killed by SIGKILL")]


def made_up_tree(project: Any, runtime: str, release: str, without: Sequence[str] = ()) -> SimpleNamespace:
    """A tree of the made-up series; the fake worker looks at its name."""
    left = [(one, "left out") for one in PATCHES if one.name in without]
    return SimpleNamespace(
        path=Path("/trees") / ("-".join(["without", *without]) if without else "whole"),
        runtime=make_runtime(name=runtime),
        taken=[one for one in PATCHES if one.name not in without],
        left=left,
        pin="0123456789abcdef",
        head="-".join(without),
        hash="0" * 40,
        code="1" * 40,
    )


class MadeUp:
    """A folder with ``patches/``, with one runtime that declares only its name, and ``scenarios/``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.gates = root / "patches" / "made_up" / "gates"
        self.gates.mkdir(parents=True)
        (self.gates.parent / "runtime.yaml").write_text("name: made_up\n")
        (root / "scenarios").mkdir()

    def add(self, name: str, text: str) -> Path:
        """Add a file to the runtime's own gates."""
        path = self.gates / name
        path.write_text(text)
        return path

    def scenario(self, name: str, engine: str = "{}", order: int = 1, invariant: str = "alive") -> Path:
        """Add a scenario."""
        path = self.root / "scenarios" / f"{name}.yaml"
        path.write_text(SCENARIO.format(name=name, order=order, engine=engine, invariant=invariant))
        return path
