"""``patches/<runtime>/runtime.yaml``: where the runtime comes from, what it touches, how it starts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from patchkit.documents import read_yaml
from patchkit.errors import PatchkitError
from patchkit.project import Project
from patchkit.series.proven import ProvenTable, read_proven

HASH = "[0-9a-f]{40}"
PATTERNS = {
    "name": "[a-z0-9][a-z0-9_-]*",
    "package": r"[A-Za-z_]\w*",
    "start": r"[A-Za-z_][\w.]*:[A-Za-z_]\w*",
    "symbol": r"vllm(\.\w+)+",
    "tree": HASH,
    "commit": HASH,
}
"""What the text of a field looks like. Not declared with ``msgspec.Meta``, which can crash Python as it exits."""


MANNERS = ("wraps", "replaces", "calls", "unpacks", "reads", "constructs", "derives", "writes", "text", "settings")
"""Keys of a surface: how the runtime touches the symbols listed there."""


class Upstream(Struct, frozen=True, forbid_unknown_fields=True):
    """The runtime as its authors released it: an embedded folder and its tree hash, or a URL and a commit."""

    path: str | None = None
    tree: str | None = None
    url: str | None = None
    commit: str | None = None


class Selected(Struct, frozen=True, forbid_unknown_fields=True):
    """A class that must be the one that vLLM instantiates.

    Attributes:
        by: device -> the function that instantiates it there.
        architectures: the models for which it must be chosen.
        also: another class -> the releases in which a patch hooks that one too.
    """

    by: dict[str, str]
    architectures: list[str]
    also: dict[str, str] = {}


class Surface(Struct, frozen=True, forbid_unknown_fields=True):
    """Every vLLM symbol that the runtime touches, by manner, under the name that the runtime uses.

    Attributes:
        wraps: replaced by a function that calls the original and returns its result.
        replaces: replaced by a function that may return a value of its own.
        calls, reads: as named.
        unpacks: takes values out of what it returns, by their place.
        settings: attribute or variable whose default matters -> the defaults under which the runtime is known to work.
        keeps: method -> what it must leave as it is, such as ``request.request_id``.
        selected: class -> by what, and for which models, it must be chosen.
        called_from: modules besides the symbol's own in which vLLM calls what is wrapped.
        constructs: a class of which the runtime makes objects: its constructor, or a dataclass's fields.
        derives: a base class of the runtime's own classes; a method overridden stands under `wraps` or `replaces`.
        writes: an attribute that it sets.
        text: function, class or module whose source text it changes -> anchors, each of which must stand there once.
        only_in: symbol that not every release has -> those that do, such as ``>=0.13``.
        types: what the code does not say: attribute or function -> annotation of its value, with full names.
        behind: method that calls others in a way that static reading cannot follow -> those others.
    """

    wraps: list[str] = []
    replaces: list[str] = []
    calls: list[str] = []
    unpacks: list[str] = []
    reads: list[str] = []
    constructs: list[str] = []
    derives: list[str] = []
    writes: list[str] = []
    text: dict[str, list[str]] = {}
    settings: dict[str, list[str]] = {}
    keeps: dict[str, list[str]] = {}
    selected: dict[str, Selected] = {}
    called_from: list[str] = []
    only_in: dict[str, str] = {}
    types: dict[str, str] = {}
    behind: dict[str, list[str]] = {}

    def expects(self, symbol: str, release: Version | None) -> bool:
        """Whether a release has a symbol, by ``only_in``; one that is not known may have it."""
        return release is None or SpecifierSet(self.only_in.get(symbol, ""), prereleases=True).contains(release)

    def manners(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for manner in MANNERS:
            for symbol in getattr(self, manner):
                found.setdefault(symbol, set()).add(manner)
        for symbol in self.keeps:
            found.setdefault(symbol, set()).add("keeps")
        for symbol in self.selected:
            found.setdefault(symbol, set()).add("selected")
        return found


class Counter(Struct, frozen=True, forbid_unknown_fields=True):
    """A number that ``counters()`` returns.

    Attributes:
        must_be: ``decode_rows``: at every step as many as the worker counted. ``decode_steps``: one in a step with
            decode rows, else none. ``steps``: one in each step that runs the model. ``zero``: never anything else.
            ``positive``: above zero, summed over the decode steps. ``any``: not checked, and reported as it
            is instead of as a difference over the step.
        means: what it counts, in a few words.
    """

    must_be: Literal["decode_rows", "decode_steps", "steps", "zero", "positive", "any"]
    means: str


class FigureMinimum(Struct, frozen=True, forbid_unknown_fields=True):
    """A minimum for a figure of ``bench accuracy``; below it a verdict means little.

    Attributes:
        figure: its name in the figures that the runtime's probe computes.
        above: the minimum (exclusive).
        means: what it is, in a few words.
        otherwise: one sentence of advice if it is not reached.
    """

    figure: str
    above: float
    means: str
    otherwise: str


class Plugin(Struct, frozen=True, forbid_unknown_fields=True):
    """How vLLM itself starts the runtime in each of its processes, by an entry point of the patched tree.

    Attributes:
        releases: of vLLM, for which the tree has that entry point.
        variable: of the environment; a JSON object of settings switches the runtime on.
        arguments: of ``vllm serve``, which the runtime needs -> in which releases, "" for all.
    """

    releases: str
    variable: str
    arguments: dict[str, str] = {}

    def needed(self, release: str) -> list[str]:
        """The arguments that vLLM ``release`` must be given."""
        return [
            word
            for word, releases in self.arguments.items()
            if SpecifierSet(releases, prereleases=True).contains(release)
        ]


class Served(Struct, frozen=True, forbid_unknown_fields=True):
    """How a request to a server of the runtime says what it wants of it, in flat keys of ``vllm_xargs``.

    Attributes:
        on: what switches it on for a request.
        off: what switches it off.
        settings: setting of the start function -> the key of a request that sets it.
        counters: the method of ``collective_rpc`` that tells a worker's counters, or a path if it begins with a slash;
            "" if there is none.
    """

    on: dict[str, Any]
    off: dict[str, Any]
    settings: dict[str, str] = {}
    counters: str = ""


class ManifestFields(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The fields of ``runtime.yaml``.

    Attributes:
        defaults: settings that every run gets, under its own.
        off: settings with which the runtime must change nothing; None if it does not say.
        counters: what ``counters()`` returns, by name.
        figures: minimums for figures of ``bench accuracy``.
        plugin: None if the runtime is only started by ``start``, in its caller's process.
        served: how a request to a server chooses the runtime and its settings; None if it cannot.
    """

    name: str
    package: str
    upstream: Upstream
    developed_on: str
    start: str
    defaults: dict[str, Any] = {}
    off: dict[str, Any] | None = None
    counters: dict[str, Counter] = {}
    figures: list[FigureMinimum] = []
    plugin: Plugin | None = None
    served: Served | None = None
    surface: Surface = Surface()


