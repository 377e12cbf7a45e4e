"""What a distiller's step needs follows from its form, and stands beside what was measured."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[2]
BENCHMARK = CHECKOUT / "benchmarks" / "step_floor.py"
EVIDENCE = "evidence/bench-0.26.0-cuda-h200-v2-qwen2.5-7b-shapes.json"
known: Any = runpy.run_path(str(BENCHMARK))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("floor") / "tree"
    apply = [sys.executable, "-m", "patchkit", "apply", "--vllm", "0.26.0", "--into", str(place)]
    subprocess.run(apply, cwd=CHECKOUT, check=True, capture_output=True)
    return place


@pytest.mark.parametrize(
    ("given", "moved", "done"),
    [
        ({}, 24 * 8 * 8_257_536, 6 * 128 * 8_257_536),
        ({"shared": True}, 24 * 8_257_536, 6 * 128 * 8_257_536),
        # the first row of a prompt is trained on
        ({"preset": "release"}, 24 * 8 * 695_360, (2 * 128 + 4 * 8) * 695_360),
        ({"width": 1, "blocks": 1}, 24 * 8 * 3 * 3584, 6 * 128 * 3 * 3584),
    ],
)
def test_bytes_and_operations_follow_from_the_form(tree: Path, given: dict[str, Any], moved: int, done: int) -> None:
    config = known["configured"](runpy.run_path(str(tree / "esamp" / "config.py")), given)
    assert known["work"](config, 3584, 8, 16) == (moved, done)


def test_the_floor_of_each_row_stands_beside_its_ratio(tree: Path) -> None:
    run = [sys.executable, str(BENCHMARK), str(tree), EVIDENCE, "evidence/bench-0.28.0-cpu-smollm2.json"]
    done = subprocess.run(run, cwd=CHECKOUT, check=True, capture_output=True, text=True)
    said = done.stdout
    assert re.search(r"\| 7b \| 8 x 16 \| defaults \| H200 \| 6.\d+ \| 0.33 \| 0.09 \| 0.94\d (\| 0.\d{3} ){2}\|", said)
    assert said.count("\n") == 2 + 6
    assert done.stderr == "evidence/bench-0.28.0-cpu-smollm2.json: left out: no figures of a CPU\n"
