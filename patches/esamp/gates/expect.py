"""Helpers of the checks: calls, and how a refusal must read."""

from collections.abc import Callable
from typing import Any

from vllm import SamplingParams

SAMPLES, TOKENS = 2, 6  # of each prompt, of each sample


def require(true: Any, otherwise: str) -> None:
    """Raise AssertionError with ``otherwise`` unless ``true``."""
    if not true:
        raise AssertionError(otherwise)


def expect_refusal(what: Callable[[], Any], *words: str) -> str:
    """Call ``what``, which must fail in one line of the runtime's with these words; returns the line."""
    try:
        what()
    except Exception as error:
        line, kind = str(error), type(error).__name__
        fits = isinstance(error, RuntimeError | ValueError) and "\n" not in line and line.startswith("esamp")
        require(fits, f"refused in other words: {kind}: {line}")
        missing = [word for word in words if word not in line]
        require(not missing, f"refused without a word of {missing}: {line}")
        return line
    raise AssertionError(f"not refused: nothing said {' … '.join(words)}")


def generate(context: Any, llm: Any, count: int = 3, n: int = SAMPLES) -> int:
    """Number of tokens generated for ``count`` prompts."""
    sampling = SamplingParams(n=n, max_tokens=TOKENS, temperature=0.9, ignore_eos=True)
    outputs = llm.generate(context.prompts(count), sampling, use_tqdm=False)
    return sum(len(sample.token_ids) for output in outputs for sample in output.outputs)


class Returned:
    """Counts the tokens that an engine returns to its caller, including those of a call that is refused later."""

    def __init__(self, llm: Any) -> None:
        self.tokens, engine = 0, llm.llm_engine

        def step() -> Any:
            outputs = type(engine).step(engine)  # looked up each time: the runtime replaces the method of the class
            self.tokens += sum(len(sample.token_ids) for output in outputs for sample in output.outputs)
            return outputs

        engine.step = step
