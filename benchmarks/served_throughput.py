"""Tokens/s over HTTP, a server with the runtime beside one without it: ``served_throughput.py PLAIN_URL PATCHED_URL``.

Both serve the same model on one device, and are started beforehand, PATCHED with ``VLLM_SERVER_DEV_MODE=1`` so that it
returns the runtime's counters. They answer the same prompts with the same seeds in turn. Prints every run, and each
load's ratio with its interval. Exit code 1 if the runtime was not at work in a run.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from patchkit import Bench, VLLMClient
from patchkit.bench.paired_servers import ServerRun
from patchkit.bench.throughput_plan import Load, read_loads
from patchkit.errors import PatchkitError

SAMPLING: dict[str, Any] = {"temperature": 0.8, "top_p": 0.95, "min_p": 0.1}


def measure(bench: Bench, load: Load, tokens: int, pairs: int) -> bool:
    """One load; whether the runtime acted on every decode row of each of its runs."""
    asked = [f"Name {number + 2} things that one finds in a kitchen." for number in range(load.prompts)]
    least = load.rows * (tokens - 1)
    alive = True

    def show(side: str, run: ServerRun) -> None:
        nonlocal alive
        acted = (run.counters or {}).get("intervened_rows")
        alive = alive and (side == "before" or acted == least)
        print(f"{load} {side:6} {run.rate:9,.0f} tokens/s{'' if acted is None else f', {acted} rows'}")

    found = bench.run(asked, n=load.samples, max_tokens=tokens, pairs=pairs, on_run=show, **SAMPLING)
    print(f"{load}: {found}; rows due in each run: {least}", flush=True)
    return alive


def main() -> int:
    """The command line."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("plain")
    words.add_argument("patched")
    words.add_argument("--loads", default="8x16,1x16", help="prompts x samples of each, several loads")
    words.add_argument("--tokens", type=int, default=128, help="of every sample")
    words.add_argument("--pairs", type=int, default=6)
    given = words.parse_args()
    try:
        loads = read_loads(given.loads)
        plain, patched = VLLMClient(given.plain), VLLMClient(given.patched, counters="esamp_counters")
        print(f"{patched.served().name}, vLLM {patched.version()}; {given.tokens} tokens a sample")
        bench = Bench(plain, patched)
        alive = [measure(bench, load, given.tokens, given.pairs) for load in loads]
    except PatchkitError as error:
        print(error, file=sys.stderr)
        return 2
    if not all(alive):
        print("the runtime was not at work in every run", file=sys.stderr)
    return 0 if all(alive) else 1


if __name__ == "__main__":
    sys.exit(main())
