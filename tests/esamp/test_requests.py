"""The runtime's book of requests, which needs neither torch nor vLLM."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from hypothesis import given
from hypothesis import strategies as st

SOURCE = Path(__file__).resolve().parents[2] / "patches" / "esamp" / "upstream" / "esamp" / "engine" / "requests.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("esamp_requests", SOURCE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


requests = load()


def test_samples_of_a_prompt_share_it_until_the_last_has_ended() -> None:
    book = requests.RequestBook()
    book.add_prompt("a", 2)
    book.add_prompt("b", 1)
    assert [book.owner(name) for name in ("0_a", "1_a", "b", "a")] == [(0, 0), (0, 1), (1, 0), None]
    book.drop("0_a")
    assert book.take_done() == []
    book.drop("1_a")
    book.drop("1_a")
    assert book.take_done() == [0] and book.take_done() == []


def test_an_id_used_again_before_the_engine_told_its_end() -> None:
    book = requests.RequestBook()
    book.add_prompt("a", 2)
    book.add_prompt("a", 2)
    assert book.take_done() == [0]
    book.drop("0_a")  # the first one's end is reported
    book.drop("1_a")
    assert [book.owner("0_a"), book.owner("1_a")] == [(1, 0), (1, 1)]
    book.drop("0_a")
    book.drop("1_a")
    assert book.take_done() == [1]


@given(st.lists(st.tuples(st.integers(1, 3), st.booleans()), max_size=30))
def test_every_prompt_is_done_once(actions: list[tuple[int, bool]]) -> None:
    """An id comes again at any time; the engine reports its end early (before it is used again) or late."""
    book, done, late = requests.RequestBook(), [], []
    alive: dict[int, list[str]] = {}
    for added, (samples, early) in enumerate(actions):
        names = [str(samples)] if samples == 1 else [f"{sample}_{samples}" for sample in range(samples)]
        ended = alive.pop(samples, [])
        for name in ended if early else []:
            book.drop(name)
        late += [] if early else ended
        book.add_prompt(str(samples), samples)
        alive[samples] = names
        assert [book.owner(name) for name in names] == [(added, sample) for sample in range(samples)]
        done += book.take_done()
    for name in late + [name for names in alive.values() for name in names]:
        book.drop(name)
    done += book.take_done()
    assert sorted(done) == list(range(len(actions)))
    assert all(book.owner(name) is None for names in alive.values() for name in names)
