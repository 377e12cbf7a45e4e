"""No two packages of ``patchkit/`` need each other."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "patchkit"


def imported(path: Path) -> Iterator[str]:
    """Every module of patchkit that a file imports, in a function and for type checking too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative imports are not followed here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def needs(root: Path) -> Mapping[str, Set[str]]:
    """What each package, or module beside the packages, imports of the others."""
    found: dict[str, set[str]] = defaultdict(set)
    there = {path.stem if path.suffix else path.name for path in root.iterdir()}
    for path in root.rglob("*.py"):
        first = path.relative_to(root).parts[0].removesuffix(".py")
        for name in imported(path):
            package, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if package == root.name and other in there and other != first:
                found[first].add(other)
    return found


def test_packages_import_one_way() -> None:
    try:
        order = list(TopologicalSorter(needs(ROOT)).static_order())
    except CycleError as error:
        pytest.fail(f"packages that import each other: {' -> '.join(error.args[1])}")
    assert order.index("series") < order.index("gates") < order.index("bench") < order.index("report")
    assert order.index("report") < order.index("verbs") < order.index("cli")


def test_a_cycle_is_seen_in_functions_and_for_types(tmp_path: Path) -> None:
    root = tmp_path / "patchkit"
    for name, text in {
        "one/a.py": "def f():\n    from patchkit.two import b\n",
        "two/b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import patchkit.one.a\n",
    }.items():
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(text)
    with pytest.raises(CycleError):
        list(TopologicalSorter(needs(root)).static_order())
