"""The outputs of a call: every sample of every prompt, with the fields that invariants use."""

import math
from typing import Any

from patchkit_worker.prompts import Prompt, is_correct

Pairs = list[tuple[int, float | None]]


def answers_of(prompts: list[Prompt], ids: list[str], finished: list[Any]) -> list[dict[str, Any]]:
    """The outputs of a ``generate()`` by prompt and sample; ``ids``: the request of each prompt, in order."""
    outputs = []
    for request in finished:
        number = ids.index(request.request_id)
        answer = prompts[number].answer
        for sample in request.outputs:
            output = {
                "prompt": number,
                "sample": sample.index,
                "token_ids": list(sample.token_ids),
                "text": sample.text,
                "finish": sample.finish_reason,
                "stopped_by": sample.stop_reason,
                "correct": None if answer is None else is_correct(sample.text, answer),
            }
            logprobs = {"logprobs": sample.logprobs, "prompt_logprobs": request.prompt_logprobs}
            output |= {name: [pairs_of(one) for one in found] for name, found in logprobs.items() if found is not None}
            outputs.append(output)
    return sorted(outputs, key=lambda output: (output["prompt"], output["sample"]))


def pairs_of(position: dict[int, Any] | None) -> Pairs | None:
    """The log-probabilities of one position, by token; null where one is not finite, which JSON cannot carry."""
    if position is None:
        return None
    found = sorted((token, one.logprob) for token, one in position.items())
    return [(token, value if math.isfinite(value) else None) for token, value in found]
