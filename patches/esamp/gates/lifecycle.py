"""Checks: what ESamp does not support is refused in one line before a token; it follows one engine at a time."""

import importlib
import os
from typing import Any

import vllm
from patchkit_probe.expect import SAMPLES, TOKENS, Returned, expect_refusal, generate, require
from vllm.config import SpeculativeConfig

ALL_TOKENS = 3 * SAMPLES * TOKENS  # tokens of a call of three prompts
DECODED = 3 * SAMPLES * (TOKENS - 1)
SMALL = {"beta": 0.5, "width": 16}


def refuses_another_process(context: Any) -> None:
    """Hooks do not run in an engine with a process of its own."""
    name = "VLLM_ENABLE_V1_MULTIPROCESSING"
    before, held = os.environ.get(name), vars(vllm.envs).get(name)
    os.environ[name] = "1"
    try:
        if not getattr(vllm.envs, name):  # releases from 0.12 on may have read it already
            setattr(vllm.envs, name, True)
        expect_refusal(context.install, f"{name}=0")
    finally:
        os.environ.pop(name) if before is None else os.environ.update({name: before})
        vars(vllm.envs).pop(name, None) if held is None else setattr(vllm.envs, name, held)


def refuses_unknown_setting_and_preset(context: Any) -> None:
    """A mistyped name must not be ignored."""
    expect_refusal(lambda: context.install(preset="papers"), "no preset", "paper, release")
    expect_refusal(lambda: context.install(betta=1), "betta", "beta")
    expect_refusal(lambda: context.install(source="output"), "source", "output:K")


def refuses_second_install(context: Any) -> None:
    """Two would both change the logits; after the first is uninstalled another may be installed."""
    first = context.install(**SMALL)
    expect_refusal(context.install, "already installed", "uninstall()")
    require(generate(context, context.engine()) == ALL_TOKENS, "the first install does not run any more")
    expect_refusal(context.install, "already installed", "uninstall()")
    first.uninstall()
    context.install(**SMALL)


def refuses_beam_search(context: Any) -> None:
    """It does its own sampling: no row decodes."""
    try:
        from vllm.sampling_params import BeamSearchParams
    except ImportError:
        context.skip(f"vLLM {vllm.__version__} has no BeamSearchParams")
    context.install(**SMALL)
    search = BeamSearchParams(beam_width=2, max_tokens=4)
    expect_refusal(lambda: context.engine().beam_search(context.prompts(1), search), "beam search")


def refuses_async_llm(context: Any) -> None:
    """It runs the model in another process; one that was made before install() refuses its first request."""
    kind = importlib.import_module("vllm.v1.engine.async_llm").AsyncLLM
    early = object.__new__(kind)  # as if it existed already, without the process that it would start
    context.install(**SMALL)
    expect_refusal(kind, "AsyncLLM (and vllm serve)")
    expect_refusal(lambda: early.add_request("0", None, None).close(), "AsyncLLM (and vllm serve)")


def follows_one_engine(context: Any) -> None:
    """Another engine is refused before a token; after uninstall() and install(), as the line says, it is followed."""
    first, second = context.engine(0), context.engine(1)
    returned = Returned(second)
    runtime = context.install(**SMALL)
    for _ in range(2):
        require(generate(context, first) == ALL_TOKENS, "the first engine does not answer")
        expect_refusal(lambda: generate(context, second), "another engine", "uninstall()", "install()")
        require(returned.tokens == 0, f"the second engine was refused after {returned.tokens} tokens")
        second.llm_engine.abort_request(list(second.llm_engine.output_processor.request_states))
    found = runtime.counters()["decode_rows"]
    require(found == 2 * DECODED, f"{found} decode rows found in the first engine, not {2 * DECODED}")
    runtime.uninstall()
    runtime = context.install(**SMALL)
    require(generate(context, second) == ALL_TOKENS, "the second engine does not answer after install()")
    found = runtime.counters()["decode_rows"]
    require(found == DECODED, f"{found} decode rows found in the second engine, not {DECODED}")
    expect_refusal(lambda: generate(context, first), "another engine")
    runtime.uninstall()
    require(
        generate(context, first) == generate(context, second) == ALL_TOKENS, "without a runtime not both engines answer"
    )


def refuses_pooling_model(context: Any) -> None:
    """It generates no token: the line says so, and does not blame drift."""
    try:
        pooling = context.make_engine(runner="pooling", convert="embed")
    except TypeError as error:
        context.skip(f"vLLM {vllm.__version__} makes no pooling model of any: {error}")
    context.install(**SMALL)
    expect_refusal(lambda: pooling.embed(context.prompts(1), use_tqdm=False), "pooling model")


def refuses_speculative_decoding(context: Any) -> None:
    """Only the engine's configuration is changed: vLLM cannot decode so on the CPU."""
    settings = object.__new__(SpeculativeConfig)  # unchecked: the check asks for what the CPU lacks
    settings.method, settings.num_speculative_tokens = "ngram", 1
    refuses_configured(context, "", "speculative_config", settings, "speculative")


def refuses_captured_graphs(context: Any) -> None:
    """Only the engine's configuration is changed: on the CPU there are no graphs."""
    refuses_configured(context, "model_config", "enforce_eager", False, "enforce_eager=True")


def refuses_configured(context: Any, section: str, name: str, value: Any, word: str) -> None:
    """A live engine with an unsupported configuration is refused before its first token."""
    llm = context.make_engine()
    (config,) = llm.collective_rpc(lambda worker: worker.model_runner.vllm_config)
    setattr(getattr(config, section) if section else config, name, value)
    returned = Returned(llm)
    context.install(**SMALL)
    expect_refusal(lambda: generate(context, llm), word)
    require(returned.tokens == 0, f"refused after {returned.tokens} tokens")


def refuses_other_sampling(context: Any) -> None:
    """The second model runner with what does not keep its draws; its objects are changed, as vLLM has none here."""
    if context.runner != "v2":
        context.skip("the first model runner samples in one way")
    for change in (add_rejection, sample_otherwise):
        llm = context.make_engine()
        (runner,) = llm.collective_rpc(lambda worker: worker.model_runner)
        change(runner)
        returned = Returned(llm)
        runtime = context.install(**SMALL)
        expect_refusal(lambda: generate(context, llm), "second model runner", "VLLM_USE_V2_MODEL_RUNNER=0")  # noqa: B023
        require(returned.tokens == 0, f"refused after {returned.tokens} tokens")
        runtime.uninstall()


def add_rejection(runner: Any) -> None:
    """As where it speculates: what is drawn may be rejected."""
    runner.rejection_sampler = object()


def sample_otherwise(runner: Any) -> None:
    """As where a model brings a sampler of its own."""
    runner.sampler = object()


checks = [
    refuses_another_process,
    refuses_unknown_setting_and_preset,
    refuses_second_install,
    refuses_beam_search,
    refuses_async_llm,
    follows_one_engine,
    refuses_pooling_model,
    refuses_speculative_decoding,
    refuses_captured_graphs,
    refuses_other_sampling,
]
