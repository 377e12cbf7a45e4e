"""The batch of a step, counted from the scheduler's output alone, independently of the runtime."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Tracked:
    """A request as the scheduler's outputs describe it."""

    prompt_length: int
    computed: int
    fed: int = 0  # positions below this have been through the model
    prompt_token_ids: tuple[int, ...] = ()
    seed: Any = None


@dataclass
class Shape:
    """The shape of one step; see ``step`` in docs/worker-protocol.md."""

    requests: int = 0
    decode_rows: int = 0
    prefill_tokens: int = 0
    recomputed_tokens: int = 0
    recomputed_alone: int = 0
    decode_rows_before: int = 0


@dataclass
class Span:
    """One request's tokens in a step: positions ``start .. start + tokens - 1``."""

    start: int
    tokens: int
    decode: bool
    samples: bool  # the step computes its newest token, so that the next one is drawn


@dataclass
class StepTracker:
    """Follows every request from step to step."""

    requests: dict[str, Tracked] = field(default_factory=dict)
    decode_rows_before: int = 0

    def take(self, scheduled: Any) -> tuple[Shape, dict[str, Span]]:
        """Digest a ``SchedulerOutput``: the step's shape, and each request's span."""
        for request_id in scheduled.finished_req_ids:
            self.requests.pop(request_id, None)
        for new in scheduled.scheduled_new_reqs:
            fed = self.requests[new.req_id].fed if new.req_id in self.requests else 0
            self.requests[new.req_id] = Tracked(
                prompt_length=len(new.prompt_token_ids),
                computed=new.num_computed_tokens,
                fed=max(fed, new.num_computed_tokens),
                prompt_token_ids=tuple(new.prompt_token_ids),
                seed=new.sampling_params.seed,
            )
        cached = scheduled.scheduled_cached_reqs
        for request_id, computed in zip(cached.req_ids, cached.num_computed_tokens, strict=True):
            self.requests[request_id].computed = computed
        shape = Shape(requests=len(scheduled.num_scheduled_tokens), decode_rows_before=self.decode_rows_before)
        spans = {name: self._span(name, tokens, shape) for name, tokens in scheduled.num_scheduled_tokens.items()}
        self.decode_rows_before = shape.decode_rows
        return shape, spans

    def _span(self, request_id: str, tokens: int, shape: Shape) -> Span:
        request = self.requests[request_id]
        start, end = request.computed, request.computed + tokens
        decode = tokens == 1 and start >= request.prompt_length and start >= request.fed
        again = max(0, min(end, request.fed) - start)
        shape.decode_rows += decode
        shape.recomputed_tokens += again
        shape.recomputed_alone += tokens == again == 1 and start >= request.prompt_length
        shape.prefill_tokens += max(0, min(end, request.prompt_length) - start - again)
        request.fed = max(request.fed, end)
        return Span(start, tokens, decode, samples=end >= request.prompt_length and end >= request.fed)
