"""The score on answers written without sight of the reader: `PYTHONPATH=. python benchmarks/answers_independent.py`."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import yaml

from patchkit.evals.graders.integer import read_answer

CORPUS = Path(__file__).parents[1] / "tests/evals/answers/independent/integer_independent.yaml"


def main() -> None:
    scores: dict[str, list[bool]] = defaultdict(list)
    for entry in yaml.safe_load(CORPUS.read_text("utf-8")):
        got = read_answer(entry["text"])
        for name in (entry["family"], "all"):
            scores[name].append(got == entry["reads"])
        if got != entry["reads"]:
            print(f"{entry['id']}: read {got!r}, not {entry['reads']!r}: {entry['text']!r}")
    for name, rights in scores.items():
        print(f"{name:12} {sum(rights):4} of {len(rights)}")


if __name__ == "__main__":
    main()
