"""Which class vLLM instantiates for a model, by its own rule: read and followed, never run.

The places that may instantiate it are found first; then only the conditions that tell them apart are worked out, for a
dense, unquantised model that generates text, with every setting at its default. What is not known counts as off.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from patchkit.drift.evaluator import Evaluator, Frame
from patchkit.drift.inference import Callable, Class, Inference
from patchkit.drift.package import FUNCTIONS, Definition, Universe, targets

DEEPEST = 4
"""Methods that hand over to one another before the class is made."""


@dataclass(frozen=True)
class Circumstances:
    """What is assumed: "cuda" with Triton, or "cpu" without; all else is at its default."""

    architecture: str
    device: str

    def facts(self) -> dict[str, object]:
        """What attributes and functions of these names say, whatever has them."""
        off = ("is_moe", "is_quantized", "is_hybrid", "is_attention_free", "is_diffusion", "has_inner_state", "use_mla")
        cuda = self.device == "cuda"
        return dict.fromkeys((*off, "is_mm_encoder_only", "is_rocm", "is_tpu", "is_xpu", "is_unspecified"), False) | {
            "architectures": [self.architecture],
            "architecture": self.architecture,
            "runner_type": "generate",
            "HAS_TRITON": cuda,
            "is_cuda": cuda,
            "is_cuda_alike": cuda,
            "is_cpu": not cuda,
        }


@dataclass(frozen=True)
class Selection:
    """What is instantiated.

    Attributes:
        chosen: full names of the classes; one, unless no rule could be found that tells them apart.
        place: ``v1/worker/gpu_worker.py:302``, where the (first) one is made.
        rule: what decided, with places.
        guessed: what the rule asks and is not known: taken as off.
    """

    chosen: tuple[str, ...]
    place: str
    rule: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()


Condition = tuple[ast.expr, bool]
"""A test, and the outcome that leads on."""


@dataclass(frozen=True)
class Candidate:
    """A class that may be made, and the conditions above that place."""

    made: Definition
    place: str
    conditions: tuple[Condition, ...]
    frame: Frame


def selected(
    universe: Universe, inference: Inference, hooked: str, by: str, circumstances: Circumstances
) -> Selection | None:
    """The class that ``by`` instantiates in the place of ``hooked``; None if it makes nothing of the kind.

    Args:
        hooked: full name of the class that a runtime hooks; ``CPUModelRunner`` may stand where ``GPUModelRunner`` does.
        by: full name of the method that makes it, itself or through methods that it calls.
    """
    function = universe.find(by)
    if function is None or not isinstance(function.node, FUNCTIONS):
        return None
    found = list(_candidates(function, inference, _ending(hooked)))
    if not found:
        return None
    common = [one for one in found[0].conditions if all(one in each.conditions for each in found)]
    evaluator = Evaluator(inference, circumstances.facts())
    holding = [
        one
        for one in found
        if all(
            evaluator.test(test, one.frame) is wanted for test, wanted in one.conditions if (test, wanted) not in common
        )
    ]
    chosen = holding or found
    names = tuple(dict.fromkeys(one.made.name for one in chosen))
    return Selection(names, chosen[0].place, tuple(evaluator.rule), tuple(evaluator.guessed))


def _ending(name: str) -> str:
    """The last two words of a class's name: ``GPUModelRunner`` -> ModelRunner."""
    found = re.search(r"(?:[A-Z][a-z0-9]+){1,2}$", name)
    return found.group() if found else name.rpartition(".")[2]


def _candidates(function: Definition, inference: Inference, ending: str, depth: int = 0) -> Iterator[Candidate]:
    """Every class whose name has this ending that a function makes, and keeps or returns; also in methods it calls."""
    assert isinstance(function.node, FUNCTIONS)
    frame = Frame.of(function, inference)
    imported: list[tuple[str, Definition, tuple[Condition, ...]]] = []
    for statement, conditions in under_conditions(function.node.body):
        if isinstance(statement, ast.ImportFrom):
            imported += [(name, found, conditions) for name, found in _imported(statement, inference.universe)]
        call = getattr(statement, "value", None)
        if not isinstance(call, ast.Call) or not isinstance(
            statement, (ast.Assign, ast.AnnAssign, ast.Return, ast.Expr)
        ):
            continue
        for found, above in _made(call, imported, inference, frame):
            kept = isinstance(statement, ast.Return) or _is_kept(statement)
            if kept and isinstance(found.node, ast.ClassDef) and found.node.name.endswith(ending):
                yield Candidate(found, frame.place(statement), tuple(dict.fromkeys((*conditions, *above))), frame)
        called = inference.expression(call.func, function.module, frame.types)
        if isinstance(called, Callable) and called.bound and depth < DEEPEST:
            for one in _candidates(called.definition, inference, ending, depth + 1):
                yield replace(one, conditions=(*conditions, *one.conditions))


def _imported(statement: ast.ImportFrom, universe: Universe) -> Iterator[tuple[str, Definition]]:
    for alias in statement.names:
        found = universe.find(f"{statement.module}.{alias.name}")
        if found:
            yield alias.asname or alias.name, found


def _made(
    call: ast.Call,
    imported: Sequence[tuple[str, Definition, tuple[Condition, ...]]],
    inference: Inference,
    frame: Frame,
) -> list[tuple[Definition, tuple[Condition, ...]]]:
    """The classes that a call may make: by the function's own imports, each under its conditions, else the module's."""
    local = [(found, above) for name, found, above in imported if name == ast.unparse(call.func)]
    if local:
        return local
    called = inference.expression(call.func, frame.module, frame.types)
    return [(called.definition, ())] if isinstance(called, Class) else []


def _is_kept(statement: ast.stmt) -> bool:
    """Whether it sets an attribute."""
    return isinstance(statement, (ast.Assign, ast.AnnAssign)) and any(
        isinstance(one, ast.Attribute) for one in targets(statement)
    )


def under_conditions(
    body: Sequence[ast.stmt], above: tuple[Condition, ...] = ()
) -> Iterator[tuple[ast.stmt, tuple[Condition, ...]]]:
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
