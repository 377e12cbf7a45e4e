"""What a runtime adds to a shared scenario: a file that names it, ``extends: NAME``, merged part by part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from patchkit.documents import field_first
from patchkit.errors import PatchkitError
from patchkit.gates.declared import Declared

Settings = dict[str, Any]
MAY = (
    "to a part of the shared scenario an overlay may add runtime, engine, watch, client and invariants; "
    "else rename the part"
)


class Overlay(Declared, frozen=True):
    """An overlay as its file declares it; ``timeout`` in seconds replaces the shared one."""

    extends: str
    parts: list[dict[str, Any]]
    timeout: float | None = None

    def __post_init__(self) -> None:
        self.not_empty("extends", "parts")


class Addition(Declared, frozen=True):
    """What an overlay may add to a part of the shared scenario."""

    name: str
    runtime: Settings | list[Settings] | None = None
    engine: Settings = msgspec.field(default_factory=dict)
    watch: list[str] = msgspec.field(default_factory=list)
    invariants: list[Any] = msgspec.field(default_factory=list)
    client: list[dict[str, Any]] = msgspec.field(default_factory=list)


def is_overlay(raw: Any) -> bool:
    """Whether a parsed file extends another scenario, validly or not."""
    return isinstance(raw, dict) and "extends" in raw


def read_overlay(raw: Any, where: str) -> Overlay:
    """An overlay of plain values; a PatchkitError of one line names ``where`` it is from and the wrong field."""
    try:
        overlay = msgspec.convert(raw, Overlay)
    except msgspec.ValidationError as error:
        raise PatchkitError(f"{where}: {field_first(str(error))}", f"an overlay has extends and parts; {MAY}") from None
    names = [part.get("name") for part in overlay.parts]
    for number, name in enumerate(names):
        if not isinstance(name, str) or names.count(name) > 1:
            what = f"two parts are named {name!r}" if isinstance(name, str) else "name is missing"
            raise PatchkitError(f"{where}: parts[{number}]: {what}", "say by its name which part it extends")
    return overlay


def merge(shared: Mapping[str, Any], overlay: Overlay, where: str) -> dict[str, Any]:
    """A shared scenario's plain values with an overlay's on top; the shared ones are a valid scenario."""
    parts = {part["name"]: dict(part) for part in shared["parts"]}
    for number, raw in enumerate(overlay.parts):
        known = parts.get(raw["name"])
        if known is None:
            parts[raw["name"]] = raw
            continue
        try:
            addition = msgspec.convert(raw, Addition)
            parts[raw["name"]] = added(known, addition)
        except (msgspec.ValidationError, ValueError) as error:
            what = field_first(str(error)) if isinstance(error, msgspec.ValidationError) else str(error)
            raise PatchkitError(f"{where}: parts[{number}]: {what}", MAY) from None
    merged = {**shared, "parts": [*parts.values()]}
    return merged if overlay.timeout is None else merged | {"timeout": overlay.timeout}


def added(part: Mapping[str, Any], addition: Addition) -> dict[str, Any]:
    """A part with an addition: mappings are merged over its own, lists appended without duplicates."""
    merged = dict(part)
    if addition.runtime is not None:
        merged["runtime"] = installs_over(part.get("runtime", {}), addition.runtime)
    if addition.engine:
        merged["engine"] = {**part.get("engine", {}), **addition.engine}
    for field in ("watch", "invariants", "client"):
        has = list(part.get(field, []))
        new = [one for one in getattr(addition, field) if one not in has]
        if new:
            merged[field] = has + new
    return merged


def installs_over(shared: Settings | list[Settings], own: Settings | list[Settings]) -> Settings | list[Settings]:
    """The settings of each install, an overlay's over the shared ones.

    Raises:
        ValueError: both are lists, so it is not known which settings belong to which install.
    """
    if isinstance(shared, list) and isinstance(own, list):
        raise ValueError("runtime: both the shared part and the overlay list installs")
    if isinstance(own, list):
        return [{**shared, **one} for one in own]  # type: ignore[dict-item]
    if isinstance(shared, list):
        return [{**one, **own} for one in shared]
    return {**shared, **own}
