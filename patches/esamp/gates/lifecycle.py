"""Checks: what must be refused, in one line and before a token, and that a runtime follows one engine at a time."""

import importlib
import os
from typing import Any

import vllm
from patchkit_probe.expect import SAMPLES, TOKENS, Returned, generate, holds, refused

WHOLE = 3 * SAMPLES * TOKENS  # tokens of a call of three prompts
DECODED = 3 * SAMPLES * (TOKENS - 1)
SMALL = {"beta": 0.5, "width": 16}


def refuses_another_process(bench: Any) -> None:
    """Hooks do not fire in an engine that has a process of its own."""
    name = "VLLM_ENABLE_V1_MULTIPROCESSING"
    before, held = os.environ.get(name), vars(vllm.envs).get(name)
    os.environ[name] = "1"
    try:
        if not getattr(vllm.envs, name):  # releases from 0.12 on may have read it already
            setattr(vllm.envs, name, True)
        refused(bench.install, f"{name}=0")
    finally:
        os.environ.pop(name) if before is None else os.environ.update({name: before})
        vars(vllm.envs).pop(name, None) if held is None else setattr(vllm.envs, name, held)


def refuses_unknown_setting_and_preset(bench: Any) -> None:
    """A name that is mistyped must not run as if it had not been said."""
    refused(lambda: bench.install(preset="papers"), "no preset", "paper, release")
    refused(lambda: bench.install(betta=1), "betta", "beta")
    refused(lambda: bench.install(source="output"), "source", "output:K")


def refuses_second_install(bench: Any) -> None:
    """Two would both move the logits; after the first is gone there is room for another."""
    first = bench.install(**SMALL)
    refused(bench.install, "already installed", "uninstall()")
    holds(generate(bench, bench.engine()) == WHOLE, "the first install does not run any more")
    refused(bench.install, "already installed", "uninstall()")
    first.uninstall()
    bench.install(**SMALL)


def refuses_beam_search(bench: Any) -> None:
    """It samples by itself: no row decodes."""
    try:
        from vllm.sampling_params import BeamSearchParams
    except ImportError:
        bench.skip(f"vLLM {vllm.__version__} has no BeamSearchParams")
    bench.install(**SMALL)
    search = BeamSearchParams(beam_width=2, max_tokens=4)
    refused(lambda: bench.engine().beam_search(bench.prompts(1), search), "beam search")


def refuses_async_llm(bench: Any) -> None:
    """It runs the model in another process; one that was made before install() refuses its first request."""
    kind = importlib.import_module("vllm.v1.engine.async_llm").AsyncLLM
    early = object.__new__(kind)  # as one that is there already, without the process that it would start
    bench.install(**SMALL)
    refused(kind, "AsyncLLM (and vllm serve)")
    refused(lambda: early.add_request("0", None, None).close(), "AsyncLLM (and vllm serve)")


def follows_one_engine(bench: Any) -> None:
    """Another engine is refused before a token; after uninstall() and install(), as the line says, it is followed."""
    first, second = bench.engine(0), bench.engine(1)
    returned = Returned(second)
    runtime = bench.install(**SMALL)
    for _ in range(2):
        holds(generate(bench, first) == WHOLE, "the first engine does not answer")
        refused(lambda: generate(bench, second), "another engine", "uninstall()", "install()")
        holds(returned.tokens == 0, f"the second engine was refused after {returned.tokens} tokens")
        second.llm_engine.abort_request(list(second.llm_engine.output_processor.request_states))
    found = runtime.counters()["decode_rows"]
    holds(found == 2 * DECODED, f"{found} decode rows found in the first engine, not {2 * DECODED}")
    runtime.uninstall()
    runtime = bench.install(**SMALL)
    holds(generate(bench, second) == WHOLE, "the second engine does not answer after install()")
    found = runtime.counters()["decode_rows"]
    holds(found == DECODED, f"{found} decode rows found in the second engine, not {DECODED}")
    refused(lambda: generate(bench, first), "another engine")
    runtime.uninstall()
    holds(generate(bench, first) == generate(bench, second) == WHOLE, "without a runtime not both engines answer")


def refuses_pooling_model(bench: Any) -> None:
    """It makes no token: the line says so, and no drift is looked for."""
    try:
        pooling = bench.make_engine(runner="pooling", convert="embed")
    except TypeError as error:
        bench.skip(f"vLLM {vllm.__version__} makes no pooling model of any: {error}")
    bench.install(**SMALL)
    refused(lambda: pooling.embed(bench.prompts(1), use_tqdm=False), "pooling model")


def refuses_speculative_decoding(bench: Any) -> None:
    """A plain engine is told that it decodes so: vLLM cannot do it on the CPU."""
    refuses_configured(bench, "", "speculative_config", {"method": "ngram"}, "speculative")


def refuses_captured_graphs(bench: Any) -> None:
    """An engine is told that it has graphs: on the CPU there are none."""
    refuses_configured(bench, "model_config", "enforce_eager", False, "enforce_eager=True")


def refuses_configured(bench: Any, section: str, name: str, value: Any, word: str) -> None:
    """A live engine whose configuration says something else is refused before its first token."""
    llm = bench.make_engine()
    (config,) = llm.collective_rpc(lambda worker: worker.model_runner.vllm_config)
    setattr(getattr(config, section) if section else config, name, value)
    returned = Returned(llm)
    bench.install(**SMALL)
    refused(lambda: generate(bench, llm), word)
    holds(returned.tokens == 0, f"refused after {returned.tokens} tokens")


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
]
