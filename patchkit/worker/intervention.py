"""Was the intervention really made? The logits that are drawn from, against gold logits worked out here.

A distiller that has not learnt yet projects up with zeros, so it predicts LN(shallow row) and nothing else. On a
prompt's first decode step its rows' logits are therefore known without asking the runtime; later ones must at least
have moved.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import layer_norm
from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p

GREEDY_TEMPERATURE = 1e-5
NORM_EPSILON = 1e-5
# Of the largest logit in a row: a prediction is rounded to the model's type before it is read out.
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 3e-2, torch.float16: 1e-2}


@dataclass
class Drawn:
    """One step's sampling, as seen from outside the runtime.

    Attributes:
        before: ``[requests, vocabulary]`` logits that ``Sampler.sample`` was given.
        after: ``[requests, vocabulary]`` logits that tokens were drawn from.
        tokens: ``[requests]`` what was drawn.
        metadata: vLLM's ``SamplingMetadata``.
        decode: places of the decode rows in the batch.
        fresh: which of them belong to a prompt that decodes for the first time.
        shallow: ``[decode rows, hidden]`` the shallow layer's own rows.
    """

    before: torch.Tensor
    after: torch.Tensor
    tokens: torch.Tensor
    metadata: Any
    decode: list[int]
    fresh: list[bool]
    shallow: torch.Tensor


def check_intervention(
    drawn: Drawn, beta: float, readout: Callable[[torch.Tensor], torch.Tensor], dtype: torch.dtype
) -> dict[str, Any]:
    """Compare every row; see ``intervention`` in docs/worker-protocol.md."""
    temperature, expected = filtered(drawn.before, drawn.metadata)
    plain = expected.clone()
    exact = [row for row, fresh in zip(drawn.decode, drawn.fresh, strict=True) if fresh]
    if exact:
        shallow = drawn.shallow[torch.tensor(drawn.fresh, device=drawn.shallow.device)].float()
        predicted = readout(layer_norm(shallow, shallow.shape[-1:], eps=NORM_EPSILON).to(dtype)).float()
        predicted = predicted / temperature[exact].unsqueeze(1)
        moved = (1 + beta) * plain[exact] - beta * predicted
        expected[exact] = torch.where(plain[exact] > float("-inf"), moved, plain[exact])

    wrong = first_wrong(drawn, plain, expected, exact, temperature, beta, TOLERANCE[dtype])
    greedy = temperature_of(drawn.metadata, drawn.before) < GREEDY_TEMPERATURE
    return {
        "checked": drawn.before.shape[0],
        "exact": len(exact),
        "exact_greedy": int(greedy[exact].sum()),
        "exact_tempered": int((temperature[exact] != 1).sum()),
        "exact_beside_prefill": len(exact) if len(drawn.decode) < drawn.before.shape[0] else 0,
        "untouched": drawn.before.shape[0] - len(drawn.decode),
        "first_wrong": wrong,
    }


def first_wrong(
    drawn: Drawn,
    plain: torch.Tensor,
    expected: torch.Tensor,
    exact: list[int],
    temperature: torch.Tensor,
    beta: float,
    tolerance: float,
) -> dict[str, Any] | None:
    """The first row that is not what it must be, and how so; None if there is none."""
    kept = plain > float("-inf")
    greedy = temperature_of(drawn.metadata, drawn.before) < GREEDY_TEMPERATURE
    for row in range(drawn.before.shape[0]):
        found, known = drawn.after[row], expected[row]
        if not torch.equal(found > float("-inf"), kept[row]):
            return {"row": row, "what": "other tokens survive than the filters keep", "difference": None}
        difference = (found - known)[kept[row]].abs().max().item()
        scale = 1 + known[kept[row]].abs().max().item()
        if row not in drawn.decode:
            if difference > 0:
                return {"row": row, "what": "a row that does not decode was changed", "difference": difference}
        elif row in exact:
            if not difference <= tolerance * scale:
                what = "logits are not (1 + beta) * llm - beta * distiller"
                return {"row": row, "what": what, "difference": difference}
        elif beta and difference == 0:
            return {"row": row, "what": "logits were not moved", "difference": 0.0}
        if bool(greedy[row]) and int(drawn.tokens[row]) != int(found.argmax()):
            return {"row": row, "what": "a greedy row did not take its highest logit", "difference": None}
    return None


def temperature_of(metadata: Any, logits: torch.Tensor) -> torch.Tensor:
    """``[requests]`` temperatures as the batch has them; 0 where all are greedy, for which vLLM keeps none."""
    if metadata.temperature is None:
        return torch.zeros(logits.shape[0], device=logits.device)
    return metadata.temperature[: logits.shape[0]]


def filtered(logits: torch.Tensor, metadata: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """What logits are divided by, 1 for a greedy row, and the logits after temperature, min-p, top-k and top-p."""
    given = temperature_of(metadata, logits)
    temperature = torch.where(given < GREEDY_TEMPERATURE, 1.0, given)
    if metadata.all_greedy:
        return temperature, logits.clone()
    logits = logits / temperature.unsqueeze(1)
    for processor in metadata.logitsprocs.argmax_invariant:
        logits = processor.apply(logits)
    return temperature, apply_top_k_top_p(logits, metadata.top_k, metadata.top_p)
