"""Turns releases into drifts; sources are prefetched while earlier ones are compared."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from patchkit.drift.code_cache import read_cached
from patchkit.drift.compare import compare, worst_first
from patchkit.drift.contract import Contract
from patchkit.drift.contract_reading import contract_of
from patchkit.drift.drift import Drift, Read
from patchkit.drift.findings import Finding
from patchkit.drift.findings.setting_changed import MANIFEST
from patchkit.drift.fixes import SymbolChange, with_fix
from patchkit.drift.gained_methods import gained_methods
from patchkit.drift.inference import Inference
from patchkit.drift.package import Package, Universe
from patchkit.drift.parameter_usage import with_usage
from patchkit.drift.reading import Reading, read
from patchkit.drift.retirement import ReleasePair, Retirement, retirements
from patchkit.drift.runtime_usage import read_code
from patchkit.drift.source import Prefetched, Source, source_of
from patchkit.drift.surface_check import Folder, canonical
from patchkit.drift.touch import CodeRead, Touch, Unread
from patchkit.drift.undefined_symbols import absent
from patchkit.errors import PatchkitError
from patchkit.project import Project
from patchkit.release import version_of
from patchkit.series.manifest import Manifest, Surface, load_manifest
from patchkit.series.patch import Patch
from patchkit.series.series import Series
from patchkit.series.worktree import made_of, patched_tree

AT_ONCE = 8
"""Releases read at once; with twice as many, 37 of them took as long."""


class RecordingSource:
    """A source that records which files were read: the next release needs mostly the same."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.release, self.origin, self.published = source.release, source.origin, source.published
        self.digest: str = getattr(source, "digest", "")
        self.wanted: set[str] = set()

    def read(self, path: str) -> str | None:
        self.wanted.add(path)
        return self._source.read(path)

    def paths(self) -> Collection[str]:
        return self._source.paths()


