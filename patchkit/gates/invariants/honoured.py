"""Every ``SamplingParams`` feature that a request sets takes effect, with the runtime on.

Every answer is compared with the ``sampling`` of its request.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from patchkit.gates.events import CallResult, Output, Pass
from patchkit.gates.expected_requests import PromptRequest, requests_of
from patchkit.gates.invariants.base import Broken, Figures, Params, SummaryClause, invariant, parts_of
from patchkit.gates.part_run import Run

FORBIDDEN, FORCED = -100, 100  # logit_bias at which a token cannot be drawn, or no other can
PENALTIES = ("presence_penalty", "frequency_penalty", "repetition_penalty")


class Honoured(Params, frozen=True):
    """``features``: those that at least one answer must have been checked for.

    ``repeats``: how often a token may be in an answer that has a penalty; by default that is not judged.
    """

    features: tuple[str, ...] = ()
    repeats: int | None = None

    def __post_init__(self) -> None:
        self.at_least(1, "repeats")
        known = {*CHECKS, "n", "seed"}
        unknown = [name for name in self.features if name not in known]
        if unknown:
            raise ValueError(f"features: {unknown[0]} cannot be judged; there are {', '.join(sorted(known))}")


def skipped_of(figures: Figures) -> list[str]:
    """``skipped structured: No module named 'xgrammar'``."""
    return [f"skipped {value}" for name, value in figures.items() if name.rpartition(".")[2] == "skipped" and value]


@invariant(
    params=Honoured, clauses=(SummaryClause(5, skipped_of), SummaryClause(56, lambda figures: honoured_of(figures)))
)
def honoured(run: Run, params: Honoured, figures: Figures) -> Iterator[Broken]:
    """Every answer agrees with its request; a feature that the environment lacks is reported as skipped."""
    seen: Counter[str] = Counter()
    skipped: dict[str, str] = {}
    for done in run.passes("patched"):
        for number, (call, requests) in enumerate(zip(done.calls, map(requests_of, run.part.calls), strict=False)):
            for group, why in call.skipped.items():
                skipped.update(dict.fromkeys(skipped_features(requests, group), why))
            for prompt, one in enumerate(requests):
                for feature, what in judged(call, prompt, one, params):
                    seen[feature] += 1
                    if what:
                        yield Broken(f"{feature} is not honoured: {what}, prompt {prompt} of call {number}")
                        return
    yield from seeds_that_change(run, seen)
    figures["honoured_features"], figures["honoured_answers"] = len(seen), sum(seen.values())
    figures["skipped"] = "; ".join(f"{feature}: {why}" for feature, why in sorted(skipped.items())) or None
    missing = [feature for feature in params.features if not seen[feature] and feature not in skipped]
    if missing:
        yield Broken(f"no answer shows whether {', '.join(missing)} is honoured")


def honoured_of(figures: Figures) -> list[str]:
    """``12 features honoured``."""
    most = max((value for _, value in parts_of(figures, "honoured_features")), default=0)
    return [f"{most:g} of vLLM's features honoured"] if most else []


def skipped_features(requests: list[PromptRequest], group: int) -> Iterator[str]:
    """The features that only the skipped group of a call could show."""
    yield from ("structured" for one in requests if one.group == group and "structured" in one.sampling)


def judged(call: CallResult, prompt: int, request: PromptRequest, params: Honoured) -> Iterator[tuple[str, str]]:
    """Each feature that a prompt's request sets, and what is wrong with its answers, or an empty string."""
    answers = [output for output in call.outputs if output.prompt == prompt]
    if request.n > 1 or not answers:
        samples = sorted(output.sample for output in answers)
        yield "n", "" if samples == list(range(request.n)) else f"{len(samples)} samples of {request.n}"
    for feature, check in CHECKS.items():
        if feature in request.sampling and not (feature == "structured" and request.group in call.skipped):
            yield from ((feature, check(output, request)) for output in answers)
    if params.repeats is not None and any(name in request.sampling for name in PENALTIES):
        yield from (("penalty", repeated(output, params.repeats)) for output in answers)


def allowed(output: Output, request: PromptRequest) -> str:
    """Every token is an allowed one."""
    other = [token for token in output.token_ids if token not in request.sampling["allowed_token_ids"]]
    return f"token {other[0]} is not allowed" if other else ""


def not_bad(output: Output, request: PromptRequest) -> str:
    """No bad word is in the text."""
    bad = [word for word in request.sampling["bad_words"] if word in output.text]
    return f"the text holds {bad[0]!r}" if bad else ""


