"""A newcomer's first steps: ``./go`` in a fresh checkout, or a wheel in an empty environment. Downloads packages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fresh_checkout import fresh_checkout

from patchkit.environments.uv import environment_for_uv, uv

from .conftest import RELEASE

ONLY_IN_TESTS = ("hypothesis", "mypy", "pandas", "ray", "ruff", "statsmodels")


def run(*words: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = environment_for_uv() | {"COLUMNS": "80"} | variables
    return subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fresh_checkout(tmp_path_factory.mktemp("fresh") / "patchkit")


def test_go_sets_up_in_an_empty_home_without_what_only_tests_need(checkout: Path, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "UV_CACHE_DIR": str(tmp_path / "uv")}
    bare = Path(sys.base_exec_prefix, "bin")
    done = run(checkout / "go", "--help", cwd=tmp_path, PATH=f"{bare}:/usr/bin:/bin", **home)
    assert done.returncode == 0, done.stderr
    assert [line.partition(" ")[0] for line in done.stderr.splitlines()] == ["go:", "go:"], "no warning"
    (packages,) = checkout.glob(".venv/lib/python*/site-packages")
    assert not [name for name in ONLY_IN_TESTS if (packages / name).exists()]
    assert not any((packages / "scipy").rglob("*.pyc")), "compiled without need"
    again = run(checkout / "go", "status", "--json", cwd=tmp_path, PATH="/usr/bin:/bin", **home)
    assert json.loads(again.stdout)["runtime"] == "esamp", again.stderr


@pytest.fixture(scope="module")
def installed(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``patchkit`` from a wheel, in an environment that has nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    uv(["build", "--wheel", "--quiet", "--out-dir", folder, checkout], "no wheel")
    (wheel,) = folder.glob("patchkit-*.whl")
    uv(["venv", "--quiet", "--python", sys.executable, folder / "venv"], "no environment")
    uv(["pip", "install", "--quiet", "--python", folder / "venv" / "bin" / "python", wheel], "no patchkit")
    return folder / "venv" / "bin" / "patchkit"


def test_a_wheel_has_all_that_is_needed(installed: Path, tmp_path: Path) -> None:
    assert "Usage: patchkit" in run(installed, "--help", cwd=tmp_path).stdout
    status = run(installed, "status", "--json", cwd=tmp_path)
    assert json.loads(status.stdout)["runtime"] == "esamp"
    assert (
        status.stderr.startswith(f"patchkit: no runtime at or above {tmp_path}; using ")
        and status.stderr.count("\n") == 1
    )
    applied = json.loads(run(installed, "apply", "--vllm", RELEASE, "--json", cwd=tmp_path).stdout)
    assert Path(applied["path"]).is_relative_to(tmp_path) and (Path(applied["path"]) / "esamp").is_dir()
    packages = installed.parent.parent
    for needed in ("scenarios/*.yaml", "patches/esamp/gates/*.yaml", "patches/esamp/mutants/rows/*.patch"):
        assert any(packages.glob(f"lib/python*/site-packages/patchkit/data/{needed}")), needed


def test_a_new_runtime_beside_a_wheel_uses_its_scenarios(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "patches").mkdir()
    made = run(installed, "init", "mine", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    status = run(installed, "status", cwd=tmp_path)
    assert (status.returncode, status.stderr) == (0, "")
    assert "mine developed on vLLM" in status.stdout and "one_token_prompts" in status.stdout
    surface = run(installed, "surface", "--check", cwd=tmp_path)
    assert surface.returncode == 0, surface.stdout + surface.stderr


def test_no_patch_of_an_installed_patchkit_is_changed(installed: Path, tmp_path: Path) -> None:
    tree = json.loads(run(installed, "apply", "--vllm", RELEASE, "--json", cwd=tmp_path).stdout)["path"]
    done = run(installed, "export", tree, cwd=tmp_path)
    assert done.returncode == 2 and "are part of an installed patchkit; " in done.stderr
