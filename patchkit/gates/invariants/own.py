"""The invariants of a runtime in ``patches/NAME/gates/invariants.py``, imported by path."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path

from patchkit.errors import PatchkitError
from patchkit.gates.invariants.base import SummaryClause, Table, knowing

# By file, with its time and size, so that an edited file is read again.
_TABLES: dict[Path, tuple[tuple[int, int], Table]] = {}


def own_invariants(folder: Path) -> Table:
    """The invariants in ``folder/invariants.py``; empty if there is no such file.

    Raises:
        PatchkitError: it cannot be imported; says where it broke.
    """
    path = folder / "invariants.py"
    if not path.is_file():
        return {}
    stamp = (path.stat().st_mtime_ns, path.stat().st_size)
    if path not in _TABLES or _TABLES[path][0] != stamp:
        _TABLES[path] = (stamp, _import(folder, path))
    return _TABLES[path][1]


def runtime_clauses() -> list[SummaryClause]:
    """The summary clauses of every runtime whose invariants were imported."""
    return [clause for _, table in _TABLES.values() for one in table.values() for clause in one.clauses]


def _import(folder: Path, path: Path) -> Table:
    """Run the file as a module of a package of its own, so that it may import its neighbours with a dot."""
    package = f"patchkit_gates_{folder.parent.name.replace('-', '_')}"
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]
    outer = importlib.util.module_from_spec(importlib.util.spec_from_loader(package, None, is_package=True))  # type: ignore[arg-type]
    outer.__path__ = [str(folder)]
    sys.modules[package] = outer
    spec = importlib.util.spec_from_file_location(f"{package}.invariants", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    table: Table = {}
    try:
        with knowing(table):
            spec.loader.exec_module(module)
    except Exception as error:  # the runtime's code may raise anything
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        at = f":{line}" if line else ""
        what = str(error) or type(error).__name__
        raise PatchkitError(f"{path}{at}: {type(error).__name__}: {' '.join(what.split())}", "fix it") from None
    return table
