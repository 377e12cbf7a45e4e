"""Which class vLLM instantiates for a model, device and settings, by its own rule, read off its sources.

A hook on a class is dead, in silence, where another class does the work. Nothing of vLLM is run to find out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary, ref

from patchkit.drift.deciding.evaluator import Evaluator
from patchkit.drift.deciding.facts import Circumstances
from patchkit.drift.deciding.frames import Given
from patchkit.drift.deciding.names import Bindings
from patchkit.drift.deciding.phrases import shown
from patchkit.drift.deciding.relevance import Relevance
from patchkit.drift.deciding.values import Reason, Routine, Thing, Unset, Value, either, one
from patchkit.drift.inference import Inference
from patchkit.drift.package import FUNCTIONS, Definition, Universe

MOST_TRIES = 4
"""How often more settings are taken as off before the question stays open."""

__all__ = ["Circumstances", "Selection", "selected"]


@dataclass(frozen=True)
class Selection:
    """The class that does the work.

    Attributes:
        chosen: full names of the classes that may be instantiated, where they are defined; one if it could be decided.
        place: where that happens, ``v1/worker/gpu_worker.py:302``.
        rule: the conditions that decided, in the order met, each with its place.
        guessed: what could not be decided from the sources, and what was taken for it.
    """

    chosen: tuple[str, ...]
    place: str
    rule: tuple[str, ...]
    guessed: tuple[str, ...]


def selected(
    universe: Universe, inference: Inference, hooked: str, by: str, circumstances: Circumstances
) -> Selection | None:
    """The class that is instantiated where the hooked one used to be.

    Args:
        universe: a release.
        inference: its types.
        hooked: full name of the class; the search is for it, its subclasses, and others of the same name.
        by: full name of the method (or function) that instantiates it and keeps it in an attribute (or returns it).
        circumstances: the model, the device.

    Returns:
        None if the release has no such method, or it instantiates nothing of the kind.
    """
    relevance, bindings = _remembered(universe)
    question = _Question(universe, inference, hooked, by, circumstances, relevance, bindings)
    try:
        return question.answer()
    except RecursionError:
        return Selection((), question.place, (), (f"{by}: too deep to follow",))


_READ: WeakKeyDictionary[Universe, tuple[Relevance, Bindings]] = WeakKeyDictionary()


def _remembered(universe: Universe) -> tuple[Relevance, Bindings]:
    """What earlier questions found in the same release, which is the greater part of the work."""
    if universe not in _READ:
        _READ[universe] = Relevance(ref(universe)), Bindings()
    return _READ[universe]


@dataclass
class _Question:
    universe: Universe
    inference: Inference
    hooked: str
    by: str
    circumstances: Circumstances
    relevance: Relevance
    bindings: Bindings
    place: str = ""

    def answer(self) -> Selection | None:
        routine = self._routine()
        if routine is None:
            return None
        for attribute in self._attributes(routine):
            every = self._outcome(routine, attribute, self._evaluator(undecided=True))
            if any(self._akin(thing) for thing in _things(every)):
                return self._decide(routine, attribute, every)
        return None

    def _routine(self) -> Routine | None:
        """The method, on an object of the class that it was named with."""
        found = self.universe.find(self.by)
        if found is None or not isinstance(found.node, FUNCTIONS):
            return None
        self.place = found.place
        holder = self.universe.find(self.by.rpartition(".")[0])
        receiver = None
        if holder is not None and isinstance(holder.node, ast.ClassDef):
            receiver = one(Thing(holder.name, holder))
        return Routine(id(found.node), receiver, found.node, found.module, found.owner)

    def _attributes(self, routine: Routine) -> Iterator[str]:
        """Attributes that the method sets, those that look like it first; "" is what it returns."""
        thing = routine.receiver.only if routine.receiver else None
        if isinstance(thing, Thing):
            name = self.by.rpartition(".")[2]
            known = self.relevance.attributes(thing.definition, name).sets
            yield from sorted(known, key=lambda attribute: (not self._looks(thing.definition, attribute), attribute))
        yield ""

    def _looks(self, holder: Definition, attribute: str) -> bool:
        """Whether an attribute is set from something whose name ends as the hooked class's does."""
        word = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", self.hooked)[-1:]
        texts = [
            shown(setting.statement)
            for owner in self.universe.lineage(holder)
            if isinstance(owner.node, ast.ClassDef)
            for setting in owner.module.set_on_self(owner.node).get(attribute, [])
        ]
        return any(part in text for part in word for text in texts)

    def _evaluator(self, assumed: frozenset[Reason] = frozenset(), undecided: bool = False) -> Evaluator:
        return Evaluator(
            self.universe, self.inference, self.relevance, self.bindings, self.circumstances, assumed, undecided
        )

    @staticmethod
    def _outcome(routine: Routine, attribute: str, evaluator: Evaluator) -> Value:
        """What the method leaves in an attribute of its object, or returns."""
        wanted = frozenset({attribute} if attribute else ())
        ended = evaluator.calls.follow(routine, Given(more=True), {}, wanted, leading=True)
        if not attribute:
            return either([value for value, _ in ended])
        why = frozenset[Reason]().union(*(value.why for value, _ in ended))
        return either([fields[attribute] for _, fields in ended if attribute in fields], why)

    def _akin(self, thing: Thing) -> bool:
        """Whether a class is the hooked one, one of its subclasses, or has its name."""
        name = self.hooked.rpartition(".")[2]
        return any(owner.name.rpartition(".")[2] == name for owner in self.universe.lineage(thing.definition))

    def _decide(self, routine: Routine, attribute: str, every: Value) -> Selection:
        """Take settings as off that are not known, but only those on which the outcome rests."""
        assumed: frozenset[Reason] = frozenset()
        for _ in range(MOST_TRIES):
            evaluator = self._evaluator(assumed)
            outcome = self._outcome(routine, attribute, evaluator)
            further = {reason for reason in outcome.why if reason.setting} - assumed
            if _is_clear(outcome) or not further:
                break
            assumed |= further
        clear = _is_clear(outcome)
        things = _things(outcome if clear else either([outcome, every]))
        guessed = [f"{_told(reason)}: not known, taken as off" for reason in sorted(assumed, key=_told)]
        if not clear:
            guessed += [f"{_told(reason)}: not known" for reason in sorted(outcome.why - assumed, key=_told)]
            guessed = guessed or [f"{self.by}: no way through it could be followed to its end"]
        return Selection(
            tuple(dict.fromkeys(thing.name for thing in things)),
            things[0].made if things else self.place,
            tuple(dict.fromkeys(evaluator.notes)),
            tuple(guessed),
        )


def _things(value: Value) -> list[Thing]:
    return [option for option in value.options if isinstance(option, Thing) and option.made]


def _is_clear(outcome: Value) -> bool:
    """Whether it is one class, whatever way leads to it."""
    things = _things(outcome)
    rest = [option for option in outcome.options if option not in things and not isinstance(option, Unset)]
    return not rest and len({thing.name for thing in things}) == 1


def _told(reason: Reason) -> str:
    return f"{reason.text} ({reason.place})"
