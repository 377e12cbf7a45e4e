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
        release, device, runner = parts_of(folder.name)
        if folder.is_dir() and is_version(release):
            facts = build.finished(folder)
            named = {"release": release, "device": device, "runner": runner, "folder": str(folder)}
            found.append({**(facts or {}), **named, "whole": facts is not None})
    return sorted(found, key=lambda record: (Version(record["release"]), record["device"], record["runner"]))


def parts_of(name: str) -> tuple[str, str, str]:
    """Release, device and model runner of an environment's folder, by its name."""
    release, _, rest = name.partition("-")
    device, _, runner = rest.partition("-")
    return release, device, runner or "v1"


def is_version(text: str) -> bool:
    """Whether a text can be a release."""
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True
