"""Moving the last-proven pin: a release joins ``proven`` in runtime.yaml, its evidence joins ``evidence/``.

After a tick elsewhere: ``python -m patchkit.watch.pin FOLDER`` with the folder that holds the tick's report.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import yaml
from packaging.version import Version

from patchkit.environments.lock import lock_file
from patchkit.errors import PatchkitError
from patchkit.files import check_place, write_atomically
from patchkit.gates.evidence import read_evidence
from patchkit.project import Project, find_project
from patchkit.release import parse_release
from patchkit.series.manifest import load_manifest
from patchkit.watch.proof import shortcoming
from patchkit.watch.tick import State

WIDTH = 120


class Proven(msgspec.Struct):
    """What a report says of a release, as far as it matters here."""

    release: str
    outcome: str | None
    evidence: str | None
    lock: str | None


class WatchReport(msgspec.Struct):
    """A report that was read back, as far as it matters here."""

    state: State
    dry_run: bool
    runtime: str
    releases: list[Proven]


@dataclass(frozen=True)
class PinUpdate:
    """A release that joins the proven ones, and the files that go with it."""

    release: str
    evidence: Path
    lock: Path | None


def pin_updates(folder: Path) -> tuple[str, list[PinUpdate]]:
    """The runtime, and the pin updates that the report in a folder allows.

    Raises:
        PatchkitError: there is no report, it is unfinished or of a dry run, or it names files elsewhere.
    """
    path = folder / "report.json"
    try:
        report = msgspec.json.decode(path.read_bytes(), type=WatchReport)
    except OSError as error:
        raise PatchkitError(f"cannot read {path}: {error.strerror or error}", "run `patchkit watch` first") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PatchkitError(f"{path} is no report of `patchkit watch`: {error}") from error
    if report.state == "unfinished" or report.dry_run:
        why = "is of a dry run" if report.dry_run else "is unfinished"
        raise PatchkitError(f"{path} {why}; the pin was left alone", "run `patchkit watch` to its end")
    return report.runtime, [
        PinUpdate(one.release, _beside(path, one.evidence), _beside(path, one.lock) if one.lock else None)
        for one in report.releases
        if one.outcome == "proven"
    ]


def _beside(report: Path, name: str | None) -> Path:
    if not name or not re.fullmatch(r"[\w.+-]+", name, re.ASCII) or name.startswith("."):
        raise PatchkitError(f"{report}: `{name}` is no file beside it", "run `patchkit watch` again")
    return report.parent / name


def update_pin(project: Project, runtime: str, updates: list[PinUpdate]) -> list[str]:
    """Add releases to those that a runtime is proven on, with their evidence; returns those that were added.

    All is checked before anything is written, and the manifest is written last.

    Raises:
        PatchkitError: the evidence of one does not prove it, or the manifest cannot be edited.
    """
    manifest = load_manifest(project, runtime)
    known = [*map(Version, manifest.proven)]
    updates = [one for one in updates if parse_release(one.release) not in known]
    for one in updates:
        lack = shortcoming(read_evidence(one.evidence), project, manifest, one.release)
        if lack:
            raise PatchkitError(f"{one.evidence} does not prove vLLM {one.release}: {lack}", "run the gates again")
    path = manifest.folder / "runtime.yaml"
    text = path.read_bytes().decode()
    for one in updates:
        text = with_proven(text, one.release)
    for one in updates:
        _copy(one.evidence, project.root / "evidence" / one.evidence.name)
        if one.lock is not None:
            _copy(one.lock, lock_file(one.release, "cpu"))
    if updates:
        write_atomically(path, text)
    return [one.release for one in updates]


def _copy(file: Path, to: Path) -> None:
    check_place(to)
    if file.resolve() != to.resolve():
        shutil.copy(file, to)


def with_proven(text: str, release: str) -> str:
    """A manifest's text with one more proven release, everything else as it was: comments, layout, line ends.

    Raises:
        PatchkitError: its ``proven`` is written in a way that cannot be added to.
    """
    before = yaml.safe_load(text)
    wanted = {**before, "proven": _joined(before["proven"], release)}
    changed = "".join(_edited(text, release))
    try:
        after = yaml.safe_load(changed)
    except yaml.YAMLError:
        after = None
    if after != wanted:
        raise PatchkitError(f"`proven` in runtime.yaml is written in an unusual way, so {release} was not added to it",
                            "add it by hand")  # fmt: skip
    return changed


def _joined(proven: list[str], release: str) -> list[str]:
    place = _place(proven, release)
    return [*proven[:place], release, *proven[place:]]


def _place(proven: list[str], release: str) -> int:
    """Behind the last one that is older."""
    older = [at for at, one in enumerate(proven) if Version(one) < Version(release)]
    return older[-1] + 1 if older else 0


def _edited(text: str, release: str) -> Iterator[str]:
    """The text in pieces, with the release put in."""
    node = _proven_node(text)
    items = [item.value for item in node.value]
    at = _place(items, release)
    if not node.flow_style and items:
        yield from _as_line(text, node, at, release)
    elif not items:
        start = node.start_mark.index + 1
        yield from (text[:start], f'"{release}"', text[start:])
    elif at == 0:
        start = node.value[0].start_mark.index
        yield from (text[:start], f'"{release}", ', text[start:])
    else:
        end = node.value[at - 1].end_mark.index
        line_end = _line_end(text, end)
        added = f', "{release}"'
        if line_end - _line_start(text, end) + len(added) > WIDTH:
            added = f',{_newline(text)}{" " * node.value[0].start_mark.column}"{release}"'
        yield from (text[:end], added, text[end:])


def _as_line(text: str, node: yaml.SequenceNode, at: int, release: str) -> Iterator[str]:
    """A line of its own, beside the item before it or, for the first, above the one behind it."""
    neighbour = node.value[max(at - 1, 0)]
    start = _line_start(text, neighbour.start_mark.index)
    indent = re.match(r"[ \t]*", text[start:])
    line = f'{indent[0] if indent else ""}- "{release}"'
    if at == 0:
        yield from (text[:start], line, _newline(text), text[start:])
        return
    end = _line_end(text, neighbour.end_mark.index)
    yield from (text[:end], _newline(text), line, text[end:])


def _proven_node(text: str) -> yaml.SequenceNode:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    for key, value in pairs:
        if key.value == "proven" and isinstance(value, yaml.SequenceNode):
            return value
    raise PatchkitError("runtime.yaml has no list `proven`", "add `proven: []`")


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _line_start(text: str, index: int) -> int:
    return text.rfind("\n", 0, index) + 1


def _line_end(text: str, index: int) -> int:
    """Where the line of ``index`` ends, before its line end."""
    end = text.find("\n", index)
    if end < 0:
        return len(text)
    return end - 1 if text[end - 1 : end] == "\r" else end


def main(arguments: list[str]) -> int:
    """PinUpdate the pin by the report in a folder; prints the releases that were added."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m patchkit.watch.pin FOLDER", file=sys.stderr)
        return 2
    runtime, updates = pin_updates(Path(arguments[0]))
    for release in update_pin(find_project(), runtime, updates):
        print(release)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except PatchkitError as error:
        print(f"patchkit: {error}", file=sys.stderr)
        sys.exit(2)
