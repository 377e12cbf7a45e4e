"""A patched tree as a distribution that is not installed: its entry points, where an interpreter finds them.

A folder on ``PYTHONPATH`` that holds ``NAME-VERSION.dist-info`` is enough for that. Nothing is built and nothing is
downloaded, and the environment stays as it is, for any tree.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from patchkit.errors import PatchkitError
from patchkit.files import write_atomically

if TYPE_CHECKING:
    from patchkit.series.worktree import Tree

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def metadata_of(tree: Tree) -> Path:
    """The folder for ``PYTHONPATH`` beside the tree's own: written beside the tree, as its ``pyproject.toml`` says.

    Raises:
        PatchkitError: the tree has no such file, or it declares no entry points.
    """
    place = tree.path.with_name(f"{tree.path.name}.metadata")
    project = declared(tree.path)
    folder = place / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {where}" for name, where in points.items()), "")
    ]
    write_atomically(folder / "METADATA", head)
    write_atomically(folder / "entry_points.txt", "\n".join(lines))
    return place


def declared(tree: Path) -> dict[str, Any]:
    """The table ``project`` of a tree's ``pyproject.toml``, with a name, a version and entry points."""
    path = tree / "pyproject.toml"
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
    except FileNotFoundError as error:
        raise PatchkitError(
            f"{tree} is no package: it has no pyproject.toml", "choose a release for which the series makes it one"
        ) from error
    except (OSError, ValueError) as error:
        raise PatchkitError(f"{path}: {error}", "correct it with a patch of the series") from error
    missing = [name for name in ("name", "version", "entry-points") if not project.get(name)]
    if missing:
        raise PatchkitError(f"{path}: [project] has no {missing[0]}", "add it with a patch of the series")
    return dict(project)