@dataclass(frozen=True)
class Scanner:
    """Compares releases for one runtime: its surface and its series."""

    project: Project
    manifest: Manifest
    series: Series

    @classmethod
    def of(cls, project: Project, runtime: str) -> Scanner:
        manifest = load_manifest(project, runtime)
        return cls(project, manifest, Series.load(manifest.folder))

    def drifts(self, sources: Sequence[Source], progress: Callable[[str], None] = lambda _: None) -> Iterator[Drift]:
        """What changed from each source to the next.

        Args:
            progress: called with the release that is read next.

        Raises:
            PatchkitError: a source cannot be read, or the manifest declares no surface.
        """
        if not self.manifest.surface.manners():
            raise PatchkitError(
                f"{self.manifest.folder / 'runtime.yaml'}: `surface` names no symbol of vLLM to be compared",
                f"declare what `patchkit surface --runtime {self.manifest.name}` lists",
            )
        seen: set[str] = set()
        before: Reading | None = None
        package: Package | None = None
        older: Package | None = None
        for source in self._ahead(sources):
            progress(source.release)
            older, package = package, Package.after(source, "vllm", package)
            reading = read(self.manifest.surface, package, before)
            if before is not None and older is not None:
                yield self._drift(before, reading, (older, package), seen)
            seen |= {name for name, contract in reading.contracts.items() if contract.there}
            before = reading

    def _ahead(self, sources: Sequence[Source]) -> Iterator[Source]:
        """The sources in order; while one is read, the same files of the next ones are prefetched."""
        recorded = [RecordingSource(source) for source in sources]
        wanted = likely_paths(self.manifest)
        asked: list[set[str]] = [set() for _ in sources]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            waiting: list[list[Future[None]]] = [[] for _ in sources]
            for at, source in enumerate(recorded):
                for ahead in range(at, min(at + AT_ONCE, len(sources))):
                    missing, source_ahead = wanted - asked[ahead], sources[ahead]
                    if missing and isinstance(source_ahead, Prefetched):
                        asked[ahead] |= missing
                        waiting[ahead].append(pool.submit(source_ahead.prefetch, missing))
                for one in waiting[at]:
                    one.result()
                yield source
                wanted |= source.wanted

    def _drift(self, old: Reading, new: Reading, packages: tuple[Package, Package], seen: set[str]) -> Drift:
        release, package = version_of(new.release), packages[1]
        fitted = PatchedTouches(self.project, self.manifest, old.release, packages[0])
        patched = PatchedTouches(self.project, self.manifest, new.release, package, like=fitted)
        surface = self.manifest.surface
        found = [one for one in compare(surface, old, new) if of_both(surface, one.symbol, old, new)]
        # A source that does not say which release it is takes the whole series.
        taken = [patch.name for patch in self.series.patches if release is None or patch.needed_on(release)]
        findings = [self._with_fix(self._with_usage(finding, old, new, fitted), old, new, patched) for finding in found]
        findings += [self._with_fix(finding, old, new, patched) for finding in gained_methods(new, patched)]
        findings = [hooked_besides(finding, new, surface) for finding in findings]
        lacking = list(absent(surface, old, new, seen, package))
        return Drift(
            self.manifest.name,
            self.manifest.pin,
            self._read(old),
            self._read(new),
            tuple(taken),
            tuple(patch.name for patch in self.series.patches if patch.name not in taken),
            tuple(worst_first([*findings, *lacking])),
            tuple(dead(new, surface)),
            tuple(self._retired(old, new, patched)),
        )

    def _retired(self, old: Reading, new: Reading, patched: PatchedTouches) -> Iterator[Retirement]:
        """Patches that the newer release no longer needs; none for a source that does not say its release."""
        if version_of(old.release) is None or version_of(new.release) is None:
            return

        def without(patch: Patch, symbol: str) -> Sequence[Touch]:
            return PatchedTouches(
                self.project, self.manifest, old.release, patched.vllm, (patch.name,), like=patched
            ).on(symbol)

        developed_on = Version(self.manifest.developed_on)
        yield from retirements(self.series, ReleasePair(old, new, developed_on, without, self._base))

    def _base(self, symbol: str) -> Contract | None:
        """A symbol in the release that the runtime was developed on; None if it cannot be read now."""
        try:
            return contract_of(symbol, self._developed_on)
        except PatchkitError:
            return None

    @cached_property
    def _developed_on(self) -> Inference:
        return Inference(Universe(Package(source_of(self.manifest.developed_on), "vllm")))

    def _with_usage(self, finding: Finding, old: Reading, new: Reading, fitted: PatchedTouches) -> Finding:
        """``finding`` by the code that was fitted to the older release; as it is if that cannot be laid out."""
        if finding.hinge is None or version_of(old.release) is None:
            return finding
        try:
            touches = fitted.on(finding.symbol)
        except PatchkitError as error:
            return replace(finding, guessed=f"{finding.hinge.question}: {error.what}")
        return with_usage(finding, old.contracts[finding.symbol], new.contracts[finding.symbol], touches)

    def _with_fix(self, finding: Finding, old: Reading, new: Reading, patched: PatchedTouches) -> Finding:
        before, after = version_of(old.release), version_of(new.release)
        newer = new.contracts.get(finding.symbol) or new.gained.get(finding.symbol)
        if before is None or after is None or newer is None:
            return finding
        contracts = old.contracts.get(finding.symbol, Contract(finding.symbol)), newer
        step = SymbolChange(before, after, self._read(new).proven, *contracts, self._manners(finding.symbol))
        return with_fix(finding, self.series, step, patched)

    def _manners(self, symbol: str) -> frozenset[str]:
        """How a symbol is declared to be touched, or those in front of it."""
        surface = self.manifest.surface
        names = [symbol, *(front for front, others in surface.behind.items() if symbol in others)]
        return frozenset(manner for name in names for manner in surface.manners().get(name, ()))

    def _read(self, reading: Reading) -> Read:
        """Only a published release counts as proven, not a changed checkout of it."""
        release = version_of(reading.release)
        proven = [Version(one) for one in self.manifest.proven]
        return Read(reading.release, reading.origin, reading.published and release is not None and release in proven)


def of_both(surface: Surface, symbol: str, old: Reading, new: Reading) -> bool:
    """Whether a symbol is one of the surface in both releases: a patch that touches it may come with the newer one."""
    return all(surface.expects(symbol, version_of(reading.release)) for reading in (old, new))


