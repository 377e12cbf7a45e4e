"""Parses the header fields shared by all kinds of patches: Applies-To, Caught-By, Depends."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from patchkit.series.mail import bad
from patchkit.series.patch import Catch

FILE_NAME = re.compile(r"\d{4}-[A-Za-z0-9][A-Za-z0-9._-]*\.patch", re.ASCII)


def applies_to(value: str, path: Path) -> SpecifierSet:
    """``vllm >=0.11.0,<0.20`` as the releases it means; a bare ``vllm`` means all."""
    package, _, specifier = value.partition(" ")
    try:
        if package != "vllm" or "===" in specifier:
            raise InvalidSpecifier(value)
        return SpecifierSet(specifier)
    except InvalidSpecifier as error:
        raise bad(path, "Applies-To", f"`{value}`", "write `vllm`, or `vllm >=0.11.0,<0.20`") from error


def catch(value: str, path: Path) -> Catch:
    """``decode_shrink: IndexError`` as a gate and what its reason must match."""
    match = re.fullmatch(r"([A-Za-z0-9_-]+): (.+)", value)
    if not match:
        raise bad(path, "Caught-By", f"`{value}`", "write `<scenario>: <regular expression for the reason>`")
    try:
        return Catch(match[1], re.compile(match[2]))
    except (re.error, OverflowError, RecursionError) as error:
        raise bad(
            path, "Caught-By", f"`{match[2]}` is no regular expression ({error})", "correct or escape it"
        ) from error


def depends(values: Sequence[str], path: Path) -> tuple[str, ...]:
    """Names of patches of the series, with commas between, without ``.patch``."""
    listed = ",".join(values)
    names = tuple(name.strip().removesuffix(".patch") for name in listed.split(",")) if listed else ()
    if wrong := [name for name in names if not FILE_NAME.fullmatch(f"{name}.patch")]:
        raise bad(path, "Depends", f"`{wrong[0]}`", "name patches as NNNN-what-it-fixes, with commas between")
    return names
