"""Watches every step of the engine from outside the runtime: counts, gold rows, poison, sampling distributions."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from patchkit_worker.intervention import Drawn, check_intervention
from patchkit_worker.steps import Shape, Span, StepTracker
from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p
from vllm.v1.worker.gpu_model_runner import GPUModelRunner

COUNTED = (
    "decode_rows",
    "captured_rows",
    "intervened_rows",
    "unmapped_rows",
    "port_hits",
    "distiller_steps",
    "candidate_tokens",
    "moved_tokens",
)
# Past every batch that an engine of the gates' size can have.
POISON_ROW = 1 << 20


class Watcher:
    """Hooks the runner class below the runtime, so that it sees what the runtime sees; ``emit`` gets each step."""

    def __init__(self, watch: list[str], emit: Callable[..., None]) -> None:
        self._watch, self._emit = set(watch), emit
        self._tracker = StepTracker()
        self._runtime: Any | None = None
        self._before: dict[str, Any] = {}
        self._expected: dict[tuple[tuple[int, ...], Any], tuple[int, int | None]] = {}
        self._hooks: list[Any] = []
        self._runner: Any | None = None
        self._spans: dict[str, Span] = {}
        self._gold: dict[str, torch.Tensor] = {}
        self._beta = 0.0
        self._decoded: set[int] = set()
        self._drawn_from: torch.Tensor | None = None
        self._intervention: dict[str, Any] | None = None
        self._pending = False
        self.shape = Shape()
        self.step = 0
        self.steps_of_call = 0
        self.distributions: dict[tuple[tuple[int, ...], int], torch.Tensor] = {}
        self._original = GPUModelRunner.execute_model
        watcher = self

        def execute_model(runner: Any, scheduled: Any, *rest: Any, **named: Any) -> Any:
            watcher._begin(runner, scheduled)
            return watcher._original(runner, scheduled, *rest, **named)

        GPUModelRunner.execute_model = execute_model

    def begin_pass(self, runtime: Any | None, beta: float) -> None:
        """A pass starts, with or without a runtime; ``beta`` is what the runtime was told."""
        self._runtime, self._before = runtime, runtime.counters() if runtime else {}
        self._beta = beta
        self._decoded.clear()
        self._expected.clear()

    def begin_call(self, expected: dict[tuple[tuple[int, ...], Any], tuple[int, int | None]]) -> None:
        """A call starts; ``expected``: (prompt tokens, seed) of a request to its (prompt, sample or None)."""
        self._expected.update(expected)
        self.distributions = {}
        self.steps_of_call = 0

    def end_call(self) -> None:
        self.flush()

    # One step.

    def _begin(self, runner: Any, scheduled: Any) -> None:
        self.flush()
        if self._runner is not runner:
            self._attach(runner)
        self.shape, self._spans = self._tracker.take(scheduled)
        self._gold, self._intervention = {}, None
        if scheduled.total_num_scheduled_tokens:
            self._pending = True
            self.step += 1
            self.steps_of_call += 1

    def flush(self) -> None:
        """The step begun last is over: report it, and poison what the runtime left behind."""
        if not self._pending:
            return
        self._pending = False
        fields: dict[str, Any] = {"step": self.step, "shape": asdict(self.shape)}
        if self._runtime is not None:
            now = self._runtime.counters()
            fields["runtime"] = {name: now[name] - self._before[name] for name in COUNTED} | {"loss": now["loss_last"]}
            self._before = now
            view = self._runtime.view()
            if view is not None and "gold" in self._watch:
                fields["gold"] = self._compare(view)
            if self._intervention is not None:
                fields["intervention"] = self._intervention
            if view is not None and "poison" in self._watch:
                poison(view)
        self._emit(**fields)

    # Gold rows.

    def _attach(self, runner: Any) -> None:
        self._runner = runner
        blocks = find_layers(runner.model)
        for name, block in (("shallow", blocks[0]), ("deep", blocks[-1])):
            self._hooks.append(block.input_layernorm.register_forward_hook(self._keeper(name)))
        if "distributions" in self._watch:
            sampler = runner.sampler.topk_topp_sampler
            self._hooks.append(sampler.register_forward_pre_hook(self._keep_distributions, with_kwargs=True))
        if "intervention" in self._watch:
            self._watch_sampler(runner.sampler)

    def _keeper(self, name: str) -> Callable[..., None]:
        def keep(module: Any, inputs: tuple[Any, ...], output: Any) -> None:
            if not self._watch & {"gold", "intervention"} or self._runtime is None:
                return
            residual = output[1] if isinstance(output, tuple) else inputs[0]
            self._gold[name] = residual[self._decode_rows(residual.device)]

        return keep

    def _batch(self) -> list[str]:
        """Request ids in the order in which the runner packed them."""
        batch = self._runner.input_batch
        return list(batch.req_ids[: batch.num_reqs])

    def _decode_rows(self, device: Any) -> torch.Tensor:
        rows, end = [], 0
        for request_id in self._batch():
            span = self._spans[request_id]
            end += span.tokens
            if span.decode:
                rows.append(end - 1)
        return torch.tensor(rows, dtype=torch.int64, device=device)

    def _compare(self, view: Any) -> dict[str, Any]:
        """The runtime's captured rows against the gold rows, in packed order."""
        gold_rows = self._gold["shallow"].shape[0] if self._gold else 0
        compared = min(view.count, gold_rows)
        different: dict[int, dict[str, Any]] = {}
        for tap in ("shallow", "deep"):
            if not compared:
                break
            found, expected = getattr(view, tap)[:compared], self._gold[tap][:compared]
            for row in (found != expected).any(-1).nonzero().flatten().tolist():
                difference = (found[row].float() - expected[row].float()).abs().max().item()
                different.setdefault(row, {"row": row, "tap": tap, "difference": difference})
        miscredited = self._miscredited(view.owners[:compared])
        return {
            "compared": compared,
            "mismatched": len(different),
            "first_mismatch": different[min(different)] if different else None,
            "miscredited": len(miscredited),
            "first_miscredit": miscredited[0] if miscredited else None,
            "identity_loss": self._identity_loss() if gold_rows else None,
        }

    def _miscredited(self, owners: list[Any]) -> list[dict[str, Any]]:
        wrong = []
        decoding = [name for name in self._batch() if self._spans[name].decode]
        for row, (request_id, (prompt, sample)) in enumerate(zip(decoding, owners, strict=False)):
            expected_prompt, expected_sample = self._truth(request_id)
            if prompt != expected_prompt or expected_sample not in (None, sample):
                wrong.append({"row": row, "expected": [expected_prompt, expected_sample], "found": [prompt, sample]})
        return wrong

    def _truth(self, request_id: str) -> tuple[int, int | None]:
        request = self._tracker.requests[request_id]
        return self._expected[request.prompt_token_ids, request.seed]

    def _identity_loss(self) -> float:
        return (self._gold["shallow"].float() - self._gold["deep"].float()).square().mean().item()

    # The intervention.

    def _watch_sampler(self, sampler: Any) -> None:
        """See what goes into ``Sampler.sample``, what is drawn from, and what comes out."""

        def keep(module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
            logits, _, top_k, top_p = (*inputs, *named.values())
            self._drawn_from = apply_top_k_top_p(logits.clone(), top_k, top_p)

        def sample(logits: torch.Tensor, metadata: Any, *rest: Any, **named: Any) -> Any:
            before, self._drawn_from = logits.clone(), None
            result = type(sampler).sample(sampler, logits, metadata, *rest, **named)  # the runtime's, if installed
            if self._runtime is not None and self._gold and self._gold["shallow"].shape[0]:
                after = logits if metadata.all_greedy else self._drawn_from
                self._check_intervention(before, after, result[0] if isinstance(result, tuple) else result, metadata)
            return result

        self._hooks.append(sampler.topk_topp_sampler.register_forward_pre_hook(keep, with_kwargs=True))
        sampler.sample = sample

    def _check_intervention(
        self, before: torch.Tensor, after: torch.Tensor, tokens: torch.Tensor, metadata: Any
    ) -> None:
        batch, model = self._batch(), self._runner.model
        decode = [row for row, name in enumerate(batch) if self._spans[name].decode]
        prompts = [self._truth(batch[row])[0] for row in decode]
        drawn = Drawn(
            before, after, tokens, metadata, decode, [p not in self._decoded for p in prompts], self._gold["shallow"]
        )
        dtype = self._gold["shallow"].dtype
        self._intervention = check_intervention(
            drawn, self._beta, lambda rows: model.logits_processor(model.lm_head, rows), dtype
        )
        self._decoded.update(prompts)

    # Sampling distributions.

    def _keep_distributions(self, module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        logits, _, top_k, top_p = (*inputs, *named.values())
        filtered = apply_top_k_top_p(logits.clone(), top_k, top_p)
        for row, request_id in enumerate(self._batch()):
            span, prompt = self._spans[request_id], self._tracker.requests[request_id]
            if span.samples:
                position = span.start + span.tokens - prompt.prompt_length
                self.distributions[prompt.prompt_token_ids, position] = filtered[row].softmax(-1).float().cpu()


def find_layers(model: Any) -> Any:
    """The decoder blocks, found without the runtime's help."""
    for name, module in model.named_modules():
        if name.endswith("layers") and len(module) and hasattr(module[0], "input_layernorm"):
            return module
    raise ValueError(f"{type(model).__name__} has no decoder blocks with an input_layernorm")


@torch.inference_mode()
def poison(view: Any) -> None:
    """Make a later read of anything behind the rows in use show: NaN rows, row numbers past every batch."""
    view.shallow[view.count :] = float("nan")
    view.deep[view.count :] = float("nan")
    view.index[view.count :] = POISON_ROW
