"""The environments in the cache."""

from __future__ import annotations

from typing import Any

from packaging.version import Version

from patchkit.environments import build
from patchkit.environments.environment import home
from patchkit.release import version_of


def listed() -> list[dict[str, Any]]:
    """One record for each environment in the cache, oldest release first; ``whole`` is false for an unfinished one."""
    found = []
    for folder in home().glob("*-*"):
        release, device, runner = parts_of(folder.name)
        if folder.is_dir() and version_of(release) is not None:
            facts = build.finished(folder)
            named = {"release": release, "device": device, "runner": runner, "folder": str(folder)}
            found.append({**(facts or {}), **named, "whole": facts is not None})
    return sorted(found, key=lambda record: (Version(record["release"]), record["device"], record["runner"]))


def parts_of(name: str) -> tuple[str, str, str]:
    """Release, device and model runner of an environment's folder, by its name."""
    release, _, rest = name.partition("-")
    device, _, runner = rest.partition("-")
    return release, device, runner or "v1"
