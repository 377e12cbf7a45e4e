"""The verbs ``apply``, ``status``, ``export`` and ``pin``, and how their results look."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from patchkit.console import err, out, tick
from patchkit.errors import PatchkitError
from patchkit.model_runner import ModelRunner, usual_runner
from patchkit.project import BUNDLED, Project, find_project
from patchkit.proof.standing import Place, Standing, elsewhere, standing
from patchkit.report import tables
from patchkit.report.standing import standing_line
from patchkit.series.manifest import Manifest, load_manifest
from patchkit.series.pin import check_pin, tree_hash, upstream_blobs
from patchkit.series.series import PatchChoice, Series
from patchkit.series.tree_state import Stamp, read_stamp
from patchkit.series.worktree import Tree, applied_trees, patched_tree
from patchkit.verbs.latest import chosen_release


def apply(
    release: str,
    runtime: str,
    device: str,
    runner: ModelRunner | None,
    into: Path | None,
    without: tuple[str, ...],
    unproven: bool,
    as_json: bool,
) -> int:
    """Lay out the patched tree of a release; say first whether it is proven, then which patches are in it and why.

    Args:
        runner: the model runner that is asked about; None: the one that vLLM takes by itself on ``device``.
        unproven: 0 even if it is known not to work.

    Returns:
        0; 1 if it is known not to work on ``device`` with ``runner``.

    Raises:
        PatchkitError: see :func:`patchkit.series.worktree.patched_tree`.
    """
    project = find_project()
    manifest = load_manifest(project, runtime)
    release = chosen_release(release, manifest, runner, device)
    tree = patched_tree(project, runtime, release, without, into)
    place = Place(tree.release, runner or usual_runner(tree.release, device), device)
    named = f" --runtime {runtime}" if len(project.runtimes()) > 1 else ""
    asked = standing(manifest.table, place, tree.hash, named)
    found = [asked, *elsewhere(manifest.table, place, tree.hash, named)]
    warnings = _unlisted(Series.load(tree.runtime.folder))
    if as_json:
        _print_json(_described(tree, found, warnings))
    else:
        _show_tree(tree, found)
    _warn(warnings)
    return int(asked.state == "broken" and not unproven)


def status(runtime: str, as_json: bool) -> int:
    """Show the pin, the series, and the trees in their default places.

    Raises:
        PatchkitError: unknown runtime, malformed manifest or patch.
    """
    project = find_project()
    manifest = load_manifest(project, runtime)
    series = Series.load(manifest.folder)
    _check_gates_named(project, series, runtime)
    edited = _edited(manifest)
    trees = applied_trees(project, runtime)
    if as_json:
        _print_json(
            {
                "runtime": runtime,
                "pin": manifest.pin,
                "edited": edited,
                "series": [_patch_row(PatchChoice(patch, True, "")) for patch in series.patches],
                "trees": [_tree_row(*tree) for tree in trees],
            }
        )
    else:
        _show_status(manifest, series, edited, trees)
    _warn(_unlisted(series))
    return 0


def export(tree: Path, runtime: str | None) -> int:
    """Write a tree's commits as patches of the runtime it was laid out from, and say which files changed.

    Raises:
        PatchkitError: see :func:`patchkit.series.export.export`; or the tree is another runtime's.
    """
    from patchkit.series.export import export as write_patches

    project, stamp = find_project(), read_stamp(tree)
    if stamp and runtime and stamp.runtime != runtime:
        raise PatchkitError(f"{tree} was laid out from {stamp.runtime}, not from {runtime}", "leave out --runtime")
    manifest = load_manifest(project, runtime or (stamp.runtime if stamp else project.only_runtime()))
    if project.root == BUNDLED:
        raise PatchkitError(
            f"the patches in {project.patches} are part of an installed patchkit", "export in a checkout"
        )
    changed = write_patches(manifest.folder, tree)
    print("\n".join(f"wrote {path}" for path in changed) or "nothing changed")
    return 0


def pin(runtime: str) -> int:
    """Print the hash of an embedded upstream as it lies there, for ``upstream.tree`` in ``runtime.yaml``.

    Raises:
        PatchkitError: the upstream is not embedded, or cannot be read.
    """
    manifest = load_manifest(find_project(), runtime)
    if manifest.upstream.path is None:
        where = f"{manifest.upstream.url} at {manifest.pin}"
        raise PatchkitError(f"the upstream of {runtime} is not embedded: it is {where}", "its commit is its pin")
    print(tree_hash(upstream_blobs(manifest.upstream_folder)))
    return 0


def _check_gates_named(project: Project, series: Series, runtime: str) -> None:
    """Refuse a patch whose Caught-By names no gate; a project without scenarios has none to name."""
    from patchkit.gates.caught_by import check_named
    from patchkit.gates.loading import load_scenarios

    if any(project.scenarios.glob("*.yaml")):
        check_named(series.patches, load_scenarios(project, runtime))


def _edited(manifest: Manifest) -> str:
    """Why the upstream is not what was pinned; empty if it is."""
    try:
        check_pin(manifest)
    except PatchkitError as error:
        return str(error)
    return ""


def _unlisted(series: Series) -> list[str]:
    return [f"{name} is in {series.path.parent} but not in its series" for name in series.unlisted]


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        err.print(Text.assemble(("warning: ", "yellow"), warning))


def _described(tree: Tree, found: Sequence[Standing], warnings: Sequence[str]) -> dict[str, Any]:
    return {
        "runtime": tree.runtime.name,
        "release": tree.release,
        "pin": tree.pin,
        "path": str(tree.path),
        "head": tree.head,
        "tree": tree.hash,
        "fresh": tree.fresh,
        "patches": [
            _patch_row(choice)
            | {"taken": choice.taken, "why": choice.why, "commit": tree.commits.get(choice.patch.name)}
            for choice in tree.choices
        ],
        "standing": [
            {"device": one.place.device, "runner": one.place.runner, "state": one.state, "why": one.why, "fix": one.fix}
            for one in found
        ],
        "warnings": list(warnings),
    }


def _patch_row(choice: PatchChoice) -> dict[str, Any]:
    patch = choice.patch
    return {
        "number": patch.number,
        "name": patch.name,
        "subject": patch.subject,
        "drift": patch.drift,
        "kind": patch.kind,
        "symbol": patch.symbol,
        "applies_to": f"vllm {patch.applies_to}".rstrip(),
        "caught_by": [{"scenario": catch.scenario, "reason": catch.reason.pattern} for catch in patch.caught_by],
    }


def _tree_row(path: Path, stamp: Stamp, changes: Sequence[str]) -> dict[str, Any]:
    return {
        "release": stamp.release,
        "path": str(path),
        "patches": list(stamp.patches),
        "commits": len(stamp.commits) + 1,
        "changes": list(changes),
    }


def _show_tree(tree: Tree, found: Sequence[Standing]) -> None:
    out.print(Text.assemble((tree.runtime.name, "bold"), " for vLLM ", (tree.release, "bold")))
    for one in found:
        out.print(standing_line(one), soft_wrap=True)
    out.print(tick(True).append(f"pin {tree.pin[:12]}: the upstream is as released"))
    table = tables.plain("taken", "patch", "subject", "commit", "why")
    for patch, taken, why in tree.choices:
        mark = tick(True) if taken else Text("-", "dim")
        commit = Text(tree.commits.get(patch.name, "left out")[:8], "cyan" if taken else "dim")
        style = "" if taken else "dim"
        table.add_row(mark, f"{patch.number:04}", Text(patch.subject, style), commit, Text(why, "dim"))
    tables.show(table)
    done = f"{len(tree.taken)} of {len(tree.choices)} patches" + (
        "" if tree.fresh else ", there already: nothing to do"
    )
    out.print(Text.assemble(done, ("  →  ", "dim"), (str(tree.path), "bold")))


def _show_status(
    manifest: Manifest, series: Series, edited: str, trees: Sequence[tuple[Path, Stamp, Sequence[str]]]
) -> None:
    out.print(Text.assemble((manifest.name, "bold"), f" developed on vLLM {manifest.developed_on}"))
    out.print(tick(not edited).append(f"pin {manifest.pin[:12]}: {f'edited: {edited}' if edited else 'as released'}"))
    table = tables.plain("patch", "drift", "kind", "applies to", "caught by")
    for patch in series.patches:
        caught_by = ", ".join(catch.scenario for catch in patch.caught_by)
        applies_to = str(patch.applies_to) or "always"
        table.add_row(f"{patch.number:04} {patch.subject}", str(patch.drift), patch.kind, applies_to, caught_by)
    tables.show(table)
    if not trees:
        out.print(Text("no trees yet: patchkit apply --vllm RELEASE lays one out", "dim"))
        return
    table = tables.plain("tree", "commits", "state", "path")
    for path, stamp, changes in trees:
        state = Text(f"edited ({', '.join(changes[:3])})", "yellow") if changes else Text("clean", "green")
        table.add_row(path.name, str(len(stamp.commits) + 1), state, Text(str(path)))
    tables.show(table)


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=False))
