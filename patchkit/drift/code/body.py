"""Where a statement stands while it is read: its module, the types of the names around it, what it is read for."""

from __future__ import annotations

import ast
from collections.abc import Callable as Function
from dataclasses import dataclass, field

from patchkit.drift.inference import Type
from patchkit.drift.module import Module
from patchkit.drift.package import Definition

Scope = dict[str, Type | None]
"""Types of local names; None for one that hides a name of the module and is not known."""


@dataclass
class Body:
    """The body of a module, a class or a function.

    Attributes:
        name: full name of what is read.
        owner: the class whose body it is.
        inside: the class whose method it is, or stands in one.
        returned: what its ``return`` statements gave.
        later: bodies of the functions in it, which are read when the rest has been.
        copied: it is read with the arguments of one call; what holds for every call is not learned from it.
    """

    module: Module
    name: str
    scope: Scope
    owner: Definition | None = None
    inside: Definition | None = None
    returned: list[Type | None] = field(default_factory=list)
    later: list[Function[[], None]] = field(default_factory=list)
    copied: bool = False

    def place(self, where: ast.AST) -> str:
        return f"{self.module.path}:{getattr(where, 'lineno', 1)}"


@dataclass(frozen=True)
class Extra:
    """What one object of a function carries beside its code.

    Attributes:
        scope: names of the function around it, as they were when it was made.
        given, named: arguments that ``partial`` has bound.
        static: no ``self`` is passed to it.
        bound: ``self`` is bound already.
    """

    scope: Scope = field(default_factory=dict)
    given: tuple[Type | None, ...] = ()
    named: tuple[tuple[str, Type | None], ...] = ()
    static: bool = False
    bound: bool = False


def dotted(written: ast.expr) -> str:
    """``a.b.c`` as it is written, much faster than ``ast.unparse``; ``?`` stands for what is no name."""
    parts: list[str] = []
    while isinstance(written, ast.Attribute):
        parts.append(written.attr)
        written = written.value
    parts.append(written.id if isinstance(written, ast.Name) else "?")
    return ".".join(reversed(parts))
