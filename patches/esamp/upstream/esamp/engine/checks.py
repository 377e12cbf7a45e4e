"""What the values that vLLM hands over must look like; one that does not is an error in one line."""

from typing import Any, NoReturn

import numpy as np
import torch
import vllm

STEP, EXECUTE = "LLMEngine.step", "GPUModelRunner.execute_model"
PREPARE, SAMPLE = "GPUModelRunner._prepare_inputs", "Sampler.sample"
COLUMNS = ("num_computed_tokens_cpu", "num_prompt_tokens", "num_tokens_no_spec")
# How far a sum may be off by rounding, of its largest number; and how many rows of it are looked at.
SUM_TOLERANCE = 0.02
SUM_ROWS = 64


class Drifted(RuntimeError):
    """vLLM is not what this runtime was fitted to."""


def fail(symbol: str, what: str) -> NoReturn:
    """Name the symbol, the release, what is wrong, and where to look."""
    release = vllm.__version__.partition("+")[0]
    raise Drifted(f"esamp on vLLM {release}: {symbol} {what}; `patchkit drift --vllm {release}` tells what moved")


def check_batch(batch: Any, scheduled: Any) -> None:
    """The scheduler gives each request of the batch its tokens, and the columns are numbers, one a request."""
    ids = request_ids(batch)
    counts = scheduled.values() if isinstance(scheduled, dict) and scheduled.keys() == set(ids) else [None]
    if not all(isinstance(count, int) and count > 0 for count in counts):
        fail("SchedulerOutput.num_scheduled_tokens", f"is {described(scheduled)}, not the tokens of each request")
    for name in COLUMNS:
        column = getattr(batch, name, None)
        fits = isinstance(column, np.ndarray) and column.ndim == 1 and column.dtype.kind == "i"
        if not fits or len(column) < len(ids):
            fail(f"InputBatch.{name}", f"is {described(column)}, not an integer for each of {len(ids)} requests")


def check_owners(batch: Any, book: Any, hooked: str) -> None:
    """Every request was registered, under the id that the scheduler uses and as a sample of its own."""
    ids = request_ids(batch)
    owners = [book.owner(name) for name in ids]
    if None in owners:
        what = f"did not register request {ids[owners.index(None)]!r}"
        fail(hooked, f"{what}: it got another id later, or was added before install()")
    if len(set(owners)) < len(owners) or not all(isinstance(owner.sample, int) for owner in owners):
        fail(hooked, f"does not tell samples apart: {owners[:3]}")


def check_indices(batch: Any, scheduled: dict[str, int], logits_indices: torch.Tensor) -> int:
    """The logits indices are the last packed row of each request, in the batch's order; returns the step's tokens."""
    ends = np.cumsum([scheduled[name] for name in request_ids(batch)])
    found, last = logits_indices.tolist(), (ends - 1).tolist()
    if found != last:
        fail(PREPARE, f"returned {found[:4]}… as logits indices, not the last row of each request, {last[:4]}…")
    return int(ends[-1])


def completes_a_prompt(batch: Any, scheduled: dict[str, int]) -> bool:
    """A request reaches its newest token in this step, so that its next one is sampled."""
    tokens = np.array([scheduled[name] for name in request_ids(batch)])
    reached = batch.num_computed_tokens_cpu[: len(tokens)] + tokens
    return bool((reached >= batch.num_tokens_no_spec[: len(tokens)]).any())


def watch_norm(tap: Any, tokens: int, sums: list[tuple[str, torch.Tensor]]) -> None:
    """Look at the next call of a tapped norm: given x, or x and a residual, it returns as many ``[tokens, hidden]``.

    ``sums`` gets the norm's name and whether x + residual is not what it returned, which only the device knows.
    """
    forward, name = tap._forward, f"{type(tap.norm).__name__}.forward"

    def once(*inputs: Any, **named: Any) -> Any:
        tap._forward = forward
        given = [value for value in (*inputs, *named.values()) if isinstance(value, torch.Tensor)][:2]
        shape = (max(tokens, given[0].shape[0]), tap.buffer.shape[1])
        addends = [value[:SUM_ROWS].to(torch.float32, copy=True) for value in given]  # it may add in place
        output = forward(*inputs, **named)
        values = output if isinstance(output, tuple) else (output,)
        if len(values) != len(given) or not all(getattr(value, "shape", None) == shape for value in values):
            wanted = "the normalised rows" if len(given) == 1 else "(normalised, x + residual)"
            fail(name, f"returned {described(output)}, not {wanted} of {tokens} tokens")
        if len(given) == 2:
            sums.append((name, is_no_sum(values[1][:SUM_ROWS].float(), *addends)))
        return output

    tap._forward = once


def is_no_sum(found: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Whether it differs by more than rounding, 0-dimensional; what is no number is not judged."""
    expected = left + right
    return ((found - expected).abs() > SUM_TOLERANCE * expected.abs().max()).any()


def check_logits(logits: torch.Tensor, metadata: Any, runner: Any) -> None:
    """The sampler gets the vocabulary's logits for each request, and its temperature."""
    rows, width = runner.input_batch.num_reqs, runner.model_config.get_vocab_size()
    fits = logits.dim() == 2 and logits.is_floating_point() and logits.shape[0] == rows and logits.shape[1] >= width
    if not fits:
        fail(SAMPLE, f"got {described(logits)}, not the logits of {width} tokens for each of {rows} requests")
    if not metadata.all_greedy and getattr(metadata.temperature, "shape", None) != (rows,):
        fail("SamplingMetadata.temperature", f"is {described(metadata.temperature)}, not one for each request")


def check_head(rows: Any, runner: Any) -> None:
    """``compute_logits`` gets the hidden state of each request's last token, those that the logits are made of."""
    shape = (runner.input_batch.num_reqs, runner.model_config.get_hidden_size())
    if not isinstance(rows, torch.Tensor) or rows.shape != shape:
        fail("compute_logits", f"got {described(rows)}, not the hidden states of {shape[0]} requests")


def check_draw(symbol: str, drawn: Any, rows: int) -> bool:
    """Token ids are returned, alone or, since 0.10.2, in a pair with logprobs or None; tells whether it is a pair."""
    pair = isinstance(drawn, tuple)
    ids = drawn[0] if pair and len(drawn) == 2 else drawn
    if not isinstance(ids, torch.Tensor) or ids.shape != (rows,) or ids.dtype not in (torch.int32, torch.int64):
        fail(symbol, f"returned {described(drawn)}, not token ids of {rows} requests and logprobs or None")
    return pair


def request_ids(batch: Any) -> list[str]:
    return list(batch.req_ids[: batch.num_reqs])


def described(value: Any) -> str:
    """``int32 [8]`` for a tensor, for anything else its type."""
    if isinstance(value, tuple):
        return f"({', '.join(map(described, value))})"
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return type(value).__name__
