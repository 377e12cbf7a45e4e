"""Compares the surface that the manifest declares with what the runtime's code touches."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from patchkit.drift.package import Package, Universe
from patchkit.drift.runtime_usage import read_code
from patchkit.drift.source import Source
from patchkit.drift.touch import Touch, Unread
from patchkit.release import version_of
from patchkit.series.manifest import Manifest, Surface

MISSING = "is missing"
CHECKED = ("wraps", "replaces", "calls", "unpacks", "reads", "constructs", "derives", "writes")
"""Manners that the code shows; settings, source text, what is kept and what is selected are known to people only."""


class Folder:
    """The Python files under a folder, as a :class:`Source`: a runtime's own code."""

    published = False

    def __init__(self, root: Path, release: str) -> None:
        self.root, self.release, self.origin = root, release, str(root)

    def read(self, path: str) -> str | None:
        file = self.root / path
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else None

    def paths(self) -> Collection[str]:
        return [file.relative_to(self.root).as_posix() for file in sorted(self.root.rglob("*.py"))]


@dataclass(frozen=True)
class Mismatch:
    """A touch that the manifest does not declare (``place`` says where), or a declared one that is nowhere."""

    symbol: str
    manner: str
    place: str

    def __str__(self) -> str:
        if self.manner == MISSING:
            return f"declared, but no release that was read has {self.symbol}"
        if self.place:
            return f"undeclared: {self.place} {self.manner} {self.symbol}"
        return f"declared, but nothing in the code {self.manner} {self.symbol}"


@dataclass(frozen=True)
class Touched:
    """What one state of the runtime's code touches of one vLLM release.

    Attributes:
        known: canonical names by those used.
        missing: what the manifest names and this release does not have.
        unread: lines that may touch vLLM and could not be followed.
        release: the vLLM release; empty if it is not known.
    """

    title: str
    touches: tuple[Touch, ...]
    known: dict[str, str]
    missing: frozenset[str]
    unread: tuple[Unread, ...] = ()
    release: str = ""


def touched(title: str, tree: Path, manifest: Manifest, vllm: Source) -> Touched:
    package = Package(vllm, "vllm")
    code = read_code(Package(Folder(tree, title), manifest.package), package, manifest.surface.types)
    universe = Universe(package)
    surface = manifest.surface
    makers = (by for chosen in surface.selected.values() for by in chosen.by.values())
    declared = {*surface.manners(), *makers, *surface.called_from, *surface.behind}
    names = {*declared, *(touch.symbol for touch in code.touches)}
    missing = frozenset(name for name in declared if universe.find(name) is None)
    known = {name: canonical(name, universe) for name in names}
    return Touched(title, code.touches, known, missing, code.unread, vllm.release)


def canonical(symbol: str, universe: Universe) -> str:
    """One name for a symbol that has several: the class where it is defined, and its own name."""
    found = universe.find(symbol)
    return found.name if found else symbol


def mismatches(surface: Surface, states: Sequence[Touched]) -> Iterator[Mismatch]:
    """What is touched but not declared, in the order of the code; then what is declared but never touched."""
    declared = {(manner, symbol) for symbol, manners in surface.manners().items() for manner in manners}
    unseen = {pair for pair in declared if pair[0] in CHECKED}
    reported: set[tuple[str, str]] = set()
    for state in states:
        ours = {(manner, state.known[symbol]): (manner, symbol) for manner, symbol in declared}
        for touch in state.touches:
            if touch.manner == "imports":
                continue
            key = touch.manner, state.known[touch.symbol]
            unseen.discard(ours.get(key, key))
            if key not in ours and not _implied(touch, key[1], ours) and (touch.manner, touch.symbol) not in reported:
                reported.add((touch.manner, touch.symbol))
                yield Mismatch(touch.symbol, touch.manner, touch.place)
    elsewhere = _of_other_releases(surface, states)
    for manner, symbol in sorted(unseen):
        if symbol not in elsewhere:
            yield Mismatch(symbol, manner, "")
    for symbol in sorted(frozenset.intersection(*(state.missing for state in states)) - elsewhere):
        yield Mismatch(symbol, MISSING, "")


def _of_other_releases(surface: Surface, states: Sequence[Touched]) -> frozenset[str]:
    """Symbols that, by ``only_in``, none of the releases that were read has: nothing here can tell of them."""
    releases = [version for state in states if (version := version_of(state.release))]
    return frozenset(
        symbol for symbol in surface.only_in if releases and not any(surface.expects(symbol, one) for one in releases)
    )


def _implied(touch: Touch, name: str, declared: Collection[tuple[str, str]]) -> bool:
    """Whether a touch goes without saying: what replaces a method may call the original, and put it back."""
    return touch.manner in ("calls", "reads", "wraps") and any(
        (manner, name) in declared for manner in ("wraps", "replaces")
    )
