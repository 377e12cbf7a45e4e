"""The places where a runtime's code touches vLLM, and how something is called there."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Literal

from patchkit.drift.syntax import Function, positional

Manner = Literal["imports", "wraps", "replaces", "calls", "reads", "unpacks", "constructs", "derives", "writes", "text"]


@dataclass(frozen=True)
class CallShape:
    """How something is called, or may be: ``self`` left out.

    Attributes:
        positional: arguments by position.
        keywords: arguments by name.
        rest, named: whether ``*rest`` and ``**named`` are passed on, or taken.
        names: of what is taken by position, the names by which it may be given as well.
    """

    positional: int
    keywords: tuple[str, ...] = ()
    rest: bool = False
    named: bool = False
    names: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Touch:
    """One place in the runtime's code that touches one vLLM symbol.

    Attributes:
        symbol: full name, by the class through which it is reached.
        place: ``package/hooks.py:62``.
        call: for ``calls`` and ``constructs`` what is passed, for ``wraps`` and ``replaces`` what the replacement
            takes; None if that could not be followed.
        either: it takes a member of an enum for its value and a plain value alike, by ``getattr(x, "value", x)``.
    """

    symbol: str
    manner: Manner
    place: str
    call: CallShape | None = None
    either: bool = False


@dataclass(frozen=True)
class Unread:
    """A line of the runtime's code that may touch vLLM and could not be followed.

    Attributes:
        place: ``package/hooks.py:62``.
        why: what stands there, in a few words.
    """

    place: str
    why: str

    def __str__(self) -> str:
        return f"{self.place} {self.why}"


@dataclass(frozen=True)
class CodeRead:
    """A runtime's code, read against one vLLM: touches and unread lines in the order of files and lines."""

    touches: tuple[Touch, ...]
    unread: tuple[Unread, ...] = ()


def shape_of(call: ast.Call) -> CallShape:
    """What a call passes, ``self`` included where it is passed by hand."""
    return CallShape(
        sum(not isinstance(one, ast.Starred) for one in call.args),
        tuple(one.arg for one in call.keywords if one.arg),
        any(isinstance(one, ast.Starred) for one in call.args),
        any(one.arg is None for one in call.keywords),
    )


def accepted_by(function: Function, bound: int = 1) -> CallShape:
    """What a replacement takes, without its first ``bound`` parameters: of a method, ``self``."""
    arguments = function.args
    return CallShape(
        max(len(positional(function)) - bound, 0),
        tuple(one.arg for one in arguments.kwonlyargs),
        arguments.vararg is not None,
        arguments.kwarg is not None,
        tuple(one.arg for one in arguments.args if one.arg in positional(function)[bound:]),
    )
