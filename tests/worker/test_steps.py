"""The worker's own count of a step, on scheduler outputs made here; no vLLM is needed for it."""

from dataclasses import dataclass, field
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from patchkit.worker.steps import StepTracker


@dataclass
class Scheduled:
    """The fields of vLLM's SchedulerOutput that the tracker reads."""

    num_scheduled_tokens: dict[str, int]
    scheduled_new_reqs: list[SimpleNamespace] = field(default_factory=list)
    cached: dict[str, int] = field(default_factory=dict)
    finished_req_ids: set[str] = field(default_factory=set)

    @property
    def scheduled_cached_reqs(self) -> SimpleNamespace:
        return SimpleNamespace(req_ids=list(self.cached), num_computed_tokens=list(self.cached.values()))


def new(name: str, prompt: int, computed: int = 0) -> SimpleNamespace:
    return SimpleNamespace(
        req_id=name,
        prompt_token_ids=list(range(prompt)),
        num_computed_tokens=computed,
        sampling_params=SimpleNamespace(seed=None),
    )


def test_prefill_then_decode() -> None:
    tracker = StepTracker()
    shape, spans = tracker.take(Scheduled({"a": 5}, [new("a", 5)]))
    assert (shape.requests, shape.prefill_tokens, shape.decode_rows) == (1, 5, 0)
    assert spans["a"].samples and not spans["a"].decode
    shape, spans = tracker.take(Scheduled({"a": 1}, cached={"a": 5}))
    assert (shape.prefill_tokens, shape.decode_rows) == (0, 1)
    assert spans["a"].decode


def test_the_last_token_of_a_chunked_prompt_is_no_decode_row() -> None:
    tracker = StepTracker()
    _, spans = tracker.take(Scheduled({"a": 4}, [new("a", 5)]))
    assert not spans["a"].samples
    shape, spans = tracker.take(Scheduled({"a": 1}, cached={"a": 4}))
    assert (shape.prefill_tokens, shape.decode_rows) == (1, 0)
    assert spans["a"].samples


def test_a_prompt_found_in_the_prefix_cache_has_one_prefill_token() -> None:
    shape, _ = StepTracker().take(Scheduled({"a": 1}, [new("a", 17, computed=16)]))
    assert (shape.prefill_tokens, shape.recomputed_tokens, shape.decode_rows) == (1, 0, 0)


def test_a_preempted_request_decodes_only_at_its_newest_position() -> None:
    tracker = StepTracker()
    tracker.take(Scheduled({"a": 3}, [new("a", 3)]))
    tracker.take(Scheduled({"a": 1}, cached={"a": 3}))
    tracker.take(Scheduled({"a": 1}, cached={"a": 4}))
    # Preempted: positions 0 to 4 are computed again, one of them alone in its step, then 5 for the first time.
    shape, _ = tracker.take(Scheduled({"a": 4}, cached={"a": 0}))
    assert (shape.recomputed_tokens, shape.decode_rows) == (4, 0)
    shape, spans = tracker.take(Scheduled({"a": 1}, cached={"a": 4}))
    assert (shape.recomputed_tokens, shape.recomputed_alone, shape.decode_rows) == (1, 1, 0)
    shape, spans = tracker.take(Scheduled({"a": 1}, cached={"a": 5}))
    assert (shape.recomputed_tokens, shape.decode_rows) == (0, 1)
    assert spans["a"].decode


def test_a_prompt_token_computed_again_alone_is_counted_apart() -> None:
    tracker = StepTracker()
    tracker.take(Scheduled({"a": 3}, [new("a", 3)]))
    shape, _ = tracker.take(Scheduled({"a": 1}, cached={"a": 0}))
    assert (shape.recomputed_tokens, shape.recomputed_alone) == (1, 0)


def test_the_batch_before_is_remembered() -> None:
    tracker = StepTracker()
    tracker.take(Scheduled({"a": 2, "b": 2}, [new("a", 2), new("b", 2)]))
    tracker.take(Scheduled({"a": 1, "b": 1}, cached={"a": 2, "b": 2}))
    shape, _ = tracker.take(Scheduled({"a": 1}, cached={"a": 3}, finished_req_ids={"b"}))
    assert (shape.decode_rows, shape.decode_rows_before) == (1, 2)
    assert set(tracker.requests) == {"a"}


@given(
    prompts=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    chunks=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    generated=st.integers(1, 6),
)
def test_every_position_is_counted_once(prompts: list[int], chunks: list[int], generated: int) -> None:
    """However prompts are chunked: prefill tokens add up to the prompts, decode rows to what was fed back."""
    tracker, prefill, decode = StepTracker(), 0, 0
    computed = dict.fromkeys(range(len(prompts)), 0)
    step = 0
    while any(computed[i] < prompts[i] + generated for i in computed):
        scheduled = Scheduled({})
        for i, prompt in enumerate(prompts):
            left = prompt - computed[i]
            tokens = min(chunks[step % len(chunks)], left) if left > 0 else int(computed[i] < prompt + generated)
            if not tokens:
                continue
            if computed[i]:
                scheduled.cached[str(i)] = computed[i]
            else:
                scheduled.scheduled_new_reqs.append(new(str(i), prompt))
            scheduled.num_scheduled_tokens[str(i)] = tokens
            computed[i] += tokens
        shape, _ = tracker.take(scheduled)
        prefill, decode, step = prefill + shape.prefill_tokens, decode + shape.decode_rows, step + 1
        assert shape.recomputed_tokens == 0
    assert prefill == sum(prompts)
    assert decode == generated * len(prompts)
