"""Environments with CUDA: no driver is one line, what is fetched is said first, and real uv builds from real wheels.

What is fetched is a vLLM of a few bytes with a torch of a few bytes, from a folder.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from patchkit.cli import main
from patchkit.environments import build, cuda, ensure, nvidia, resolution
from patchkit.environments.build import MARKER
from patchkit.environments.cuda import AUTO, INDEX, ensure_cuda, plan_cuda
from patchkit.environments.uv import uv
from patchkit.errors import PatchkitError

RELEASE = "9.9.9"


def make_wheel(folder: Path, name: str, version: str, needs: str = "", tag: str = "py3-none-any") -> Path:
    """A wheel with one empty module."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += f"Requires-Dist: {needs}\n" if needs else ""
    wheel = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"
    files = {f"{name}.py": "", f"{info}/METADATA": metadata, f"{info}/WHEEL": wheel}
    lines = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(text.encode())}")
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""])
    place = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(place, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return place


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Path:
    """A folder with vLLM 9.9.9 and the torch that it pins, and no index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    make_wheel(folder, "vllm", RELEASE, "torch==2.0.0")
    make_wheel(folder, "torch", "2.0.0")
    make_wheel(folder, "torch", "2.0.0", tag="cp36-cp36m-win_amd64")
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    return folder


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, unset: Callable[[str], None], tmp_path: Path) -> Path:
    """A host without a driver: its files are looked for in an empty folder."""
    monkeypatch.setattr(nvidia, "MODULE_FILE", tmp_path / "module")
    monkeypatch.setattr(nvidia, "PROCESS_FILE", tmp_path / "process")
    monkeypatch.setattr(nvidia.shutil, "which", lambda name: None)
    unset("UV_CUDA_DRIVER_VERSION")
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["patchkit", "env", *words])
    with pytest.raises(SystemExit) as done:
        main()
    return int(done.value.code or 0)


def test_without_a_driver_it_is_one_line_and_nothing_is_asked(
    bare: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cuda, "uv", lambda *_, **__: pytest.fail("uv was asked"))
    monkeypatch.setattr(resolution, "uv", lambda *_, **__: pytest.fail("uv was asked"))
    assert run(monkeypatch, "--vllm", "0.20.0", "--device", "cuda") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "no NVIDIA driver" in said
    assert "`patchkit env --vllm 0.20.0 --device cuda --torch cu130`" in said
    assert not (cache / "environments").exists()


@pytest.mark.parametrize(
    ("file", "text", "version"),
    [
        ("module", "580.95.05\n", "580.95.05"),
        (
            "process",
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5\nGCC version: 12.2.0",
            "550.54.15",
        ),
        ("process", "", ""),
    ],
)
def test_the_driver_is_read_where_uv_reads_it(bare: Path, file: str, text: str, version: str) -> None:
    (bare / file).write_text(text)
    assert nvidia.nvidia_driver() == version


def test_a_driver_by_its_program_or_by_what_the_user_says(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = bare / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 570.10\n")
    program.chmod(0o755)
    monkeypatch.setattr(nvidia.shutil, "which", lambda name: str(program))
    assert nvidia.nvidia_driver() == "570.10"
    program.write_text("#!/bin/sh\necho NVIDIA-SMI has failed 1.2; exit 9\n")
    assert nvidia.nvidia_driver() == ""
    monkeypatch.setenv("UV_CUDA_DRIVER_VERSION", "525.60.13")
    assert nvidia.nvidia_driver() == "525.60.13"


def test_what_it_downloads_is_said_before_it_does(
    wheels: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = plan_cuda(RELEASE, INDEX)
    assert {(one.name, one.version) for one in found.downloads} == {("vllm", RELEASE), ("torch", "2.0.0")}
    sizes = {name: (wheels / f"{name}-py3-none-any.whl").stat().st_size for name in ("vllm-9.9.9", "torch-2.0.0")}
    assert found.bytes == sum(sizes.values()), "not the wheel for another system"
    assert not (cache / "environments" / f"{RELEASE}-cuda").exists()
    python = ensure_cuda(RELEASE, INDEX)
    subprocess.run([python, "-c", "import vllm, torch"], check=True)
    said = capsys.readouterr().err
    assert said.index("2 packages, 0.0 GB") < said.index("building the environment")
    facts = json.loads((python.parent.parent / MARKER).read_text())
    assert (facts["torch"], facts["backend"], facts["packages"]) == ("2.0.0", INDEX, 2)


def test_no_python_is_looked_for_once_one_does(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_for: list[object] = []

    def seen(words: list[object], *rest: str) -> str:
        looked_for.append(words[-1])
        return uv(words, *rest)

    monkeypatch.setattr(cuda, "uv", seen)
    assert plan_cuda(RELEASE, INDEX).python == looked_for[-1]


def test_it_is_built_once_and_then_taken(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PatchkitError, match=r"`patchkit env --vllm 9\.9\.9 --device cuda` builds one"):
        ensure(RELEASE, "cuda")
    python = ensure_cuda(RELEASE, INDEX)
    assert ensure(RELEASE, "cuda").python == python
    monkeypatch.setattr(cuda, "resolve_cuda", lambda *_: pytest.fail("it was resolved again"))
    assert ensure_cuda(RELEASE, INDEX) == ensure_cuda(RELEASE, AUTO) == python


def test_an_interrupted_build_is_no_environment(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "size", lambda folder: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        ensure_cuda(RELEASE, INDEX)
    with pytest.raises(PatchkitError, match="was built"):
        ensure(RELEASE, "cuda")


def test_a_torch_without_cuda_is_refused(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in wheels.glob("torch-*"):
        file.unlink()
    make_wheel(wheels, "torch", "2.0.0+cpu")
    with pytest.raises(PatchkitError, match=r"torch 2\.0\.0\+cpu"):
        plan_cuda(RELEASE, INDEX)


def test_a_release_that_is_not_there(wheels: Path) -> None:
    with pytest.raises(PatchkitError, match=r"cannot resolve vLLM 9\.9\.8"):
        plan_cuda("9.9.8", INDEX)


def test_an_index_that_cannot_be_reached_names_the_way_out(
    wheels: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("UV_NO_INDEX")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    for file in wheels.iterdir():
        file.unlink()
    with pytest.raises(PatchkitError, match=r"PyTorch's own.*--torch index"):
        plan_cuda(RELEASE, "cu130")


def test_a_dry_run_builds_nothing(
    wheels: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--vllm", RELEASE, "--device", "cuda", "--torch", "index", "--dry-run")
    assert run(monkeypatch, *words, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["torch"] == "2.0.0" and len(found["packages"]) == 2
    assert found["bytes"] == sum(one["bytes"] for one in found["packages"])
    assert run(monkeypatch, *words) == 0
    assert "2 packages" in capsys.readouterr().err
    assert not (cache / "environments").exists()


@pytest.mark.parametrize(
    "words",
    [("--torch", "cu130"), ("--vllm", "0.20.0", "--dry-run"), ("--vllm", "0.20.0", "--torch", "auto", "--remove")],
)
def test_options_that_mean_nothing(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cache: Path
) -> None:
    assert run(monkeypatch, *words) == 2
    assert "are for building an environment with CUDA" in capsys.readouterr().err


@pytest.mark.e2e
@pytest.mark.parametrize("release", ["0.20.0", "0.26.0", "newest"])
def test_real_releases_resolve_with_the_torch_that_they_pin(release: str, cache: Path) -> None:
    """Metadata only: nothing is installed. torch is the index's own: PyTorch's may be out of reach."""
    from patchkit.drift.index import listing, timeline

    chosen = timeline(listing(), "0")[-1].text if release == "newest" else release
    found = plan_cuda(chosen, INDEX)
    assert found.version("vllm") == chosen and found.version("torch")
    assert not found.unsized and found.bytes > 2e9, str(found)
    assert any(one.name.startswith("nvidia-") for one in found.downloads)
    shown = subprocess.run(
        [
            sys.executable,
            "-m",
            "patchkit",
            "env",
            "--vllm",
            chosen,
            "--device",
            "cuda",
            "--torch",
            "index",
            "--dry-run",
        ],
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0 and f"vLLM {chosen} with torch {found.version('torch')}" in shown.stderr
    assert not (cache / "environments").exists()
