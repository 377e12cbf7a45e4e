"""What each part of ESamp costs a decode step: parts are left out of one engine in turn, and then all of it.

Usage, with an interpreter that has vLLM for CUDA, and the second model runner::

    VLLM_USE_V2_MODEL_RUNNER=1 python benchmarks/step_parts.py TREE MODEL [--random-weights] [--loads 1x16,8x16]

TREE is what ``patchkit apply --into TREE`` laid out. MODEL is a folder or a hub id; with ``--random-weights`` a folder
that has ``config.json`` alone will do. For time alone: with a part left out the tokens are wrong. The rounds of a load
go through all rows in an order of chance; then comes ``uninstall()``, and the rows without ESamp in turn. Prints a line
of JSON for each row, at the end: of a whole call, milliseconds for each token (median, lowest, highest), the ratio
of the engine after ``uninstall()`` to it, and the card's clocks in MHz (multiprocessors, memory; medians). A load of
the 7B shapes with five rounds takes two and a half minutes on an H200.
"""

# mypy: ignore-errors

import argparse
import json
import os
import random
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median

REST = 4  # seconds, in which the card's clocks and its temperature fall
UNINSTALLED = "uninstalled"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tree", type=Path)
    parser.add_argument("model")
    parser.add_argument("--random-weights", action="store_true")
    parser.add_argument("--loads", default="1x16,8x16")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--gpu-memory", type=float, default=0.4)
    given = parser.parse_args()
    given.inside = "esamp"
    os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_LOGGING_STREAM": "ext://sys.stderr"}
    from step_gaps import Side

    side, clocks = Side(given), Clocks()
    loads = [tuple(map(int, load.split("x"))) for load in given.loads.split(",")]
    found = {load: {} for load in loads}
    for load in loads:
        take_turns(side, load, with_esamp(side.runtime), given.rounds, clocks, found[load])
    side.runtime.uninstall()
    for load in loads:
        take_turns(side, load, without_esamp(), given.rounds, clocks, found[load])
    for load, rows in found.items():
        usual = median(row["took"] for row in rows[UNINSTALLED])
        for name, measured in rows.items():
            print(json.dumps({"load": "{}x{}".format(*load), "row": name, **summed_up(measured, usual)}), flush=True)


def take_turns(side, load: tuple[int, int], rows: dict, rounds: int, clocks: "Clocks", found: dict) -> None:
    """Measure each row once a round; what a row changes lasts as long as its context."""
    for number in range(rounds):
        print("{}x{}: round {} of {}".format(*load, number + 1, rounds), file=sys.stderr, flush=True)
        for name in random.sample(list(rows), len(rows)):
            with rows[name](lambda: side.generate(*load)):
                began = time.perf_counter()
                side.generate(*load)
                took = 1e3 * (time.perf_counter() - began) / side.tokens
            found.setdefault(name, []).append({"took": took, "clocks": clocks.since(began)})


def summed_up(measured: list[dict], usual: float) -> dict:
    """A row's figures; ``usual``: what the engine takes after ``uninstall()``."""
    took = [one["took"] for one in measured]
    clocks = [one["clocks"] for one in measured if one["clocks"]]
    return {
        "step": round(median(took), 3),
        "low": round(min(took), 3),
        "high": round(max(took), 3),
        "ratio": round(usual / median(took), 3),
        "clocks": [median(values) for values in zip(*clocks, strict=True)],
    }


# Rows.


def with_esamp(runtime) -> dict:
    """Each row's context: given a call that runs the load, it makes the change and takes it back."""
    from esamp.engine.late_checks import LateChecks
    from esamp.method.arithmetic import Arithmetic
    from esamp.method.graph_bank import GraphBank
    from esamp.runtime import Runtime

    def nothing(*given, **named) -> None:
        """In place of a method."""

    late = [(LateChecks, name, nothing) for name in ("add", "send", "raise_arrived")]
    move = [(Runtime, "_intervene", nothing), (GraphBank, "await_prediction", nothing)]
    work = [(GraphBank, "step", last_step)]
    return {
        "esamp": unchanged,
        "rested": rested,
        "no late checks": changed(late),
        "no intervention": changed(move),
        "no training": untrained(runtime, [(Arithmetic, "learn", nothing)]),
        "no side stream": changed(work),
        "no side stream, no intervention": changed(work + move),
        "no side stream, no intervention, no late checks": changed(work + move + late),
        "all on one stream": one_stream(runtime),
    }


def without_esamp() -> dict:
    """Rows of the engine after ``uninstall()``, to be called then: the methods that it keeps are vLLM's own."""
    import torch
    from vllm.v1.worker.gpu.model_runner import GPUModelRunner

    numbers, side, original = torch.zeros(64, device="cuda"), torch.cuda.Stream(), GPUModelRunner.execute_model

    def beside(runner, *given, **named):
        with torch.cuda.stream(side):
            numbers.add_(1)
        return original(runner, *given, **named)

    return {
        UNINSTALLED: unchanged,
        "uninstalled, rested": rested,
        "uninstalled, a kernel a step on another stream": changed([(GPUModelRunner, "execute_model", beside)]),
    }


def unchanged(run):
    return nullcontext()


@contextmanager
def rested(run):
    time.sleep(REST)
    yield


def changed(methods: list[tuple]):
    """The row with these methods, each a class, a name and a function, in place of its own."""

    @contextmanager
    def row(run):
        before = [(owner, name, vars(owner)[name]) for owner, name, _ in methods]
        for owner, name, function in methods:
            setattr(owner, name, function)
        try:
            yield
        finally:
            for owner, name, function in before:
                setattr(owner, name, function)

    return row


def last_step(bank, source, target, grouping):
    """Nothing on the side stream: what was predicted for as many rows before, or for any."""
    from esamp.method.bank import Stepped

    shape, count = max(bank._shapes.values(), key=lambda shape: shape.layout.serving.shape[0]), source.shape[0]
    return Stepped(shape.predicted[:count], shape.read[:count], shape.losses)


def untrained(runtime, learn: list[tuple]):
    """The row whose graphs are captured without training."""

    @contextmanager
    def row(run):
        bank = runtime.bank
        with changed(learn)(run):
            bank._drop_graphs()
            run()
            yield
        bank._drop_graphs()
        run()

    return row


def one_stream(runtime):
    """The row whose training is on vLLM's stream."""
    import torch

    @contextmanager
    def row(run):
        bank = runtime.bank
        before = bank._stream
        torch.cuda.synchronize()
        bank._stream = torch.cuda.current_stream()
        yield
        torch.cuda.synchronize()
        bank._stream = before

    return row


class Clocks:
    """The card's clocks, ten times a second."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, list[float]]] = []
        threading.Thread(target=self._watch, daemon=True).start()

    def since(self, began: float) -> list[float]:
        """Medians in MHz, multiprocessors' and memory's; empty if there was no time to look."""
        seen = [clocks for at, clocks in self._seen if at >= began]
        return [median(values) for values in zip(*seen, strict=True)]

    def _watch(self) -> None:
        query = ["nvidia-smi", "--query-gpu=clocks.sm,clocks.mem", "--format=csv,noheader,nounits", "-lms", "100"]
        with subprocess.Popen([*query, "-i", card()], stdout=subprocess.PIPE, text=True) as reader:
            for line in reader.stdout:
                self._seen.append((time.perf_counter(), [float(value) for value in line.split(",")]))


def card() -> str:
    """The identifier of the card in use, whatever its number is in this process."""
    import torch

    return f"GPU-{torch.cuda.get_device_properties(0).uuid}"


if __name__ == "__main__":
    main()
