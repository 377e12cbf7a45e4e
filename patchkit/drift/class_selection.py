"""Which class vLLM instantiates for a model, by its own code: read and followed, never run.

The places that may instantiate it are found first; then only the conditions that distinguish them are evaluated, for
an unquantised checkpoint that generates text, with every setting at its default. The model's classes say what it is.
What is not known counts as off, and is listed as guessed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable as Function
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

from patchkit.drift.evaluator import Evaluator, Frame
from patchkit.drift.inference import Callable, Class, Inference
from patchkit.drift.model_traits import Facts, Model
from patchkit.drift.package import Definition, Universe
from patchkit.drift.syntax import FUNCTIONS, targets

DEEPEST = 4
"""Methods that hand over to one another before the class is made."""
MOST_TRIED = 4
"""Unknown traits, tried in every combination."""
ASSUMED = {name: f"{name}: the checkpoint says it, not its class" for name in ("is_quantized", "is_diffusion")}
"""Facts that no class of a model shows: assumed off, and listed when used."""


@dataclass(frozen=True)
class SelectionInputs:
    """What is assumed: "cuda" with Triton, or "cpu" without; all else is at its default."""

    architecture: str
    device: str

    def facts(self, universe: Universe) -> Facts:
        """The values of attributes and functions by name, on any object."""
        cuda = self.device == "cuda"
        off = ("is_mm_encoder_only", "is_rocm", "is_tpu", "is_xpu", "is_unspecified", *ASSUMED)
        given = dict.fromkeys(off, False) | {
            "architectures": [self.architecture],
            "architecture": self.architecture,
            "runner_type": "generate",
            "HAS_TRITON": cuda,
            "is_cuda": cuda,
            "is_cuda_alike": cuda,
            "is_cpu": not cuda,
        }
        return Facts(Model(universe, self.architecture), given, ASSUMED)


@dataclass(frozen=True)
class Selection:
    """What is instantiated.

    Attributes:
        chosen: full names of the classes; one, unless nothing was found that distinguishes them.
        place: ``v1/worker/gpu_worker.py:302``, where the (first) one is made.
        rule: the conditions that decided, with places.
        guessed: what is not known and was assumed off.
    """

    chosen: tuple[str, ...]
    place: str
    rule: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()


class Condition(NamedTuple):
    """A test, the outcome that leads on, and where the test stands."""

    test: ast.expr
    wanted: bool
    frame: Frame


@dataclass(frozen=True)
class Candidate:
    """A class that may be instantiated, and the conditions that lead there."""

    made: Definition
    place: str
    conditions: tuple[Condition, ...]


def selected(
    universe: Universe, inference: Inference, hooked: str, by: str, inputs: SelectionInputs
) -> Selection | None:
    """The class that ``by`` instantiates in the place of ``hooked``; None if it makes nothing of the kind.

    Args:
        hooked: full name of the class that a runtime hooks; ``CPUModelRunner`` may stand where ``GPUModelRunner`` does.
        by: full name of the method that makes it, itself or through methods that it calls.
    """
    function, holder = universe.find(by), universe.find(by.rpartition(".")[0])
    if function is None or not isinstance(function.node, FUNCTIONS):
        return None
    found = list(_candidates(function, holder, inference, _ending(hooked)))
    if not found:
        return None
    common = [one for one in found[0].conditions if all(one in each.conditions for each in found)]
    facts = inputs.facts(universe)
    evaluator = Evaluator(inference, facts)
    chosen = _chosen(found, common, evaluator)

    def same(otherwise: Facts) -> bool:
        return _names(_chosen(found, common, Evaluator(inference, otherwise))) == _names(chosen)

    matters = _mattering(same, facts)
    guessed = (*evaluator.guessed, *facts.guessed(matters))
    return Selection(_names(chosen), chosen[0].place, (*facts.rule, *evaluator.rule), guessed)


def _chosen(found: Sequence[Candidate], common: Sequence[Condition], evaluator: Evaluator) -> Sequence[Candidate]:
    """Those whose conditions hold; all, if none's do."""
    try:
        return [one for one in found if _holds(one, common, evaluator)] or found
    except RecursionError:
        evaluator.guessed.append("the code is nested too deep to be followed")
        return found


def _names(chosen: Sequence[Candidate]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.made.name for one in chosen))


def _mattering(same: Function[[Facts], bool], facts: Facts) -> list[str]:
    """The guessed traits that matter: all of them, unless the choice is the same for every combination.

    Traits that are used only if another is inverted are tried too.
    """
    tried = set[frozenset[str]]()
    while len(facts.guessed_traits) <= MOST_TRIED:
        names = facts.guessed_traits
        subsets = {frozenset(some) for size in range(len(names)) for some in combinations(names, size + 1)} - tried
        if not subsets:
            return []
        if not all(same(facts.inverting(some)) for some in subsets):
            break
        tried |= subsets
    return facts.guessed_traits


