"""``latest`` as a release."""

from __future__ import annotations

from patchkit.console import err
from patchkit.errors import PatchkitError
from patchkit.model_runner import ModelRunner
from patchkit.project import find_project
from patchkit.series.manifest import Manifest, load_manifest

LATEST = "latest"
"""In place of a release, wherever ``--vllm`` takes one."""


def chosen_release(release: str, manifest: Manifest, runner: ModelRunner | None = None, device: str = "cpu") -> str:
    """``release`` as it is; for ``latest`` the newest that the runtime is proven on, and a line that says which.

    The newest in the index may break the runtime; ``drift`` and ``watch`` are there to ask about it.

    Args:
        runner, device: preferably proven with these.

    Raises:
        PatchkitError: ``latest``, and none is proven.
    """
    if release != LATEST:
        return release
    found = manifest.table.newest(runner or "v1", device)
    if not found:
        raise PatchkitError(f"{manifest.name} is proven on no release yet", "name one: `patchkit releases` lists them")
    err.print(f"latest: vLLM {found}, the newest that {manifest.name} is proven on", markup=False)
    return found


def release_for(release: str, runtime: str, runner: ModelRunner | None = None, device: str = "cpu") -> str:
    """As :func:`chosen_release`; the manifest of ``runtime`` is read only if it is needed.

    Raises:
        PatchkitError: ``latest``, and none is proven, or there is no such runtime.
    """
    if release != LATEST:
        return release
    return chosen_release(release, load_manifest(find_project(), runtime), runner, device)


def newest_in_index(release: str, for_cpu: bool = False) -> str:
    """``release`` as it is; for ``latest`` the newest in the package index, and a line that says which.

    Args:
        for_cpu: of those that have a build for the CPU.

    Raises:
        PatchkitError: ``latest``, and the index cannot be asked or has none.
    """
    if release != LATEST:
        return release
    from patchkit.drift.index import DISTRIBUTIONS, listing, timeline  # here: who only lays a tree out asks no index

    released = [one for one in timeline(listing(), "0") if not for_cpu or DISTRIBUTIONS[1] in one.distributions]
    if not released:
        raise PatchkitError("the index has no release of vLLM", "check which index is asked: `patchkit releases`")
    build = " that has a build for the CPU" if for_cpu else ""
    err.print(f"latest: vLLM {released[-1].text}, the newest in the package index{build}", markup=False)
    return released[-1].text
