"""Environments built by real uv from a lock of one small package: once, whole, and never half-done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from patchkit import console
from patchkit.environments import build, ensure, listing, quirks, second_runner
from patchkit.environments.build import MARKER
from patchkit.environments.running import variables_for
from patchkit.errors import PatchkitError
from patchkit.verbs import environments

RELEASE = "9.9.9"
ENSURE = """
import sys, time
from pathlib import Path
from patchkit.environments import build, ensure, lock
lock.FOLDER = Path(sys.argv[1])
original = build.apply_quirks
def slow(folder, release):
    Path(sys.argv[2]).touch()
    end = time.monotonic() + float(sys.argv[3])
    while time.monotonic() < end and not Path(sys.argv[2] + "-go-on").exists():
        time.sleep(0.02)
    return original(folder, release)
build.apply_quirks = slow
print(ensure("9.9.9", "cpu").python)
"""


def start(locks: Path, reached: Path, pause: float) -> subprocess.Popen[str]:
    """Another process that ensures the environment, and pauses just before the build ends, or until it is released."""
    command = [sys.executable, "-c", ENSURE, str(locks), str(reached), str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path) -> None:
    """Until ``path`` exists, at most half a minute."""
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.02)


def test_it_is_built_once_and_then_found_at_once(cache: Path, locks: Path) -> None:
    first = ensure(RELEASE, "cpu")
    subprocess.run([first.python, "-c", "import iniconfig"], check=True)
    built = (cache / "environments" / f"{RELEASE}-cpu" / MARKER).stat().st_mtime_ns
    began = time.monotonic()
    assert ensure(RELEASE, "cpu") == first
    assert time.monotonic() - began < 0.1
    assert (cache / "environments" / f"{RELEASE}-cpu" / MARKER).stat().st_mtime_ns == built


def test_a_changed_lock_builds_again(cache: Path, locks: Path) -> None:
    python = ensure(RELEASE, "cpu").python
    (locks / f"{RELEASE}-cpu.txt").write_text("iniconfig==2.0.0\n")
    ensure(RELEASE, "cpu")
    asked = "import importlib.metadata as m; print(m.version('iniconfig'))"
    assert subprocess.check_output([python, "-c", asked], text=True).strip() == "2.0.0"


def test_a_new_quirk_builds_again(cache: Path, locks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure(RELEASE, "cpu")
    quirk = quirks.Quirk("touch", SpecifierSet(f"=={RELEASE}"), "a test", lambda folder, _: not (folder / "t").touch())
    monkeypatch.setattr(quirks, "QUIRKS", (quirk,))
    ensure(RELEASE, "cpu")
    facts = build.finished(cache / "environments" / f"{RELEASE}-cpu")
    assert facts is not None and facts["quirks"] == ["touch"]


def test_a_killed_build_does_not_look_whole_and_the_next_one_mends_it(cache: Path, locks: Path, tmp_path: Path) -> None:
    killed = start(locks, tmp_path / "reached", 60)
    wait_for(tmp_path / "reached")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    folder = cache / "environments" / f"{RELEASE}-cpu"
    assert folder.is_dir() and build.finished(folder) is None
    assert [record["whole"] for record in listing.listed()] == [False]
    ensure(RELEASE, "cpu")
    assert build.finished(folder) is not None


def test_two_processes_build_it_once(cache: Path, locks: Path, tmp_path: Path) -> None:
    first = start(locks, tmp_path / "first", 60)
    wait_for(tmp_path / "first")
    second = start(locks, tmp_path / "second", 1)
    assert second.stderr is not None and "waiting: another patchkit" in second.stderr.readline()
    (tmp_path / "first-go-on").touch()
    ends = [process.communicate(timeout=60) for process in (first, second)]
    assert ends[0][0] and ends[0][0] == ends[1][0]
    assert not (tmp_path / "second").exists()


def test_no_network_is_one_line(cache: Path, locks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    with pytest.raises(PatchkitError) as caught:
        ensure(RELEASE, "cpu")
    line = str(caught.value)
    log = cache / "environments" / f"{RELEASE}-cpu.log"
    assert "package index cannot be reached" in line and str(log) in line and "\n" not in line
    assert "uv pip install" in log.read_text()
    assert build.finished(cache / "environments" / f"{RELEASE}-cpu") is None


def test_a_package_that_does_not_exist_is_one_line(cache: Path, locks: Path) -> None:
    (locks / f"{RELEASE}-cpu.txt").write_text("iniconfig==99.0\n")
    with pytest.raises(PatchkitError, match=r"cannot build the environment for vLLM 9\.9\.9.*iniconfig==99\.0"):
        ensure(RELEASE, "cpu")


def test_a_cache_that_cannot_be_written_is_one_line(
    locks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PATCHKIT_HOME", str(tmp_path / "file" / "cache"))
    with pytest.raises(PatchkitError, match="PATCHKIT_HOME"):
        ensure(RELEASE, "cpu")


def test_the_variables_keep_vllm_in_one_process_and_unbound(cache: Path, locks: Path) -> None:
    variables = ensure(RELEASE, "cpu").variables
    assert variables["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    assert variables["VLLM_CPU_OMP_THREADS_BIND"] == "nobind"
    assert variables["HF_HUB_OFFLINE"] == "1"


def test_what_is_imported_is_compiled_once_whatever_the_user_has_set(
    cache: Path, locks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    environment = ensure(RELEASE, "cpu")
    command = [environment.python, "-c", "import iniconfig; print(iniconfig.__cached__)"]
    compiled = subprocess.check_output(command, env=os.environ | environment.variables, text=True)
    assert Path(compiled.strip()).is_file()


def test_listing_building_and_removing(cache: Path, locks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert environments.env(None, "cpu", False, True) == 0
    assert json.loads(capsys.readouterr().out)["available"] == [RELEASE]
    assert environments.env(RELEASE, "cpu", False, True) == 0
    assert os.access(json.loads(capsys.readouterr().out)["python"], os.X_OK)
    assert environments.env(None, "cpu", False, False) == 0
    assert RELEASE in capsys.readouterr().out
    assert environments.env(RELEASE, "cpu", True, False) == 0
    assert listing.listed() == []
    with pytest.raises(PatchkitError, match="there is no environment"):
        environments.env(RELEASE, "cpu", True, False)
    with pytest.raises(PatchkitError, match="--vllm"):
        environments.env(None, "cpu", True, False)


@pytest.mark.parametrize("marker", ["{}", "[]", '{"release": "x", "lock": "", "torch": "", "bytes": "1", "built": []}'])
def test_a_damaged_marker_is_an_unfinished_environment(
    marker: str, cache: Path, locks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = cache / "environments" / f"{RELEASE}-cpu"
    build.interpreter(folder).parent.mkdir(parents=True)
    build.interpreter(folder).touch()
    (folder / MARKER).write_text(marker)
    assert environments.env(None, "cpu", False, False) == 0
    assert "unfinished" in capsys.readouterr().out


def test_a_folder_with_brackets_is_shown_as_it_is(
    tmp_path: Path, locks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("[bold]", "[", "[/x]"):
        monkeypatch.setenv("PATCHKIT_HOME", str(tmp_path / name))
        assert environments.env(None, "cpu", False, False) == 0
        assert str(tmp_path / name) in capsys.readouterr().out
        with console.working(f"looking into {name}"):
            pass
        assert capsys.readouterr().err.count(f"looking into {name}") == 2


def test_removing_touches_nothing_outside(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "precious-cpu").mkdir()
    with pytest.raises(PatchkitError, match="there is no environment"):
        environments.env("../../precious", "cpu", True, False)
    assert (tmp_path / "precious-cpu").is_dir()


def test_the_cpu_build_of_torch_comes_without_cuda_libraries(locks: Path) -> None:
    from patchkit.environments.lock import FOLDER  # the committed ones

    committed = Path(build.__file__).with_name("locks") / "0.20.0-cpu.txt"
    assert committed.parent != FOLDER
    kept = {r.name: str(r.specifier) for r in build.for_cpu_torch(build.requirements(committed))}
    assert kept["torch"] == "==2.11.0+cpu"
    assert not [name for name in kept if name.startswith("nvidia-")]


def test_a_python_that_the_release_takes_is_found_on_this_machine(cache: Path, locks: Path) -> None:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    (locks / f"{RELEASE}-cpu.txt").write_text(f"# Python: =={here}.*\niniconfig==2.1.0\n")
    asked = [ensure(RELEASE, "cpu").python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    assert subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip() == here


def test_a_release_that_needs_another_python_says_which(
    cache: Path, locks: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (locks / f"{RELEASE}-cpu.txt").write_text("# Python: >=3.13,<3.15\niniconfig==2.1.0\n")
    monkeypatch.setenv("PATH", str(tmp_path))  # no interpreter is found
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    with pytest.raises(
        PatchkitError, match=r"it needs Python 3\.13 or 3\.14, and this machine has none of them.*--python"
    ):
        ensure(RELEASE, "cpu")
    assert build.finished(cache / "environments" / f"{RELEASE}-cpu") is None


def test_the_variables_say_which_model_runner_is_taken(cache: Path, locks: Path) -> None:
    assert ensure(RELEASE, "cpu").variables["VLLM_USE_V2_MODEL_RUNNER"] == "0"
    assert ensure(RELEASE, "cpu", runner="v2").variables["VLLM_USE_V2_MODEL_RUNNER"] == "1"
    assert variables_for("0.20.0", "cpu")["VLLM_USE_V2_MODEL_RUNNER"] == "0"
    assert "VLLM_USE_V2_MODEL_RUNNER" not in variables_for("0.11.2", "cpu"), "there is one runner only"


def test_the_second_runner_has_an_environment_of_its_own(cache: Path, locks: Path) -> None:
    first, second = ensure(RELEASE, "cpu"), ensure(RELEASE, "cpu", runner="v2")
    assert first.python != second.python and "TRITON_INTERPRET" not in first.variables
    assert second.variables["TRITON_INTERPRET"] == "1" and ensure(RELEASE, "cpu", runner="v2") == second
    named = [(record["release"], record["device"], record["runner"]) for record in listing.listed()]
    assert named == [(RELEASE, "cpu", "v1"), (RELEASE, "cpu", "v2")]
    asked = (
        "import importlib.metadata as m; print(m.version('triton'), m.version('vllm'),"
        " [one.value for one in m.entry_points(group='triton.backends') if one.name == 'cpu'])"
    )
    said = subprocess.check_output([second.python, "-c", asked], text=True).strip()
    triton = str(second_runner.TRITON.specifier).removeprefix("==")
    assert said == f"{triton} {RELEASE}+cpu ['triton_interpreter.cpu']"


def test_another_stub_builds_the_second_runner_again_and_not_the_first(
    cache: Path, locks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = locks / f"{RELEASE}-cpu.txt"
    before = [build.digest(lock, RELEASE), build.digest(lock, RELEASE, "v2")]
    monkeypatch.setitem(second_runner.files(), "triton_interpreter/__init__.py", "# more\n")
    after = [build.digest(lock, RELEASE), build.digest(lock, RELEASE, "v2")]
    assert after[0] == before[0] and after[1] != before[1] and before[0] != before[1]


@pytest.mark.parametrize(("release", "device"), [("0.22.1", "cpu"), ("0.11.2", "cuda")])
def test_a_release_without_a_second_runner_is_one_line(release: str, device: str) -> None:
    with pytest.raises(
        PatchkitError, match=rf"vLLM {release} has no second model runner on {device} \(there is one since"
    ):
        ensure(release, device, Path(sys.executable), "v2")
