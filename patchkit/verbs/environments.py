"""``patchkit env``: build, list and remove environments; ``patchkit lock``: what such an environment will hold."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.markup import escape

from patchkit import console
from patchkit.environments import build
from patchkit.environments.cuda import AUTO, announce, ensure_cuda, plan_cuda
from patchkit.environments.environment import ensure, exclusive, folder_of, home
from patchkit.environments.listing import listed
from patchkit.environments.lock import locked_releases, make_lock
from patchkit.errors import PatchkitError
from patchkit.model_runner import ModelRunner
from patchkit.project import find_project
from patchkit.release import release_name, version_of
from patchkit.report import tables
from patchkit.verbs.latest import LATEST, newest_in_index, release_for


def env(
    release: str | None,
    device: str,
    remove: bool,
    as_json: bool,
    torch: str | None = None,
    dry_run: bool = False,
    runner: ModelRunner = "v1",
) -> int:
    """Build (or ``remove``) the environment of ``release``; without a release, list what is built and what can be.

    ``torch`` is of environments with CUDA, see :func:`patchkit.environments.cuda.ensure_cuda`; with ``dry_run`` what
    one would download is shown, and nothing is built.
    """
    if release is None:
        if remove:
            raise PatchkitError("which environment to remove is not said", "name its release with --vllm")
        return _list(as_json)
    if release == LATEST:
        release = release_for(release, find_project().only_runtime(), runner, device)
    if remove:
        return _remove(release, device, runner, as_json)
    if dry_run:
        return _plan(release_name(release), torch or AUTO, as_json)
    if device == "cuda":
        ensure_cuda(release_name(release), torch or AUTO)
    environment = ensure(release, device, runner=runner)
    release = environment.release
    if as_json:
        console.out.print_json(json.dumps({**asdict(environment), "python": str(environment.python)}))
    else:
        console.out.print(f"vLLM {release} on {named(device, runner)}: {environment.python}", markup=False)
    return 0


def named(device: str, runner: str) -> str:
    """A device, and the model runner if it is not the first."""
    return f"{device}, second runner" if runner == "v2" else device


def _plan(release: str, torch: str, as_json: bool) -> int:
    found = plan_cuda(release, torch)
    if as_json:
        packages = [{"name": one.name, "version": one.version, "bytes": one.bytes} for one in found.downloads]
        named = {"release": release, "python": found.python, "torch": found.version("torch"), "bytes": found.bytes}
        console.out.print_json(json.dumps({**named, "packages": packages}))
    else:
        announce(release, found)
    return 0


def check_cuda_options(release: str | None, device: str, remove: bool) -> None:
    """Refuse ``--torch`` and ``--dry-run`` where they mean nothing."""
    if release is None or remove or device != "cuda":
        raise PatchkitError(
            "--torch and --dry-run are for building an environment with CUDA", "give --vllm and --device cuda with them"
        )


def lock(releases: Sequence[str]) -> int:
    """Make the locks of releases, all of whose names are looked at before the index is asked."""
    names = [release_name(newest_in_index(release, for_cpu=True)) for release in releases]
    for name in names:
        with console.working(f"asking the package index what vLLM {name} needs"):
            file = make_lock(name)
        console.out.print(f"wrote {file}", markup=False, soft_wrap=True)
    return 0


def _remove(release: str, device: str, runner: ModelRunner, as_json: bool) -> int:
    release = release_name(release) if version_of(release) else release
    folder = folder_of(release, device, runner)
    if folder.parent != home() or not folder.is_dir():
        raise PatchkitError(
            f"there is no environment for vLLM {release} on {named(device, runner)}",
            "see `patchkit env` for those there are",
        )
    with exclusive(folder):
        build.remove(folder)
        folder.with_name(f"{folder.name}.log").unlink(missing_ok=True)
    if as_json:
        console.out.print_json(json.dumps({"removed": str(folder)}))
    else:
        console.out.print(f"removed {folder}", markup=False)
    return 0


def _list(as_json: bool) -> int:
    records = listed()
    built = {record["release"] for record in records if record["whole"] and record["runner"] == "v1"}
    available = [release for release in locked_releases("cpu") if release not in built]
    if as_json:
        console.out.print_json(json.dumps({"home": str(home()), "environments": records, "available": available}))
        return 0
    if records:
        table = tables.plain("vLLM", "device", "size", "built", "torch", right=["size", "built"])
        for record in records:
            table.add_row(record["release"], named(record["device"], record["runner"]), *_columns(record))
        tables.show(table)
    console.out.print(f"[dim]in {escape(str(home()))}[/dim]")
    if available:
        console.out.print(f"[dim]can be built: {', '.join(available)}[/dim]")
    return 0


def _columns(record: dict[str, Any]) -> tuple[str, str, str]:
    if not record["whole"]:
        return "", "", "unfinished: build it again, or remove it"
    return f"{record['bytes'] / 1e9:.1f} GB", age(time.time() - record["built"]), str(record["torch"])


def age(seconds: float) -> str:
    """A length of time in its largest unit, for people."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return "just now"