def biased(output: Output, request: PromptRequest) -> str:
    """A token with the lowest bias is never drawn, one with the highest always."""
    bias = {int(token): value for token, value in request.sampling["logit_bias"].items()}
    forced = {token for token, value in bias.items() if value >= FORCED}
    for token in output.token_ids:
        if bias.get(token, 0) <= FORBIDDEN:
            return f"token {token} was drawn, whose bias is {bias[token]:g}"
        if forced and token not in forced:
            return f"token {token} was drawn, though {min(forced)} has a bias of {FORCED}"
    return ""


def long_enough(output: Output, request: PromptRequest) -> str:
    """No answer stopped before its minimum length."""
    least, found = request.sampling["min_tokens"], len(output.token_ids)
    return f"{found} tokens of at least {least}" if found < least else ""


def stopped(output: Output, request: PromptRequest) -> str:
    """A stop string is where the text ends, and nowhere else."""
    words = request.sampling["stop"]
    words = [words] if isinstance(words, str) else words
    kept = request.sampling.get("include_stop_str_in_output", False)
    body = output.text
    if output.finish == "stop" and isinstance(output.stopped_by, str):
        if kept and not body.endswith(output.stopped_by):
            return f"the text does not end with {output.stopped_by!r}"
        body = body.removesuffix(output.stopped_by) if kept else body
    inside = [word for word in words if word in body]
    return f"the text goes on behind {inside[0]!r}" if inside else ""


def has_logprobs(output: Output, request: PromptRequest) -> str:
    """Each token has its log-probability, and as many others as requested."""
    found = output.logprobs or []
    if len(found) != len(output.token_ids):
        return f"{len(found)} log-probabilities for {len(output.token_ids)} tokens"
    for token, pairs in zip(output.token_ids, found, strict=True):
        what = not_probable(pairs or [], request.sampling["logprobs"], token)
        if what:
            return what
    return ""


def has_prompt_logprobs(output: Output, request: PromptRequest) -> str:
    """Each token of the prompt has log-probabilities, except the first."""
    found = output.prompt_logprobs or []
    if len(found) < 2 or found[0] is not None:
        return f"{len(found)} log-probabilities of the prompt, the first {found[0] if found else 'missing'}"
    return next(filter(None, (not_probable(one or [], request.sampling["prompt_logprobs"]) for one in found[1:])), "")


def not_probable(pairs: list[tuple[int, float | None]], least: int, token: int | None = None) -> str:
    """What is wrong with the log-probabilities of one position, or nothing."""
    if len(pairs) < max(least, 1) or (token is not None and token not in dict(pairs)):
        return f"log-probabilities of {len(pairs)} tokens, {least} and the one that was drawn were asked for"
    wrong = [value for _, value in pairs if value is not None and not (math.isfinite(value) and value <= 1e-6)]
    return f"a log-probability of {wrong[0]}" if wrong else ""


def structured(output: Output, request: PromptRequest) -> str:
    """The text matches the regular expression or one of the choices, or is a prefix of a match."""
    wanted = request.sampling["structured"]
    if output.finish == "length":
        return ""
    if "choice" in wanted:
        return "" if output.text in wanted["choice"] else f"{output.text!r} is none of the choices"
    return "" if re.fullmatch(wanted["regex"], output.text) else f"{output.text!r} does not match"


def penalised(output: Output, request: PromptRequest) -> str:
    """Only counts that it was set; :func:`repeated` judges whether it took effect."""
    return ""


def repeated(output: Output, most: int) -> str:
    """No token is in the answer more often than a penalty leaves likely."""
    token, times = Counter(output.token_ids).most_common(1)[0] if output.token_ids else (0, 0)
    return f"token {token} is in the answer {times} times" if times > most else ""


CHECKS = {
    "allowed_token_ids": allowed,
    "bad_words": not_bad,
    "logit_bias": biased,
    "min_tokens": long_enough,
    "stop": stopped,
    "logprobs": has_logprobs,
    "prompt_logprobs": has_prompt_logprobs,
    "structured": structured,
    **dict.fromkeys(PENALTIES, penalised),
}


def seeds_that_change(run: Run, seen: Counter[str]) -> Iterator[Broken]:
    """Where a part is repeated, every answer with a seed is the same each time that the settings are."""
    first: dict[int, Pass] = {}
    for done in run.passes("patched"):
        before = first.setdefault(done.install, done)
        if before is done:
            continue
        for call, ours, theirs in zip(run.part.calls, done.calls, before.calls, strict=False):
            for one, other in zip(ours.outputs, theirs.outputs, strict=False):
                if requests_of(call)[one.prompt].seeded:
                    seen["seed"] += 1
                    if one.token_ids != other.token_ids:
                        yield Broken(f"seed is not honoured: prompt {one.prompt} sample {one.sample} changes")
                        return
