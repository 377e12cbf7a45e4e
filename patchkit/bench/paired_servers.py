"""Throughput of two servers, or of two modes of one server, paired: one, the other, and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from patchkit.bench.server_liveness import grown
from patchkit.client import Completion, Messages, VLLMClient, side_by_side
from patchkit.errors import PatchkitError
from patchkit.evals.paired_ratio import PairedRatio, paired_ratio

LEAST_PAIRS = 5


@dataclass(frozen=True)
class ServerRun:
    """All prompts, once, through one server.

    Attributes:
        tokens: generated.
        seconds: until the last answer.
        counters: by how much those of the server's runtime grew that are whole numbers, and others as they are then;
            None where it tells none, so that nothing shows whether the runtime was at work.
    """

    tokens: int
    seconds: float
    counters: Mapping[str, Any] | None = None

    @property
    def rate(self) -> float:
        """Tokens/s."""
        return self.tokens / self.seconds


@dataclass(frozen=True)
class ServerComparison:
    """What a benchmark found.

    Attributes:
        before, after: the runs of either side, in order; run i of one side and run i of the other are a pair.
        ratio: of ``after``'s tokens/s to ``before``'s: its median over the pairs and its interval; ``confidence`` says
            how sure that is, which with five pairs is 94% at most.
    """

    before: list[ServerRun]
    after: list[ServerRun]
    ratio: PairedRatio

    def __str__(self) -> str:
        found = self.ratio
        sure = f"{100 * found.confidence:.1f}%"
        return f"{found.median:.3f} x ({found.low:.3f} to {found.high:.3f}, {sure}), {found.pairs} pairs"


class Bench:
    """Tokens/s of two servers, or two modes of one, on the same prompts with the same seeds: A B A B …

    >>> server = VLLMClient("http://localhost:8000")
    >>> Bench(server.with_runtime(mine=False), server.with_runtime(mine=True)).run(["Tell me about France."], pairs=6)

    Every answer has exactly ``max_tokens`` tokens (``ignore_eos``), so that both sides do the same work. Each side
    answers the prompts once before anything is timed.

    Args:
        before: what is compared with.
        after: what is compared.
    """

    def __init__(self, before: VLLMClient, after: VLLMClient) -> None:
        self.before, self.after = before, after

    def run(
        self,
        prompts: Sequence[str | Messages],
        *,
        n: int = 8,
        max_tokens: int = 64,
        seed: int = 0,
        pairs: int = 6,
        on_run: Callable[[str, ServerRun], None] | None = None,
        **sampling: Any,
    ) -> ServerComparison:
        """Measure.

        Args:
            prompts: all in flight at once, as far as the client's limits let them.
            n: samples of each prompt.
            max_tokens: of each sample, exactly.
            seed: of the first prompt of the first pair; every pair has other seeds, its two sides have the same.
            pairs: at least five; six are the fewest that carry an interval of 95%.
            on_run: called after each run with ``before`` or ``after``.
            sampling: see :meth:`VLLMClient.sample`.

        Raises:
            PatchkitError: fewer pairs or no prompts, or a server does not answer or refuses.
        """
        if pairs < LEAST_PAIRS:
            raise PatchkitError(f"{pairs} pairs carry no interval", f"ask for {LEAST_PAIRS} or more")
        if not prompts:
            raise PatchkitError("there are no prompts to measure with", "give one at least")
        asked = {"n": n, "max_tokens": max_tokens, "ignore_eos": True, **sampling}
        sides = {"before": self.before, "after": self.after}
        for client in sides.values():
            run_once(client, prompts, seed, asked)
        runs: dict[str, list[ServerRun]] = {side: [] for side in sides}
        for pair in range(pairs):
            for side, client in sides.items():
                found = run_once(client, prompts, seed + pair * len(prompts) * n, asked)
                runs[side].append(found)
                if on_run:
                    on_run(side, found)
        ratio = paired_ratio([one.rate for one in runs["before"]], [one.rate for one in runs["after"]])
        return ServerComparison(runs["before"], runs["after"], ratio)


def run_once(client: VLLMClient, prompts: Sequence[str | Messages], seed: int, asked: Mapping[str, Any]) -> ServerRun:
    """All prompts through one client; each has seeds of its own."""

    def ask(place: int) -> list[Completion]:
        return client.sample(prompts[place], seed=seed + place * asked["n"], **asked)

    before = client.counters()
    began = time.monotonic()
    found = [one for _, some in side_by_side(range(len(prompts)), ask, client.limits.concurrency) for one in some]
    seconds = time.monotonic() - began
    if any(one.tokens is None for one in found):
        what = f"{client.url} does not return token ids, by which tokens are counted"
        raise PatchkitError(what, "serve with vLLM 0.10.2 or newer")
    return ServerRun(sum(one.tokens or 0 for one in found), seconds, growth(before, client.counters()))


def growth(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """By how much each grew, see :func:`grown`; None unless both are there."""
    return None if before is None or after is None else grown(before, after)
