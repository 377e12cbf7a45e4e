"""The verbs ``drift`` and ``surface``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from patchkit.console import err
from patchkit.drift import undefined_symbols as undefined
from patchkit.drift.drift import Drift, document
from patchkit.drift.index import Listing, Release, find, listing, timeline
from patchkit.drift.package import uncollected
from patchkit.drift.published_source import PublishedSource
from patchkit.drift.scan import Scanner
from patchkit.drift.source import Checkout, Source, installed
from patchkit.drift.surface_check import Mismatch, Touched, mismatches, touched
from patchkit.errors import PatchkitError
from patchkit.plural import counted
from patchkit.project import find_project
from patchkit.release import parse_release, version_of
from patchkit.report.drift import markdown, terminal
from patchkit.report.drift.surface import show_mismatches, show_touches
from patchkit.series.manifest import Manifest, load_manifest
from patchkit.series.worktree import patched_tree
from patchkit.verbs.latest import newest_in_index


def drift(
    runtime: str,
    release: str | None,
    start: str | None,
    since: str | None,
    python: Path | None,
    checkout: Path | None,
    form: str,
) -> int:
    """What changed under a runtime between two releases, or release by release.

    Args:
        release: the newer one, or the last of a timeline; without it, the newest in the index.
        start: the older one; without it, the last one before ``release`` on which the series is proven.
        since: the first release of a timeline.
        python, checkout: an interpreter or a folder with the newer vLLM, instead of the index.
        form: "text", "markdown" or "json".

    Returns:
        0 if no break is left unpatched, else 1.

    Raises:
        PatchkitError: unknown release or runtime, options that exclude each other, nothing can be read or compared; a
            declared symbol that neither release has, after everything else was printed.
    """
    release = newest_in_index(release) if release is not None else None
    _check(release, start, since, python, checkout)
    scanner = Scanner.of(find_project(), runtime)
    if since is not None:
        sources: Sequence[Source] = _timeline(since, release)
    else:
        sources = _pair(scanner.manifest, release, start, python, checkout)
    with uncollected(), _progress(len(sources)) as progress:
        drifts = list(scanner.drifts(sources, progress))
    if form == "json":
        print(json.dumps(document(drifts) if since is not None else document(drifts)[0], indent=2, ensure_ascii=False))
    elif form == "markdown":
        print(markdown.render(drifts), end="")
    elif since is not None:
        terminal.show_timeline(drifts)
    else:
        terminal.show(drifts[0])
    _check_found(scanner.manifest, drifts)
    return int(any(each.unpatched for each in drifts))


def _check_found(manifest: Manifest, drifts: Sequence[Drift]) -> None:
    """A declared symbol of which no release shows anything may be misspelt, and was not compared."""
    lacking = {one.symbol: one.sentence for each in drifts for one in each.findings if one.kind == undefined.KIND}
    if lacking:
        raise PatchkitError(
            "; ".join(f"{symbol} {sentence}" for symbol, sentence in lacking.items()),
            f"correct `surface` in {manifest.folder / 'runtime.yaml'}, or say under `only_in` which releases have it",
        )


def _check(
    release: str | None, start: str | None, since: str | None, python: Path | None, checkout: Path | None
) -> None:
    for given in (release, start, since):
        if given is not None:
            parse_release(given)
    if start is not None and release is not None and parse_release(start) == parse_release(release):
        raise PatchkitError(f"--from and --vllm name the same release, {release}", "name two")
    if since is not None and (start or python or checkout):
        raise PatchkitError(
            "--since reads release after release from the index", "leave --from, --python and --source out"
        )
    if python is not None and checkout is not None:
        raise PatchkitError("--python and --source both say what the newer vLLM is", "give one of them")
    if release is not None and (python or checkout):
        raise PatchkitError("--python and --source say themselves which vLLM they are", "leave --vllm out")


def _timeline(since: str, release: str | None) -> list[Source]:
    has = listing()
    find(has, since)
    releases = timeline(has, since, release)
    if len(releases) < 2:
        raise PatchkitError(
            f"there are no two releases from {since} to {release or 'the newest'}", "see `patchkit releases`"
        )
    return [PublishedSource(one) for one in releases]


def _pair(
    manifest: Manifest, release: str | None, start: str | None, python: Path | None, checkout: Path | None
) -> list[Source]:
    has: Listing = listing()
    if python is not None:
        new: Source = installed(python)
    elif checkout is not None:
        new = Checkout(checkout)
    else:
        new = PublishedSource(find(has, release) if release else _newest(has))
    old = PublishedSource(find(has, start or manifest.last_proven(version_of(new.release))))
    _check_order(old.release, new.release)
    return [old, new]


def _check_order(old: str, new: str) -> None:
    """Refuse a newer release that is older; one that does not say what it is may be compared with any."""
    before, after = version_of(old), version_of(new)
    if before is not None and after is not None and after < before:
        raise PatchkitError(f"{new} is older than {old}", f"ask for `--from {new} --vllm {old}`")


def _newest(has: Listing) -> Release:
    released = timeline(has, "0")
    if not released:
        raise PatchkitError("the index has no release of vLLM", "check which index is asked: `patchkit releases`")
    return released[-1]


@contextmanager
def _progress(count: int) -> Iterator[Callable[[str], None]]:
    """Show which release is read: a status line on a terminal, plain lines elsewhere."""
    done = 0

    def plain(release: str) -> None:
        err.print(f"reading vLLM {release} …", style="dim", markup=False)

    if not err.is_terminal:
        yield plain
        return
    with err.status("asking the index") as status:

        def status_line(release: str) -> None:
            nonlocal done
            done += 1
            status.update(f"reading vLLM {release} ({done} of {count})")

        yield status_line


def surface(runtime: str, check: bool, as_json: bool) -> int:
    """What the runtime's code touches of vLLM, and how; held against what its manifest declares.

    The pin is read against the release it was developed on, the whole series against the newest it is proven on.

    Returns:
        1 if ``check`` and the manifest and the code do not agree, else 0.

    Raises:
        PatchkitError: unknown runtime, edited upstream, a release that cannot be read, code of which no line touches
            vLLM as far as it was read; with ``check``, lines that could not be followed.
    """
    project = find_project()
    manifest = load_manifest(project, runtime)
    has = listing()
    newest = manifest.last_proven()
    tree = patched_tree(project, runtime, newest)
    states = [
        touched("pin", manifest.upstream_folder, manifest, PublishedSource(find(has, manifest.developed_on))),
        touched("series", tree.path, manifest, PublishedSource(find(has, newest))),
    ]
    wrong = list(mismatches(manifest.surface, states))
    if as_json:
        print(json.dumps(_surface_document(manifest, states, wrong), indent=2, ensure_ascii=False))
    else:
        if not check:
            show_touches(states)
        show_mismatches(manifest, states, wrong, newest)
    check_read(states, check)
    return int(check and bool(wrong))


def check_read(states: Sequence[Touched], whole: bool) -> None:
    """Code that was not read has an unknown surface, not an empty one.

    Raises:
        PatchkitError: a state of the code does not touch vLLM; ``whole``: or a line of it could not be followed.
    """
    for state in states:
        fix = "say under `surface.types` in runtime.yaml what it holds, or write it so that it can be followed"
        if not state.touches:
            lines = f"; not followed: {', '.join(map(str, state.unread))}" if state.unread else ""
            raise PatchkitError(
                f"no line that touches vLLM was found in the {state.title}'s code{lines}",
                fix if lines else "check `package` in runtime.yaml",
            )
        if whole and state.unread:
            lines = ", ".join(one.place for one in state.unread)
            raise PatchkitError(
                f"{counted(len(state.unread), 'line')} of the {state.title}'s code could not be followed: {lines}", fix
            )


def _surface_document(manifest: Manifest, states: Sequence[Touched], wrong: Sequence[Mismatch]) -> dict[str, object]:
    return {
        "runtime": manifest.name,
        "declared": {symbol: sorted(manners) for symbol, manners in manifest.surface.manners().items()},
        "touches": [
            {"tree": state.title, "symbol": touch.symbol, "manner": touch.manner, "place": touch.place}
            for state in states
            for touch in state.touches
        ],
        "unread": [
            {"tree": state.title, "place": one.place, "why": one.why} for state in states for one in state.unread
        ],
        "mismatches": [{"symbol": one.symbol, "manner": one.manner, "place": one.place} for one in wrong],
    }
