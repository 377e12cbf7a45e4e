"""Checks on engines that compile: vLLM's cache of compiled models tells taps apart, and late installs are refused."""

import itertools
from typing import Any

from patchkit_probe.expect import expect_refusal, generate, require


def compile_cache_knows_the_taps(context: Any) -> None:
    """No two models that are traced differently have one key in vLLM's compile cache."""
    keys = {"no taps": key_of(context.make_engine())}
    for source in ("output:0", "output:1", "input_norm:1"):
        runtime = context.install(source=source)
        number_from_zero()
        keys[f"a tap at {source}"] = key_of(context.make_engine())
        runtime.uninstall()
    names = list(keys)
    for number, name in enumerate(names):
        for other in names[:number]:
            require(keys[name] != keys[other], f"a model with {name} has the key of one with {other}")


def refuses_an_engine_compiled_with_other_taps(context: Any) -> None:
    """What is in the graphs stays: other places need another engine."""
    runtime = context.install(source="output:0")
    llm = context.make_engine()
    generate(context, llm, 1)
    runtime.uninstall()
    context.install(source="output:1")
    expect_refusal(lambda: generate(context, llm, 1), "make another engine")


def number_from_zero() -> None:
    """Number the taps of the next engine as in a process of its own: another number would be another key."""
    from esamp.engine import graph_taps

    graph_taps._numbers = itertools.count()


def key_of(llm: Any) -> str:
    """What an engine's settings give to the key under which its compiled model is kept."""
    key: str = llm.llm_engine.vllm_config.compute_hash()
    return key


checks = [compile_cache_knows_the_taps, refuses_an_engine_compiled_with_other_taps]
