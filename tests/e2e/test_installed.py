"""``patchkit install`` and ``uninstall`` in a virtual environment that is thrown away and sees a real vLLM."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from patchkit.environments import build
from patchkit.environments.environment import folder_of
from patchkit.environments.uv import uv

from .conftest import Patchkit

RELEASE = "0.28.0"
LOADED = """
import sys
from vllm.plugins import load_general_plugins
load_general_plugins()
print(sorted(name for name in sys.modules if name.split(".")[0] == "esamp"))
base = sys.modules.get("vllm.v1.worker.worker_base")
print("esamp" in base.WorkerWrapperBase.init_device.__code__.co_filename if base else None)
"""


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An interpreter of its own that finds the packages of a built environment after its own."""
    lender = folder_of(RELEASE, "cpu")
    if build.finished(lender) is None:
        pytest.skip(f"there is no environment for vLLM {RELEASE}: `patchkit env --vllm {RELEASE}` builds it (5 GB)")
    uv(["venv", "--quiet", "--python", build.interpreter(lender), tmp_path / "venv"], "no environment")
    lent = build.site_packages(lender)
    own = build.site_packages(tmp_path / "venv")
    (own / "lent.pth").write_text(f"import site; site.addsitedir({str(lent)!r})\n")
    return build.interpreter(tmp_path / "venv")


def loaded(python: Path, **variables: str) -> list[str]:
    """What of the runtime a process of vLLM imports through its plugins, and whether its worker is hooked."""
    kept = {name: value for name, value in os.environ.items() if name != "ESAMP"}
    done = subprocess.run([python, "-c", LOADED], env=kept | variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-2:]


def test_installed_it_is_loaded_if_it_is_switched_on_and_gone_once_it_is_uninstalled(
    patchkit: Patchkit, python: Path
) -> None:
    done = patchkit("install", "--vllm", RELEASE, "--python", str(python))
    assert done.returncode == 0, done.stderr
    assert f"installed esamp for vLLM {RELEASE}" in done.stdout
    own = build.site_packages(python.parent.parent)
    assert (own / "esamp" / "plugin.py").is_file()

    on, hooked = loaded(python, ESAMP="1")
    assert "'esamp.engine.hooks'" in on and hooked == "True"
    off, hooked = loaded(python)
    assert "'esamp.plugin'" in off and "esamp.engine" not in off and hooked in ("None", "False")

    for said in ("uninstalled esamp in", "there was no esamp in"):
        done = patchkit("uninstall", "--python", str(python))
        assert done.returncode == 0 and said in done.stdout, done.stderr
    assert not list(own.glob("esamp*"))
    asked = "from importlib.metadata import entry_points as e; print([*e(group='vllm.general_plugins', name='esamp')])"
    assert subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True).stdout == "[]\n"
