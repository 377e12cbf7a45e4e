"""The score of the extraction of code, per family: `PYTHONPATH=. python benchmarks/code_extraction.py`."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "evals"))
from programs import PARTS, answers, wrong


def main() -> None:
    scores: dict[str, list[bool]] = defaultdict(list)
    for part, name in PARTS.items():
        for answer in answers(part):
            why = wrong(answer)
            for kind in (name, answer.family):
                scores[kind].append(not why)
            if why and part == "written_on":
                print(f"{answer.id}, {answer.family}: {why}")
    for kind, rights in scores.items():
        print(f"{kind:18} {sum(rights):3} of {len(rights)}")


if __name__ == "__main__":
    main()
