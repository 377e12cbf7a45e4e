"""What ESamp must add to a decode step of a GPU if nothing overlaps, beside what was measured.

Usage::

    python benchmarks/step_floor.py TREE evidence/bench-0.26.0-cuda-*.json

TREE is what ``patchkit apply --into TREE`` laid out; it says what a distiller of each setting is. Counted are the bytes
of Adam, which reads and writes weights and two moments in float32 at every step, and the float32 operations of a
forward and a backward pass. Prints Markdown, and on standard error what has no floor here. The floor is the ratio to
plain vLLM that is left; the intervention, copies and the host are not in it. A runtime that works beside kernels that
leave memory or cores idle can be above it.
"""

# mypy: ignore-errors

import argparse
import runpy
import sys
from pathlib import Path
from statistics import median

from patchkit.bench.throughput_evidence import read_throughput
from patchkit.environments.models.shapes import SHAPES
from patchkit.report.throughput.phrases import by_device_time

# NVIDIA's data sheets: bytes/s of memory, float32 operations/s without tensor cores.
CARDS = {"NVIDIA H100 80GB HBM3": (3.35e12, 67e12), "NVIDIA H200": (4.8e12, 67e12)}
ADAM_BYTES = 24  # a number
FORWARD, BACKWARD = 2, 4  # operations a number and row
COLUMNS = (
    "shapes",
    "load",
    "settings",
    "card",
    "plain, ms",
    "Adam, ms",
    "operations, ms",
    "floor",
    "measured",
    "by device time",
)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tree", type=Path)
    parser.add_argument("evidence", type=Path, nargs="+")
    given = parser.parse_args()
    known = runpy.run_path(str(given.tree / "esamp" / "config.py"))
    print(line(COLUMNS), line(["---"] * len(COLUMNS)), sep="\n")
    for place in given.evidence:
        evidence = read_throughput(place)
        unknown = lacking(evidence)
        if unknown:
            print(f"{place}: left out: {unknown}", file=sys.stderr)
            continue
        for row in evidence.rows:
            if row.ratio and row.mode == "graphs":
                print(line(cells(evidence, row, configured(known, row.given))))
            else:
                print(f"{place}: left out: {row.mode} {row.settings}, {row.prompts} x {row.samples}", file=sys.stderr)


def line(cells) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def lacking(evidence) -> str:
    """What is not known that a floor needs, or an empty string."""
    if evidence.hardware.gpu not in CARDS:
        return f"no figures of {evidence.hardware.gpu or 'a CPU'}"
    return "" if evidence.model in SHAPES else f"no shapes of {evidence.model}"


def configured(known, given):
    """The settings of a row."""
    preset, own = known["PRESETS"][given.get("preset", "paper")], dict(given)
    own.pop("preset", None)
    return known["Config"](**{**preset, **own})


def cells(evidence, row, config) -> list[str]:
    """What a row needs, and what it was."""
    bandwidth, speed = CARDS[evidence.hardware.gpu]
    plain = row.rows / median(run.rate for run in row.plain["graphs"])
    moved, done = work(config, SHAPES[evidence.model].hidden, row.prompts, row.samples)
    adam, operations = moved / bandwidth, done / speed
    device = by_device_time(evidence, row)
    return [
        evidence.model.removeprefix("qwen2.5-"),
        f"{row.prompts} x {row.samples}",
        row.settings,
        evidence.hardware.gpu.split()[1],
        *(f"{1e3 * seconds:.2f}" for seconds in (plain, adam, operations)),
        f"{plain / (plain + adam + operations):.3f}",
        f"{row.ratio.median:.3f}",
        f"{device:.3f}" if device else "-",
    ]


def work(config, hidden: int, prompts: int, samples: int) -> tuple[float, float]:
    """Bytes that Adam moves in a step, and operations of the distillers."""
    block = 3 * hidden * config.width + (0 if config.gate_bias is None else config.width)
    size = config.blocks * block + (2 * hidden if config.output_norm else 0)
    trained = prompts * (1 if config.rows == "first" else samples)
    moved = ADAM_BYTES * size * (1 if config.shared else prompts)
    return moved, size * (FORWARD * prompts * samples + BACKWARD * trained)


if __name__ == "__main__":
    main()
