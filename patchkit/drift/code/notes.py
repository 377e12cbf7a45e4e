"""What reading the runtime's code brings: touches, and lines that could not be followed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from patchkit.drift.code.body import Body
from patchkit.drift.inference import Callable, Class, Inference, Instance, Missing, Namespace, TupleType, Type
from patchkit.drift.package import Definition, Universe
from patchkit.drift.touch import CallShape, Manner, Touch, Unread


@dataclass
class Notes:
    """Keeps touches and unread lines while code is read.

    Attributes:
        top: vLLM's own package name.
        either: expressions that are taken for a plain value or for a member of an enum, whichever they are.
        muted: above zero, an expression is evaluated only for its type.
        noted: how often something was.
        followed: places of lines that were followed with some arguments, though not with others.
    """

    universe: Universe
    inference: Inference
    top: str
    touches: dict[Touch, None] = field(default_factory=dict)
    lost: dict[Unread, None] = field(default_factory=dict)
    followed: set[str] = field(default_factory=set)
    either: set[ast.AST] = field(default_factory=set)
    muted: int = 0
    noted: int = 0

    def unread(self) -> Iterator[Unread]:
        """Lines that were followed with no arguments that were seen."""
        yield from (one for one in self.lost if one.place not in self.followed)

    def touch(self, symbol: str, manner: Manner, body: Body, where: ast.AST, call: CallShape | None = None) -> None:
        if not self.muted and self.is_vllm(symbol):
            self.noted += 1
            self.touches[Touch(symbol, manner, body.place(where), call, where in self.either)] = None

    def lose(self, why: str, body: Body, where: ast.AST) -> None:
        """A line that may touch vLLM, and cannot be followed."""
        if not self.muted:
            self.lost[Unread(body.place(where), why)] = None

    def follow(self, body: Body, where: ast.AST) -> None:
        if not self.muted:
            self.followed.add(body.place(where))

    def unpack(self, kind: Type | None, where: ast.AST, body: Body, values: int | None = None) -> None:
        """Values are taken out of what a function returned, by their place; None if it takes whatever there is."""
        if isinstance(kind, TupleType):
            self.touch(kind.by, "unpacks", body, where, None if values is None else CallShape(values))

    def read_member(self, holder: Type | None, name: str, body: Body, where: ast.AST) -> None:
        if not isinstance(holder, (Instance, Class, Namespace)):
            return
        found = self.universe.member(definition_of(holder), name)
        if found is None or isinstance(found.node, ast.Module):  # a module, or it comes from torch or Python
            return
        if self.is_vllm(definition_of(holder).name):
            self.touch(f"{definition_of(holder).name}.{name}", "reads", body, where)
        elif found.owner is not None:  # inherited by a class of the runtime
            self.touch(found.name, "reads", body, where)

    def is_vllm(self, name: str) -> bool:
        return name.partition(".")[0] == self.top

    def of_vllm(self, kind: Type | None) -> bool:
        """Whether it is a class, module, function or object of vLLM, as far as its type shows."""
        if isinstance(kind, Missing):
            return True
        if isinstance(kind, (Instance, Class, Namespace, Callable)):
            return self.is_vllm(definition_of(kind).name)
        return False


def definition_of(kind: Instance | Class | Namespace | Callable) -> Definition:
    return kind.of if isinstance(kind, Instance) else kind.definition
