"""No two packages of ``patchkit/`` need each other, and no two modules."""

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


def modules(root: Path) -> Mapping[str, Set[str]]:
    """What each module imports of the others, in a function too, but for what is imported for type checking alone."""
    paths = {".".join(path.relative_to(root.parent).with_suffix("").parts): path for path in root.rglob("*.py")}
    paths = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    return {name: {*_modules_of(path, paths)} - {name} for name, path in paths.items()}


def _modules_of(path: Path, there: Mapping[str, Path]) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    types = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    aside = {inner for node in types for statement in node.body for inner in ast.walk(statement)}
    for node in ast.walk(tree):
        if node in aside:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in there)
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in there else str(node.module) for name in names if {name, node.module} & {*there})


def test_modules_import_one_way() -> None:
    try:
        list(TopologicalSorter(modules(ROOT)).static_order())
    except CycleError as error:
        pytest.fail(f"modules that import each other: {' -> '.join(error.args[1])}")


def test_a_cycle_of_modules_is_seen_in_functions_but_not_for_types(tmp_path: Path) -> None:
    root = tmp_path / "patchkit"
    root.mkdir()
    (root / "a.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from patchkit import b\n")
    (root / "b.py").write_text("def f():\n    from patchkit.a import g\n")
    list(TopologicalSorter(modules(root)).static_order())
    (root / "a.py").write_text("def g():\n    from patchkit import b\n")
    with pytest.raises(CycleError):
        list(TopologicalSorter(modules(root)).static_order())


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
