"""Compare two modes of one served model: what they answer, how fast, and how often they are right.

Serve SmolLM2 (`patchkit serve` puts a runtime into it; plain `vllm serve` has none, and this says so), then:

    python examples/served_smollm2.py http://localhost:8000
    python examples/served_smollm2.py http://localhost:8000 --on '{"esamp": true, "esamp_beta": 0.4}'

The runtime's counters are given by a server that was started with VLLM_SERVER_DEV_MODE=1.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from typing import Any

from patchkit import Bench, PassAtK, VLLMClient
from patchkit.errors import PatchkitError

SAMPLING: dict[str, Any] = {"temperature": 0.8, "top_p": 0.95, "min_p": 0.1}


def questions(count: int) -> list[tuple[list[dict[str, str]], int]]:
    """Sums of two numbers below 50 as messages, each with its answer; always the same ones."""
    numbers = random.Random(0)
    pairs = [(numbers.randint(10, 49), numbers.randint(10, 49)) for _ in range(count)]
    return [([{"role": "user", "content": f"Calculate {a} + {b}."}], a + b) for a, b in pairs]


def right(text: str, answer: int) -> bool:
    """The last whole number of the text is the answer."""
    found = re.findall(r"-?\d+", text)
    return bool(found) and int(found[-1]) == answer


def answers(client: VLLMClient) -> None:
    """Four samples of one prompt, each with a seed of its own."""
    messages, _ = questions(1)[0]
    for one in client.sample(messages, n=4, seed=0, max_tokens=24, **SAMPLING):
        print(f"  seed {one.seed}, {one.tokens} tokens: {one.text!r}")


def accuracy(client: VLLMClient, count: int, n: int) -> PassAtK:
    """How many of each question's ``n`` samples are right; both modes get the same seeds."""
    counts = []
    for number, (messages, answer) in enumerate(questions(count)):
        found = client.sample(messages, n=n, seed=number * n, max_tokens=48, **SAMPLING)
        counts.append(sum(right(one.text, answer) for one in found))
    return PassAtK(counts, n=n)


def compare(url: str, off: dict[str, Any], on: dict[str, Any], counters: str, count: int, n: int) -> None:
    """Everything, printed."""
    client = VLLMClient(url, counters=counters)
    before, after = client.with_runtime(**off), client.with_runtime(**on)
    print(f"{client.model} at {client.url}, vLLM {client.version() or 'unknown'}")
    for name, one in (("off", before), ("on", after)):
        print(f"{name}, requests carry {one.runtime}:")
        answers(one)

    prompts = [messages for messages, _ in questions(4)]
    speed = Bench(before, after).run(prompts, n=2, max_tokens=32, pairs=6, **SAMPLING)
    print(f"tokens/s, on over off: {speed}")
    seen = speed.after[-1].counters
    print(f"the runtime's counters grew by {dict(seen)}" if seen else "no counters were given: was the runtime on?")

    baseline, mine = accuracy(before, count, n), accuracy(after, count, n)
    for change in (mine.against(baseline)[k - 1] for k in sorted({1, n})):
        print(
            f"pass@{change.k}: {change.before:.3f} -> {change.after:.3f}, difference {change.difference:+.3f} "
            f"({change.low:+.3f} to {change.high:+.3f}), p = {change.p:.2f}, "
            f"{'resolved' if change.direction else 'not resolved'}"
        )


def main() -> int:
    """The command line; 2 if the server cannot be asked."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("url")
    words.add_argument("--off", type=json.loads, default={"esamp": False}, help="what requests of the baseline carry")
    words.add_argument("--on", type=json.loads, default={"esamp": True}, help="what requests of the mode carry")
    words.add_argument(
        "--counters", default="esamp_counters", help="method by which the server tells the runtime's counters"
    )
    words.add_argument("--questions", type=int, default=8)
    words.add_argument("-n", type=int, default=4, help="samples of each question")
    given = words.parse_args()
    try:
        compare(given.url, given.off, given.on, given.counters, given.questions, given.n)
    except PatchkitError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
