"""The requests of a call: prompts as token ids, sampling parameters, and answers to check where there are any."""

import importlib
import random
import re
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from vllm import SamplingParams, sampling_params

# Ids below this are special tokens or single bytes in the embedded models.
FIRST_ORDINARY_TOKEN = 16
PROMPT_SEED_STRIDE = 1000


@dataclass
class Prompt:
    """One prompt of a call and how to sample it."""

    token_ids: list[int]
    params: SamplingParams
    watched: bool
    answer: int | None

    @property
    def key(self) -> tuple[int, ...]:
        return tuple(self.token_ids)


def make_prompts(groups: list[dict[str, Any]], tokenizer: Any, vocabulary: int) -> tuple[list[Prompt], dict[int, str]]:
    """The prompts of all groups of a call, in order; and by group, why a feature that it sets is left out."""
    prompts: list[Prompt] = []
    skipped: dict[int, str] = {}
    for place, group in enumerate(groups):
        texts = make_texts(group["prompts"], tokenizer, vocabulary)
        limits = spread(group["max_tokens"], len(texts))
        sampling, missing = sampling_of(group.get("sampling", {}))
        if missing:
            skipped[place] = missing
        for number, ((token_ids, answer), limit) in enumerate(zip(texts, limits, strict=True)):
            seed = group.get("seed")
            params = SamplingParams(
                n=group.get("n", 1),
                max_tokens=limit,
                seed=None if seed is None else seed + PROMPT_SEED_STRIDE * number,
                **deepcopy(sampling),
            )
            prompts.append(Prompt(token_ids, params, group.get("watched", False), answer))
    return prompts, skipped


def sampling_of(settings: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Keyword arguments of this release's ``SamplingParams``, and what structured output lacks, or nothing.

    ``structured`` is ``{regex: …}`` or ``{choice: […]}``, whatever the release calls it; JSON made texts of
    ``logit_bias``'s token ids.
    """
    sampling = dict(settings)
    if "logit_bias" in sampling:
        sampling["logit_bias"] = {int(token): bias for token, bias in sampling["logit_bias"].items()}
    wanted = sampling.pop("structured", None)
    if wanted is None:
        return sampling, ""
    try:
        importlib.import_module("xgrammar")
        if hasattr(sampling_params, "StructuredOutputsParams"):
            return sampling | {"structured_outputs": sampling_params.StructuredOutputsParams(**wanted)}, ""
        return sampling | {"guided_decoding": sampling_params.GuidedDecodingParams(**wanted)}, ""  # up to 0.11
    except (ImportError, AttributeError) as error:
        return sampling, str(error)


def make_texts(spec: dict[str, Any], tokenizer: Any, vocabulary: int) -> list[tuple[list[int], int | None]]:
    numbers = random.Random(spec.get("seed", 0))
    if spec["kind"] == "random":
        low, high = spec["tokens"] if isinstance(spec["tokens"], list) else [spec["tokens"]] * 2
        return [
            ([numbers.randrange(FIRST_ORDINARY_TOKEN, vocabulary) for _ in range(numbers.randint(low, high))], None)
            for _ in range(spec["count"])
        ]
    if spec["kind"] == "arithmetic":
        return [arithmetic(numbers, tokenizer) for _ in range(spec["count"])]
    raise ValueError(f"unknown kind of prompts: {spec['kind']}")


def arithmetic(numbers: random.Random, tokenizer: Any) -> tuple[list[int], int]:
    """A small sum, as a chat where the model has a chat template."""
    left, right = numbers.randint(1, 9), numbers.randint(1, 9)
    question = f"Calculate {left} + {right}."
    return render(tokenizer, {"chat": question, "plain": f"Question: {question}\nAnswer:"}), left + right


def render(tokenizer: Any, question: dict[str, str]) -> list[int]:
    """The tokens of a question: ``chat`` in the model's chat template, ``plain`` where it has none."""
    if getattr(tokenizer, "chat_template", None):
        turns = [{"role": "user", "content": question["chat"]}]
        text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        return list(tokenizer.encode(text, add_special_tokens=False))
    return list(tokenizer.encode(question["plain"]))


def is_correct(text: str, answer: int) -> bool:
    """The last integer in the text is the answer."""
    found = re.findall(r"-?\d+", text)
    return bool(found) and int(found[-1]) == answer


def spread(limits: Any, count: int) -> list[int]:
    """``count`` numbers spread evenly over a range [low, high], in a fixed order that is not sorted."""
    if not isinstance(limits, list):
        return [limits] * count
    low, high = limits
    values = [low + (high - low) * i // max(count - 1, 1) for i in range(count)]
    random.Random(count).shuffle(values)
    return values
