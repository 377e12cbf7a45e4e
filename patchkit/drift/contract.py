"""What a vLLM symbol promises in one release: kind, parameters, returns, value, side effects, a hash of its body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Parameter:
    """One parameter after ``self``; ``kind`` is "positional", "keyword" (keyword-only), "rest" or "named"."""

    name: str
    kind: str
    default: str | None
    annotation: str

    @property
    def needed(self) -> bool:
        """A call must give it."""
        return self.default is None and self.kind in ("positional", "keyword")


@dataclass(frozen=True)
class Returned:
    """What one ``return`` gives: ``names`` of a tuple's values in order, or of the single one; none for None.

    ``known`` is false for what an unknown function returns: it is taken for one value, and may be a tuple.
    """

    names: tuple[str, ...]
    is_tuple: bool
    place: str
    known: bool = True

    def __str__(self) -> str:
        if not self.names and not self.is_tuple:
            return "None"
        said = ", ".join(name or "…" for name in self.names)
        return f"({said})" if self.is_tuple else said


@dataclass(frozen=True)
class CallSite:
    """Where vLLM itself calls a method, in which function, and with how much."""

    place: str
    caller: str
    positional: int
    keywords: tuple[str, ...]
    open_ended: bool


@dataclass(frozen=True)
class Contract:
    """One symbol in one release; ``defined`` is empty if it is not there.

    Attributes:
        symbol: the full name by which the runtime knows it.
        defined: the full name where it is defined.
        place: ``v1/sample/sampler.py:42``.
        hops: "re-exported", "inherited", as it was reached.
        kind: method, static method, class method, property, function, class, attribute, variable.
        annotation: what it returns, or is, by its annotation.
        value: the default of an attribute or a variable, as written.
        settled: where other code sets it, as configurations do after they are made -> a hash of under which conditions.
        effects: attributes that it sets on objects it was given or made, with the place.
        callers: where vLLM calls it, among the files that were read.
        perhaps_called: calls of the same name on objects whose type is not known, in the same files.
        overriders: what stands in its place: subclasses beside its class with a method of their own, assignments.
        holds: of an attribute, the kind of value; see :mod:`patchkit.drift.value_kind`.
        made: what an attribute is set to: the name of a class, "None"; empty if that does not show.
        unset: of an environment's variable, what it is where it is not set.
        body: hash of the code without docstrings and annotations.
        words: hashes of its statements, to know it again under another name.
        abstract: of a class, the methods that whatever derives from it must define.
        methods: of a class, all that it has, its own or inherited.
        read_only: of an attribute, setting it raises.
        anchors: pieces of source text that are looked for -> how often each stands there.
        elsewhere: where it seems to have gone, if it is not there.
        guessed: what static reading could not follow.
    """

    symbol: str
    defined: str = ""
    place: str = ""
    hops: tuple[str, ...] = ()
    kind: str = ""
    parameters: tuple[Parameter, ...] = ()
    annotation: str = ""
    returns: tuple[Returned, ...] = ()
    value: str = ""
    settled: Mapping[str, str] = field(default_factory=dict)
    effects: Mapping[str, str] = field(default_factory=dict)
    callers: tuple[CallSite, ...] = ()
    perhaps_called: tuple[CallSite, ...] = ()
    overriders: tuple[str, ...] = ()
    holds: str = ""
    made: str = ""
    unset: str = ""
    body: str = ""
    words: frozenset[int] = frozenset()
    abstract: frozenset[str] = frozenset()
    methods: frozenset[str] = frozenset()
    read_only: bool = False
    anchors: Mapping[str, int] = field(default_factory=dict)
    elsewhere: str = ""
    guessed: tuple[str, ...] = ()

    @property
    def there(self) -> bool:
        return bool(self.defined)