def hooked_besides(finding: Finding, new: Reading, surface: Surface) -> Finding:
    """A finding that vLLM chooses another class, as fixed where the series hooks every class that is chosen."""
    if finding.kind != "selection-changed" or not finding.unpatched:
        return finding
    also = ", ".join(f"{name} ({releases})" for name, releases in surface.selected[finding.symbol].also.items())
    undecided = any(choice is None for chosen, choice in new.choices.items() if chosen.symbol == finding.symbol)
    if not also or undecided or any(dead(new, surface, finding.symbol)):
        return finding
    return replace(finding, fixed_by=(MANIFEST,), because=f"the manifest says that {also} is hooked as well")


def dead(new: Reading, surface: Surface, symbol: str = "") -> Iterator[str]:
    """Models that a class runs by default which neither the runtime nor a patch for this release hooks."""
    release = version_of(new.release)
    for chosen, choice in new.choices.items():
        if symbol not in ("", chosen.symbol):
            continue
        also = surface.selected[chosen.symbol].also
        patched = {name for name, releases in also.items() if release and SpecifierSet(releases).contains(release)}
        if choice is not None and not choice.hooked and not patched.issuperset(choice.chosen):
            yield f"{chosen.architecture} on {chosen.device} ({' or '.join(choice.chosen)})"


@dataclass
class PatchedTouches:
    """The touches of the runtime as patched for a release; laid out and read on first use.

    Attributes:
        like: another state of the same code; unchanged files are not parsed again.
    """

    project: Project
    manifest: Manifest
    release: str
    vllm: Package
    without: tuple[str, ...] = ()
    like: PatchedTouches | None = None
    _parsed: Package | None = None

    def on(self, symbol: str) -> Sequence[Touch]:
        """The touches on one symbol, or on those that hand over to it."""
        return self._on(symbol, self._code)

    def dropped(self, symbol: str) -> str:
        """Where the pin touches a symbol; empty if it does not either."""
        return next((touch.place for touch in self._on(symbol, self._pin) if touch.manner != "imports"), "")

    @property
    def unread(self) -> Sequence[Unread]:
        """Lines of the patched code that could not be followed."""
        return self._code.unread

    def _on(self, symbol: str, code: CodeRead) -> list[Touch]:
        fronts = [front for front, others in self.manifest.surface.behind.items() if symbol in others]
        wanted = {canonical(name, self._universe) for name in (symbol, *fronts)}
        return [touch for touch in code.touches if canonical(touch.symbol, self._universe) in wanted]

    @cached_property
    def _universe(self) -> Universe:
        return Universe(self.vllm)

    @cached_property
    def _code(self) -> CodeRead:
        made = made_of(self.project, self.manifest.name, self.release, self.without)
        return read_cached(
            [self.manifest.package, *made], self.vllm.source, self.manifest.surface.types, self._laid_out
        )

    def _laid_out(self) -> CodeRead:
        with tempfile.TemporaryDirectory(prefix="patchkit-") as folder:
            tree = patched_tree(self.project, self.manifest.name, self.release, self.without, Path(folder, "tree"))
            return self._read(tree.path)

    @cached_property
    def _pin(self) -> CodeRead:
        if self.manifest.upstream.path is not None:
            return self._read(self.manifest.upstream_folder)
        every = [patch.name for patch in Series.load(self.manifest.folder).patches]
        with tempfile.TemporaryDirectory(prefix="patchkit-") as folder:
            tree = patched_tree(self.project, self.manifest.name, self.release, every, into=Path(folder, "tree"))
            return self._read(tree.path)

    @property
    def _parsed_before(self) -> Package | None:
        """The nearest state of the code that was parsed so far."""
        return self._parsed or (self.like._parsed_before if self.like else None)

    def _read(self, tree: Path) -> CodeRead:
        self._parsed = Package.after(Folder(tree, self.release), self.manifest.package, self._parsed_before)
        return read_code(self._parsed, self.vllm, self.manifest.surface.types)


def likely_paths(manifest: Manifest) -> set[str]:
    """Files in which the symbols of a surface may be defined, from their names alone."""
    stems = {
        symbol.replace(".", "/").rsplit("/", cut)[0]
        for symbol in [*manifest.surface.manners(), *(f"{name}.x" for name in manifest.surface.called_from)]
        for cut in (1, 2)
    }
    return {f"{stem}{end}" for stem in stems for end in (".py", "/__init__.py") if stem.startswith("vllm/")}
