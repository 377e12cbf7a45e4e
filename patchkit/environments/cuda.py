"""Environments with CUDA, built on the user's own host: resolved and announced first, then fetched."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from patchkit import console
from patchkit.environments import build
from patchkit.environments.environment import exclusive, home
from patchkit.environments.lock import constraints
from patchkit.environments.nvidia import nvidia_driver
from patchkit.environments.resolution import FILE, Resolution, resolve
from patchkit.environments.uv import uv
from patchkit.errors import PatchkitError
from patchkit.files import write_atomically

AUTO, INDEX = "auto", "index"
"""Choices of torch beside uv's own backends (cu130, cu129, …): by the driver, and whatever the package index has."""

LARGEST = 4  # packages that are named


def check_host(release: str, torch: str) -> None:
    """Refuse a host without a driver where the driver is to choose torch. Downloads nothing.

    Raises:
        PatchkitError: there is none.
    """
    if torch == AUTO and not nvidia_driver():
        anyway = f"`patchkit env --vllm {release} --device cuda --torch cu130`"
        raise PatchkitError(
            f"no NVIDIA driver on this host, so nothing says for which CUDA to build vLLM {release}",
            f"build it where the GPU is, or say which CUDA: {anyway}",
        )


def resolve_cuda(release: str, torch: str, folder: Path) -> Resolution:
    """The packages of vLLM ``release`` with CUDA, as the index has it, with the exact torch that it asks for.

    Args:
        torch: ``auto``, ``index``, or a backend of uv's such as ``cu130``.
        folder: for what uv writes.

    Raises:
        PatchkitError: no such release, no torch of that CUDA, or an index that cannot be reached.
    """
    what = f"cannot resolve vLLM {release} with torch of {torch}"
    failure: PatchkitError | None = None
    for python in local_pythons():
        try:
            return _checked(
                resolve(
                    [f"vllm=={release}"], constraints(release), python, "" if torch == INDEX else torch, folder, what
                ),
                release,
            )
        except PatchkitError as error:
            if "Python" not in error.what:
                raise _explained(error, torch) from None
            failure = error
    assert failure is not None
    raise failure


def local_pythons() -> Iterator[str]:
    """The minor versions of Python on this host that wheels support, the most tried first; if none is, the first.

    Each is looked for when it is asked for: where it is missing, that takes uv seconds.
    """
    found = False
    for version in build.PYTHONS:
        try:
            uv(["python", "find", "--no-python-downloads", version], "looking for a Python")
        except PatchkitError:
            continue
        found = True
        yield version
    if not found:
        yield build.PYTHONS[0]


def plan_cuda(release: str, torch: str = AUTO) -> Resolution:
    """What the CUDA environment of a release would hold, and the size of each download; fetches none of it.

    Raises:
        PatchkitError: no driver, nothing that fits, an index that cannot be reached.
    """
    check_host(release, torch)
    with (
        tempfile.TemporaryDirectory() as scratch,
        console.working(f"asking the package index what vLLM {release} with CUDA needs"),
    ):
        return resolve_cuda(release, torch, Path(scratch))


def ensure_cuda(release: str, torch: str = AUTO) -> Path:
    """The interpreter of a release's CUDA environment; if there is none, says what it will download, and builds it.

    Args:
        torch: ``auto``, ``index``, or a backend of uv's; an environment with another one is built again.

    Raises:
        PatchkitError: no driver, nothing that fits, no room, no network.
    """
    folder = home() / f"{release}-cuda"
    if not _is_built(folder, torch):
        found = plan_cuda(release, torch)
        announce(release, found)
        with exclusive(folder):
            if not _is_built(folder, torch):
                log = folder.with_name(f"{folder.name}.log")
                with console.working(f"building the environment for vLLM {release} with CUDA (once; log: {log})"):
                    _build(folder, release, torch, found, log)
    return build.interpreter(folder)


def announce(release: str, found: Resolution) -> None:
    console.err.print(
        f"vLLM {release} with torch {found.version('torch') or 'unknown'}, for Python {found.python}: {found}, "
        "less what uv has in its cache",
        markup=False,
        soft_wrap=True,
    )
    largest = sorted(found.downloads, key=lambda one: one.bytes or 0, reverse=True)[:LARGEST]
    named = ", ".join(f"{one.name} {one.version} {(one.bytes or 0) / 1e9:.2f} GB" for one in largest if one.bytes)
    console.err.print(f"  the largest: {named}", style="dim", markup=False, soft_wrap=True)


def _is_built(folder: Path, torch: str) -> bool:
    facts = build.finished(folder)
    return facts is not None and torch in (AUTO, facts.get("backend"))


def _checked(found: Resolution, release: str) -> Resolution:
    torch = found.version("torch")
    if torch.endswith("+cpu"):
        raise PatchkitError(
            f"uv finds no CUDA that this host's driver can run: it would take torch {torch} for vLLM {release}",
            "update the driver, or say which CUDA with --torch, such as --torch cu126",
        )
    return found


def _explained(error: PatchkitError, torch: str) -> PatchkitError:
    """A failure to reach an index, with the index that was meant: uv takes torch from PyTorch's own."""
    if "cannot be reached" not in error.what or torch == INDEX:
        return error
    return PatchkitError(
        f"{error.what} (your package index, or PyTorch's own, from which torch of {torch} comes)",
        f"check the network, or take the torch that your package index has with --torch {INDEX}",
    )


def _build(folder: Path, release: str, torch: str, found: Resolution, log: Path) -> None:
    began = time.monotonic()
    what = f"cannot build the environment for vLLM {release} with CUDA"
    build.remove(folder)
    log.unlink(missing_ok=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    uv(["venv", "--python", found.python, folder], what, log)
    listed = folder / FILE
    write_atomically(listed, found.content)
    uv(
        ["pip", "install", "--python", build.interpreter(folder), "--requirement", listed],
        what,
        log,
        progress=console.indented,
    )
    known = {"torch": found.version("torch") or "none", "packages": len(found.downloads)}
    build.mark_whole(folder, {"release": release, "lock": listed.name, "backend": torch, **known}, began)
