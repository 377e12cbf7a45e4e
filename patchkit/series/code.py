"""A hash of what runs of a tree: where only comments, docstrings or documents were reworded, evidence still holds.

Everything else counts, except how Python is laid out. Texts that may be more than words for readers count too: all of
a file that cannot be parsed, that is executable, or whose source is read when it runs, as that of Triton's kernels is;
docstrings in a tree that reads any; a document that Python names.
"""

from __future__ import annotations

import ast
import hashlib
import re
from pathlib import Path, PurePath
from typing import Any

from patchkit.series.pin import Blob, upstream_blobs

DOCUMENTS = {".md", ".rst"}
READS_DOCSTRINGS = re.compile(rb"__doc__|getdoc|get_docstring|doctest|pydoc|co_consts|\b(click|typer|pydantic)\b")
READS_SOURCE = re.compile(rb"\btriton\.jit\b|\btorch\.jit\b|getsource|__file__|\blinecache\b")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_hash(folder: Path) -> str:
    """Of the files in a folder, without its ``.git``: 40 hexadecimal digits.

    Raises:
        PatchkitError: the folder or a file in it cannot be read.
    """
    blobs = upstream_blobs(folder)
    regular = {path: (folder / path).read_bytes() for path, blob in blobs.items() if blob.mode.startswith("100")}
    sources = {path: source for path, source in regular.items() if PurePath(path).suffix not in DOCUMENTS}
    docstrings = any(READS_DOCSTRINGS.search(source) for source in sources.values())
    named = b"\n".join(sources[path] for path in sources if path.endswith(".py"))
    digest = hashlib.sha256()
    for path, blob in sorted(blobs.items()):
        said = _said(path, blob, regular.get(path), docstrings, named)
        digest.update("\0".join((blob.mode, path, said, "")).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:40]


def _said(path: str, blob: Blob, content: bytes | None, docstrings: bool, named: bytes) -> str:
    """What counts of a file beside its mode and path; ``content`` is None of a link, ``named`` all of the Python."""
    if content is None:
        return blob.hash
    if PurePath(path).suffix in DOCUMENTS:
        return blob.hash if PurePath(path).name.encode("utf-8", "surrogateescape") in named else ""
    parsed = None
    if path.endswith(".py") and blob.mode == "100644" and not READS_SOURCE.search(content):
        parsed = meaning(content, docstrings)
    return parsed or blob.hash


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