def _holds(candidate: Candidate, common: Sequence[Condition], evaluator: Evaluator) -> bool:
    """Whether every condition holds, but those that all candidates share."""
    own = [one for one in candidate.conditions if one not in common]
    return all(evaluator.test(one.test, one.frame) is one.wanted for one in own)


def _ending(name: str) -> str:
    """The last two words of a class's name: ``GPUModelRunner`` -> ModelRunner."""
    found = re.search(r"(?:[A-Z][a-z0-9]+){1,2}$", name)
    return found.group() if found else name.rpartition(".")[2]


Local = list[tuple[str, Definition, tuple[Condition, ...]]]
"""Classes to which a function itself gives names, and under which conditions."""


def _candidates(
    function: Definition, holder: Definition | None, inference: Inference, ending: str, depth: int = 0
) -> Iterator[Candidate]:
    """Every class whose name has this ending that a function makes, and keeps or returns; also in methods it calls.

    Args:
        holder: the class of its ``self``, which may derive from the one that defines the function.
    """
    assert isinstance(function.node, FUNCTIONS)
    own = holder if function.owner else None
    frame = Frame.of(Definition(function.name, function.node, function.module, own), inference)
    local: Local = []
    for statement, tests in under_conditions(function.node.body):
        conditions = tuple(Condition(test, wanted, frame) for test, wanted in tests)
        local += [
            (name, found, (*conditions, *more)) for name, found, more in _named(statement, local, inference, frame)
        ]
        if not isinstance(statement, (ast.Return, ast.Expr)) and not _is_kept(statement):
            continue
        for value, more in _alternatives(getattr(statement, "value", None), frame):
            if not isinstance(value, ast.Call):
                continue
            for found, above in (
                [] if isinstance(statement, ast.Expr) else _classes(value.func, local, inference, frame)
            ):
                if isinstance(found.node, ast.ClassDef) and found.node.name.endswith(ending):
                    yield Candidate(found, frame.place(statement), tuple(dict.fromkeys((*conditions, *more, *above))))
            called = inference.expression(value.func, function.module, frame.types)
            if isinstance(called, Callable) and called.bound and depth < DEEPEST:
                inner = holder if ast.unparse(value.func).startswith("self.") else called.definition.owner
                for one in _candidates(called.definition, inner, inference, ending, depth + 1):
                    yield replace(one, conditions=(*conditions, *more, *one.conditions))


def _named(
    statement: ast.stmt, local: Local, inference: Inference, frame: Frame
) -> Iterator[tuple[str, Definition, tuple[Condition, ...]]]:
    """The classes that a statement gives a name to: by an import, or an assignment."""
    if isinstance(statement, ast.ImportFrom):
        for alias in statement.names:
            found = inference.universe.find(f"{statement.module}.{alias.name}")
            if found:
                yield alias.asname or alias.name, found, ()
    elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        for value, more in _alternatives(statement.value, frame):
            for found, above in _classes(value, local, inference, frame):
                yield statement.targets[0].id, found, (*more, *above)


def _alternatives(value: ast.expr | None, frame: Frame) -> Iterator[tuple[ast.expr, tuple[Condition, ...]]]:
    if isinstance(value, ast.IfExp):
        yield value.body, (Condition(value.test, True, frame),)
        yield value.orelse, (Condition(value.test, False, frame),)
    elif value is not None:
        yield value, ()


def _classes(
    named: ast.expr, local: Local, inference: Inference, frame: Frame
) -> list[tuple[Definition, tuple[Condition, ...]]]:
    """The classes that a name may stand for: by the function's own statements, each under its conditions, else one."""
    classes: list[tuple[Definition, tuple[Condition, ...]]] = []
    for value, more in _alternatives(named, frame):
        known = [(found, (*more, *above)) for name, found, above in local if name == ast.unparse(value)]
        kind = None if known else inference.expression(value, frame.module, frame.types)
        classes += known or ([(kind.definition, more)] if isinstance(kind, Class) else [])
    return classes


def _is_kept(statement: ast.stmt) -> bool:
    return isinstance(statement, (ast.Assign, ast.AnnAssign)) and any(
        isinstance(one, ast.Attribute) for one in targets(statement)
    )


def under_conditions(
    body: Sequence[ast.stmt], above: tuple[tuple[ast.expr, bool], ...] = ()
) -> Iterator[tuple[ast.stmt, tuple[tuple[ast.expr, bool], ...]]]:
    """Every simple statement, with the tests that lead to it; what follows an early return has its test denied."""
    for statement in body:
        if isinstance(statement, ast.If):
            yield from under_conditions(statement.body, (*above, (statement.test, True)))
            yield from under_conditions(statement.orelse, (*above, (statement.test, False)))
            if isinstance(statement.body[-1], (ast.Return, ast.Raise)):
                above = (*above, (statement.test, False))
        elif isinstance(statement, (ast.With, ast.Try, ast.For)):
            yield from under_conditions(statement.body, above)
        elif not isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
            yield statement, above