class Manifest(ManifestFields, frozen=True, kw_only=True):
    """A runtime's manifest, its folder, and what is proven of its pin."""

    folder: Path
    table: ProvenTable = ProvenTable()

    @property
    def pin(self) -> str:
        """Tree hash of the embedded upstream, or the commit at its URL."""
        return self.upstream.tree or self.upstream.commit or ""

    @property
    def upstream_folder(self) -> Path:
        return self.folder / (self.upstream.path or "upstream")

    @property
    def proven(self) -> list[str]:
        """Releases on which the gates are green with any model runner on any device, the oldest first."""
        return self.table.releases()

    def idle_with(self, settings: Mapping[str, Any]) -> bool:
        """Whether these settings, on top of the defaults, are such that the runtime must change nothing."""
        given = {**self.defaults, **settings}
        return bool(self.off) and given == {**given, **(self.off or {})}

    def last_proven(self, before: Version | None = None) -> str:
        """The newest proven release, below ``before`` if given; else the release that it was developed on."""
        proven = [one for one in self.proven if before is None or Version(one) < before]
        return max(proven, key=Version, default=self.developed_on)

    @property
    def gates(self) -> Path:
        """The runtime's own scenarios, invariants and probe; the folder need not be there."""
        return self.folder / "gates"

    @property
    def probe(self) -> Path | None:
        """The folder that the worker loads the runtime's probe from, if it has one."""
        return self.gates if (self.gates / "probe.py").is_file() else None


def load_manifest(project: Project, runtime: str) -> Manifest:
    """The manifest of ``runtime``.

    Raises:
        PatchkitError: no such runtime, or its manifest is malformed; says which key, and what to do.
    """
    known = project.runtimes()
    if runtime not in known:
        raise PatchkitError(f"no runtime `{runtime}` in {project.patches}", f"known: {', '.join(known) or 'none'}")
    return read_manifest(project.patches / runtime)


