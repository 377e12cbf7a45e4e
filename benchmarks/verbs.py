"""How long the light verbs take as whole processes: ``python benchmarks/verbs.py [RUNS]``.

Prints the least, the median and the greatest of RUNS (default 10) beside the target. Machines are noisy: quote medians.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PATCHKIT = [sys.executable, "-m", "patchkit"]


def seconds_of(*arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([*PATCHKIT, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def fresh_apply() -> float:
    """The whole series onto the pin, in a folder that is not there yet."""
    with tempfile.TemporaryDirectory() as folder:
        return seconds_of("apply", "--vllm", "0.20.0", "--into", str(Path(folder, "tree")))


MEASURED: dict[str, tuple[float, Callable[[], float]]] = {
    "patchkit --help": (0.3, lambda: seconds_of("--help")),
    "patchkit status": (2.0, lambda: seconds_of("status")),
    "patchkit apply --vllm 0.20.0, fresh": (2.0, fresh_apply),
}


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    print(f"{'':38}{'least':>8}{'median':>8}{'most':>8}{'target':>8}   seconds, {runs} runs")
    for name, (target, measure) in MEASURED.items():
        measure()
        times = sorted(measure() for _ in range(runs))
        print(f"{name:38}{times[0]:8.2f}{statistics.median(times):8.2f}{times[-1]:8.2f}{target:8.1f}")


if __name__ == "__main__":
    main()
