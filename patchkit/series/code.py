"""A hash of what runs of a tree: where only comments, docstrings or documents were reworded, evidence still holds.

Everything else counts, except how Python is laid out. A file that cannot be parsed counts byte by byte, and docstrings
count in a tree that reads any.
"""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path, PurePath
from typing import Any

from patchkit.series.pin import upstream_blobs

DOCUMENTS = {".md", ".rst"}
READERS = (b"__doc__", b"getdoc", b"doctest")
"""Names by which Python reads docstrings."""
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_hash(folder: Path) -> str:
    """Of the files in a folder, without its ``.git``: 40 hexadecimal digits.

    Raises:
        PatchkitError: the folder or a file in it cannot be read.
    """
    blobs = {path: blob for path, blob in upstream_blobs(folder).items() if PurePath(path).suffix not in DOCUMENTS}
    regular = [path for path, blob in blobs.items() if path.endswith(".py") and blob.mode.startswith("100")]
    sources = {path: (folder / path).read_bytes() for path in regular}
    docstrings = any(reader in source for source in sources.values() for reader in READERS)
    digest = hashlib.sha256()
    for path, blob in sorted(blobs.items()):
        parsed = meaning(sources[path], docstrings) if path in sources else None
        digest.update("\0".join((blob.mode, path, parsed or blob.hash, "")).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:40]


def meaning(source: bytes, docstrings: bool) -> str | None:
    """What Python makes of a module; None if this release of Python cannot parse it.

    Args:
        docstrings: whether they count.
    """
    try:
        return _written(ast.parse(source), docstrings)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nested too deeply
        return None


def _written(value: Any, docstrings: bool) -> str:
    """``Class(field=value,...)``; fields without a value are left out, as newer releases add some."""
    if isinstance(value, list):
        return f"[{','.join(_written(item, docstrings) for item in value)}]"
    if not isinstance(value, ast.AST):
        return repr(value)
    if isinstance(value, ast.Constant):
        return f"Constant({value.value!r})"  # without its prefix ``u``, which means nothing
    fields = dict(ast.iter_fields(value))
    if not docstrings and isinstance(value, DOCUMENTED) and ast.get_docstring(value, clean=False) is not None:
        fields["body"] = value.body[1:]
    said = (f"{name}={_written(field, docstrings)}" for name, field in fields.items() if field not in (None, []))
    return f"{type(value).__name__}({','.join(said)})"
