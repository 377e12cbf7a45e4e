"""The environments in the cache."""

from __future__ import annotations

from typing import Any

from packaging.version import InvalidVersion, Version

from patchkit.environments import build
from patchkit.environments.environment import home


def listed() -> list[dict[str, Any]]:
    """One record for each environment in the cache, oldest release first; ``whole`` is false for an unfinished one."""
    found = []
    for folder in home().glob("*-*"):
        release, _, device = folder.name.rpartition("-")
        if folder.is_dir() and is_version(release):
            facts = build.finished(folder)
            named = {"release": release, "device": device, "folder": str(folder), "whole": facts is not None}
            found.append({**(facts or {}), **named})
    return sorted(found, key=lambda record: (Version(record["release"]), record["device"]))


def is_version(text: str) -> bool:
    """Whether a text can be a release."""
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True