def read_manifest(folder: Path) -> Manifest:
    """The manifest in ``folder``; see :func:`load_manifest`."""
    path = folder / "runtime.yaml"
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise PatchkitError(
            f"{path}: holds a {type(document).__name__}", "write `key: value` lines, as other runtimes do"
        )
    if "proven" in document:
        raise PatchkitError(
            f"{path}: proven: is no longer written here",
            "delete it; `patchkit prove` makes proven.yaml of the evidence",
        )
    try:
        declared = msgspec.convert(document, ManifestFields)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$")
        key = place.strip("`.") or (re.findall("`([^`]+)`", what) or ["?"])[0]
        hint = ' (quote releases: "0.20.0")' if "got `float`" in what else ""
        raise PatchkitError(f"{path}: {key}: {what}", f"correct `{key}`{hint}") from error
    _check(declared, path)
    pin = declared.upstream.tree or declared.upstream.commit or ""
    known = {key: getattr(declared, key) for key in declared.__struct_fields__}
    return Manifest(folder=folder, table=read_proven(folder, pin), **known)


def _check(declared: ManifestFields, path: Path) -> None:
    """What types alone cannot say."""
    upstream = declared.upstream
    for key, text in _texts(declared):
        form = PATTERNS[key.rpartition(".")[2]]
        if not re.fullmatch(form, text):
            key = key.removesuffix(".symbol")
            raise PatchkitError(f"{path}: {key}: `{text}` is not of the form {form}", f"correct `{key}`")
    if declared.name != path.parent.name:
        raise PatchkitError(f"{path}: name: `{declared.name}` is in {path.parent.name}/", "give both the same name")
    given = {key for key in upstream.__struct_fields__ if getattr(upstream, key) is not None}
    if given not in ({"path", "tree"}, {"url", "commit"}):
        raise PatchkitError(
            f"{path}: upstream: has {', '.join(sorted(given)) or 'nothing'}", "give path and tree, or url and commit"
        )
    if upstream.path is not None and (Path(upstream.path).is_absolute() or {"..", "."} & {*upstream.path.split("/")}):
        raise PatchkitError(f"{path}: upstream.path: `{upstream.path}` leaves the folder", "write `path: upstream`")
    for name in declared.counters:
        if not name.isidentifier():
            raise PatchkitError(f"{path}: counters: `{name}` is no name", "write letters, digits and _")
    release = declared.developed_on
    try:
        Version(release)
    except InvalidVersion as error:
        raise PatchkitError(f"{path}: developed_on: `{release}` is no release", 'write it as "0.20.0"') from error
    if declared.plugin:
        _check_plugin(declared.plugin, path)
    also = [("selected", pair) for one in declared.surface.selected.values() for pair in one.also.items()]
    for key, (symbol, releases) in [*(("only_in", pair) for pair in declared.surface.only_in.items()), *also]:
        _check_releases(releases, f"{path}: surface.{key}: {symbol}", ">=0.13,<0.20")
    for symbol in declared.surface.only_in:
        behind = {other for others in declared.surface.behind.values() for other in others}
        if symbol not in {*declared.surface.manners(), *behind}:
            raise PatchkitError(
                f"{path}: surface.only_in: nothing else in `surface` names {symbol}", "correct the name, or drop it"
            )


def _check_plugin(plugin: Plugin, path: Path) -> None:
    _check_releases(plugin.releases, f"{path}: plugin.releases", ">=0.23.0")
    for word, releases in plugin.arguments.items():
        _check_releases(releases, f"{path}: plugin.arguments: {word}", "<0.26.0")
    if not plugin.variable.isidentifier():
        raise PatchkitError(f"{path}: plugin.variable: `{plugin.variable}` is no name", "write letters, digits and _")


def _check_releases(releases: str, where: str, example: str) -> None:
    try:
        SpecifierSet(releases)
    except InvalidSpecifier as error:
        raise PatchkitError(f"{where}: `{releases}` names no releases", f'write them as "{example}"') from error


def _texts(declared: ManifestFields) -> Iterator[tuple[str, str]]:
    upstream = declared.upstream
    yield from (("name", declared.name), ("package", declared.package), ("start", declared.start))
    surface = declared.surface
    yield from ((f"surface.{key}.symbol", symbol) for key, symbol in _symbols(surface))
    hashes = (("upstream.tree", upstream.tree), ("upstream.commit", upstream.commit))
    yield from ((key, text) for key, text in hashes if text is not None)


def _symbols(surface: Surface) -> Iterator[tuple[str, str]]:
    """Every vLLM symbol that a surface names, with the key it stands under."""
    for key in (*MANNERS, "called_from", "keeps", "only_in"):
        yield from ((key, symbol) for symbol in getattr(surface, key))
    for symbol, selected in surface.selected.items():
        yield from (("selected", one) for one in (symbol, *selected.by.values(), *selected.also))
    for symbol, others in surface.behind.items():
        yield from (("behind", one) for one in (symbol, *others))
