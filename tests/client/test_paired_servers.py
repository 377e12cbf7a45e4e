"""``patchkit.Bench``: two servers, or two modes of one, in turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from made_server import MadeServer, serving

from patchkit import Bench, VLLMClient
from patchkit.bench.paired_servers import ServerRun
from patchkit.errors import PatchkitError


@pytest.fixture
def server() -> Iterator[MadeServer]:
    with serving(MadeServer(counters={"rows": 5})) as made:
        yield made


def test_two_modes_take_turns_on_the_same_seeds(server: MadeServer) -> None:
    client = VLLMClient(server.url, counters="/counters")
    seen: list[str] = []
    bench = Bench(client.with_runtime(toy=False), client.with_runtime(toy=True))
    found = bench.run(["a", "b"], n=2, max_tokens=4, pairs=5, on_run=lambda side, run: seen.append(side))
    assert seen == ["before", "after"] * 5
    assert [run.tokens for run in (*found.before, *found.after)] == [2 * 2 * 4] * 10
    assert found.ratio.pairs == 5 and found.ratio.low <= found.ratio.median <= found.ratio.high
    assert found.ratio.median == sorted(b.rate / a.rate for a, b in zip(found.before, found.after, strict=True))[2]
    assert "x (" in str(found) and "93.8%), 5 pairs" in str(found)
    timed = server.bodies[4:]  # each mode answered the prompts once before
    runs = [timed[i : i + 2] for i in range(0, len(timed), 2)]
    seeds = [sorted(body["seed"] for body in run) for run in runs]
    assert seeds[0] == seeds[1] == [0, 2] and seeds[2] == seeds[3] == [4, 6], "every pair has seeds of its own"
    assert [run[0]["vllm_xargs"]["toy"] for run in runs] == [False, True] * 5
    assert all(body["ignore_eos"] is True and body["max_tokens"] == 4 for body in timed)


def test_each_run_says_what_the_runtime_counted(server: MadeServer) -> None:
    client = VLLMClient(server.url, counters="/counters")
    found = Bench(client.with_runtime(toy=False), client.with_runtime(toy=True)).run(["a"], n=2, max_tokens=4, pairs=5)
    assert [run.counters for run in found.before] == [{"rows": 0}] * 5
    assert [run.counters for run in found.after] == [{"rows": 2 * 3}] * 5


def test_two_servers(server: MadeServer) -> None:
    with serving(MadeServer(slow=0.3)) as slower:
        found = Bench(VLLMClient(server.url), VLLMClient(slower.url)).run(["a"], n=1, max_tokens=4, pairs=6)
    assert found.ratio.median < 1 and found.ratio.confidence > 0.95
    assert found.after[0].counters is None, "it tells none"


@pytest.mark.parametrize(("prompts", "pairs", "says"), [(["a"], 4, "4 pairs"), ([], 5, "no prompts")])
def test_bad_input(server: MadeServer, prompts: list[str], pairs: int, says: str) -> None:
    client = VLLMClient(server.url)
    with pytest.raises(PatchkitError, match=says):
        Bench(client, client).run(prompts, pairs=pairs)
    assert not server.bodies


def test_a_server_that_counts_no_tokens(server: MadeServer) -> None:
    server.token_ids = False
    with pytest.raises(PatchkitError, match="does not return token ids"):
        Bench(VLLMClient(server.url), VLLMClient(server.url)).run(["a"], n=2)


def test_a_rate_is_tokens_over_seconds() -> None:
    assert ServerRun(10, 4.0).rate == 2.5
