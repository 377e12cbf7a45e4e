"""The score of the extraction of answers, per family: `PYTHONPATH=. python benchmarks/answer_extraction.py`."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "evals"))
from corpus import entries

from patchkit.evals.graders.integer import read_answer


def main() -> None:
    scores: dict[str, list[bool]] = defaultdict(list)
    for entry in entries():
        right = read_answer(entry.text) == entry.reads
        for name in (entry.family, entry.part):
            scores[name].append(right)
        if not right and entry.part == "independent":
            print(f"{entry.id} is read as {read_answer(entry.text)!r}, not {entry.reads!r}: {entry.text}")
    for name, rights in scores.items():
        print(f"{name:12} {sum(rights):4} of {len(rights)}")


if __name__ == "__main__":
    main()
