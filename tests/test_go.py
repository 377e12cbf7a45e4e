"""``./go``: what it installs, what it runs, and which tests it leaves out. What it would start here only says so."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
OTHERS = "python -m pytest -o testpaths=tests -m not e2e -n auto --maxprocesses 4 --dist"
WITH_VLLM = "python -m pytest -o testpaths=tests -m e2e -n auto --maxprocesses 2 --dist loadfile --no-loadscope-reorder"
SAYS = '#!/bin/sh\necho "$(basename "$0") $*"\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a finished set-up of everything, whose programs only say how they were called."""
    for name in ("go", "pyproject.toml"):
        shutil.copy(CHECKOUT / name, tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in ("python", "patchkit"):
        program = tmp_path / ".venv" / "bin" / name
        program.write_text(SAYS)
        program.chmod(0o755)
    for stamp in (".set-up", ".set-up-dev", ".set-up-dev,ray"):
        (tmp_path / ".venv" / stamp).write_text(f"{tmp_path}\n{(tmp_path / 'pyproject.toml').read_text()}")
    return tmp_path


def go(checkout: Path, *words: str, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "go", *words], cwd="/", env={"PATH": path}, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("words", "runs"),
    [
        (["gate", "--vllm", "0.20.0"], "patchkit gate --vllm 0.20.0"),
        (["test"], f"{OTHERS} worksteal"),
        (["test", "tests/test_go.py", "-x"], "python -m pytest -o testpaths=tests -m not e2e tests/test_go.py -x"),
        (["test", "--e2e"], f"{OTHERS} loadfile\n{WITH_VLLM}"),
        (["test", "-k", "guards", "--e2e", "-x"], "python -m pytest -o testpaths=tests -k guards -x"),
        (["test", "tests/e2e/test_toy.py"], "python -m pytest -o testpaths=tests tests/e2e/test_toy.py"),
        (["test", "-m", "e2e"], "python -m pytest -o testpaths=tests -m e2e"),
    ],
)
def test_tests_with_real_vllm_run_only_if_they_are_meant(checkout: Path, words: list[str], runs: str) -> None:
    done = go(checkout, *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{runs}\n", "")


@pytest.mark.parametrize(
    ("codes", "code", "runs"),
    [((0, 0), 0, 2), ((1, 0), 1, 2), ((0, 1), 1, 2), ((1, 1), 1, 2), ((2, 0), 2, 1), ((3, 0), 3, 1)],
)
def test_red_in_either_half_is_red_and_an_interrupt_ends_both(
    checkout: Path, codes: tuple[int, int], code: int, runs: int
) -> None:
    program = checkout / ".venv" / "bin" / "python"
    first, second = codes
    program.write_text(f'#!/bin/sh\necho run\ncase "$*" in *"not e2e"*) exit {first} ;; *) exit {second} ;; esac\n')
    done = go(checkout, "test", "--e2e")
    assert (done.returncode, done.stdout) == (code, "run\n" * runs)


def test_what_the_tests_import_is_compiled_once(checkout: Path) -> None:
    (checkout / ".venv" / "bin" / "python").write_text('#!/bin/sh\necho "${PYTHONDONTWRITEBYTECODE-unset}"\n')
    variables = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([checkout / "go", "test"], env=variables, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "unset\n")


def test_paths_replace_the_folder_of_tests(pytester: pytest.Pytester) -> None:
    for folder in ("tests", "scenarios"):
        pytester.mkdir(folder).joinpath(f"test_{folder}.py").write_text("def test_one(): pass\ndef test_two(): pass\n")
    pytester.makeini("[pytest]\ntestpaths = tests scenarios\n")
    for words, count in (
        ([], 2),
        (["tests/test_tests.py::test_one"], 1),
        (["scenarios"], 2),
        (["tests", "scenarios"], 4),
    ):
        pytester.runpytest_subprocess("-o", "testpaths=tests", *words).assert_outcomes(passed=count)


def test_a_verb_does_not_ask_for_what_only_tests_need(checkout: Path) -> None:
    (checkout / ".venv" / ".set-up-dev").unlink()
    assert go(checkout, "status").stdout == "patchkit status\n"
    without_python = go(checkout, "test", path=str(checkout / "nothing"))
    assert without_python.returncode != 0 and "pytest" not in without_python.stdout


def test_no_suitable_python_is_one_line(checkout: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "dirname", "cat", "flock"):
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    shutil.rmtree(checkout / ".venv")
    done = go(checkout, "status", path=str(programs))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("go: no Python 3.10 or newer on the PATH; ") and done.stderr.count("\n") == 1


def test_the_set_up_runs_uv_by_code_that_needs_no_package() -> None:
    script = "from patchkit.environments.uv import environment_for_uv; print(len(environment_for_uv()) > 0)"
    bare = [sys.executable, "-S", "-c", script]
    done = subprocess.run(
        bare, cwd=CHECKOUT, env={"PATH": "", "PYTHONPATH": str(CHECKOUT)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


def test_the_readme_and_ci_run_the_same_tests() -> None:
    ran = (CHECKOUT / ".ci" / "run").read_text().splitlines()
    assert ran[-1] == "./go test --e2e"
    assert "./go test --e2e " in (CHECKOUT / "README.md").read_text()
