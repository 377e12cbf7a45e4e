"""What a step of ESamp's distillers takes by itself, in one or more trees, in turn on one device.

Usage, with an interpreter that has torch, and Triton for CUDA::

    python benchmarks/bank_steps.py [--device cuda] [--hidden 576] [--rounds 5] TREE [TREE ...]

TREE is what ``patchkit apply --into TREE`` laid out. Prints JSON: of each tree and load, the milliseconds of predicting
and training, medians over the rounds.
"""

# mypy: ignore-errors

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from types import ModuleType

LOADS = ((1, 16), (8, 8), (64, 1))
STEPS, WARM = 12, 5
# As patchkit's environments have them on a CPU: memory that a step frees is kept for the next.
VARIABLES = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(512 << 20)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--hidden", type=int, default=576)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("trees", nargs="+", type=Path)
    given = parser.parse_args()
    if given.inside:
        print(json.dumps(measure(given.trees[0], given.device, given.hidden)))
        return
    options = ["--inside", "--device", given.device, "--hidden", str(given.hidden)]
    rounds = [{tree.name: measure_apart(options, tree) for tree in given.trees} for _ in range(given.rounds)]
    found = {
        tree: {load: round(median(one[tree][load] for one in rounds), 2) for load in loads}
        for tree, loads in rounds[0].items()
    }
    print(json.dumps(found, indent=1))


def measure_apart(options: list[str], tree: Path) -> dict[str, float]:
    """In a process of its own, as a package is imported once."""
    command = [sys.executable, __file__, *options, str(tree)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **VARIABLES})
    return json.loads(done.stdout)


def measure(tree: Path, device: str, hidden: int) -> dict[str, float]:
    """Milliseconds of a step, by load."""
    package = ModuleType("esamp")  # without its __init__, which imports vLLM
    package.__path__ = [str(tree / "esamp")]
    sys.modules["esamp"] = package
    import torch

    torch.set_grad_enabled(False)
    return {f"{prompts}x{samples}": steps(torch, device, hidden, prompts, samples) for prompts, samples in LOADS}


def steps(torch: ModuleType, device: str, hidden: int, prompts: int, samples: int) -> float:
    """The same of one load."""
    from esamp.method.network import Network
    from esamp.method.optimisers import Optimiser

    if device == "cuda":
        from esamp.method.graph_bank import GraphBank as Bank
    else:
        from esamp.method.bank import Bank
    form = Network(hidden, 2, 384, True, False, False)
    first = form.first(0, None, False, 0.0).to(device)
    rule = Optimiser("adam", 4e-4, 1e-4, 0.0, 0.5)
    bank = Bank(form, first, rule, False, False, lambda wanted: None, lambda loss: None)
    grouping = bank.group([prompt for prompt in range(prompts) for _ in range(samples)])
    source, target = torch.randn(2, prompts * samples, hidden, device=device)
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    times = []
    for _ in range(WARM + STEPS):
        began = time.perf_counter()
        if hasattr(bank, "step"):
            bank.step(source, target, grouping)
        else:  # trees of earlier forms of patch 15, and without it
            bank.train(bank.predict(source, grouping)[1], target, grouping)
        wait()
        times.append(time.perf_counter() - began)
    return 1000 * median(times[WARM:])


if __name__ == "__main__":
    main()
