"""What an environment needs for vLLM's second model runner on a CPU: its Triton kernels run in Triton's interpreter.

vLLM's CPU build takes Triton for usable only if it has an active backend named "cpu", and only if the distribution
``vllm`` says that it is a CPU build. Both are stubs here: nothing is ever compiled.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from patchkit.environments.quirks import name_the_distribution
from patchkit.errors import PatchkitError
from patchkit.model_runner import ModelRunner
from patchkit.release import parse_release

EARLIEST = {"cpu": "0.23.0", "cuda": "0.12.0"}
"""The first release that has the second runner, by device."""

TRITON = Requirement("triton==3.9.0")
"""Plain Python but for a compiler that the interpreter never calls; it does not matter which torch is beside it."""

WORKER = Path(__file__).parent.parent / "worker"
ENTRY_POINTS = """\
[triton.backends]
cpu = triton_interpreter.cpu
[vllm.general_plugins]
triton_interpreter = triton_interpreter.kernels:prepare
"""


@cache
def files() -> dict[str, str]:
    """The stub of a backend, and the plugin that gets the interpreter ready, by their place in ``site-packages``."""
    backend = {
        f"triton_interpreter/cpu/{file.name}": file.read_text() for file in (WORKER / "triton_backend").glob("*.py")
    }
    return {
        "triton_interpreter/__init__.py": "",
        "triton_interpreter/kernels.py": (WORKER / "interpreter.py").read_text(),
        **backend,
        "triton_interpreter-0.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: triton-interpreter\nVersion: 0.1\n",
        "triton_interpreter-0.1.dist-info/entry_points.txt": ENTRY_POINTS,
    }


def has_second_runner(release: str, device: str) -> bool:
    return parse_release(release) >= Version(EARLIEST[device])


def check_runner(release: str, device: str, runner: ModelRunner) -> None:
    """Raise a PatchkitError unless a release has that runner on that device."""
    if runner == "v2" and not has_second_runner(release, device):
        raise PatchkitError(
            f"vLLM {release} has no second model runner on {device} (there is one since {EARLIEST[device]})",
            "leave --runner out, or choose a later release",
        )


def extra_requirements(runner: ModelRunner) -> list[Requirement]:
    """The packages beyond the release's lock in an environment for a runner on the CPU."""
    return [TRITON] if runner == "v2" else []


def extra_digest(runner: ModelRunner) -> list[str]:
    """Everything beyond the lock that an environment for a runner is made of, as lines for its digest."""
    if runner == "v1":
        return []
    return [str(TRITON), hashlib.sha256(repr(sorted(files().items())).encode()).hexdigest()]


def prepare(site_packages: Path, release: str) -> list[str]:
    """Put the stubs into an environment; returns the names of what was done, as for quirks."""
    for name, text in files().items():
        path = site_packages / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    named = name_the_distribution(site_packages, release)
    return ["interpret_triton", *(["name_the_distribution"] if named else [])]
