"""Compares the runtime with the reference in the worker, at every step and for every decode row.

The reference gets the rows that the worker itself taps from the engine. Its results are compared with what the runtime
shows (``view()``) and with the logits that tokens were actually drawn from.

Two modes. In float32 on the CPU the reference runs free: it learns by itself from the first step on, and must agree
for the whole run. Elsewhere rounding feeds back through training, and two correct implementations diverge after some
steps: there the reference is synchronised. For each step it loads the state that the runtime had before the step, makes
this one step itself, and both the runtime's prediction and its state after the step must agree.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from patchkit_probe import graph_taps
from patchkit_probe.compare import Tolerances, logit_differences, number, relative_distance, row_differences
from patchkit_probe.findings import Findings
from patchkit_probe.learning import Progress
from patchkit_probe.reference import Distiller, Distillers, Method, State, intervene, read_settings, rows_of
from patchkit_probe.sample_probe import SampleProbe
from patchkit_probe.taps import TapHook

__all__ = ["Probe", "SampleProbe"]

# Free, the largest differences seen, vLLM 0.20.0 on the CPU, over tiny and SmolLM2 with both presets, all three
# optimisers, one distiller for all, 1 to 58 distillers at once, 1 to 233 rows a step, 300 steps: predictions 1.6e-5,
# losses 4.7e-6, logits 9.9e-6; states 1.1e-4 with the paper's Adam and 6.2e-4 with AdamW's epsilon of 1e-8. They do not
# grow with the steps. Each tolerance is 5 to 8 times that.
FREE = Tolerances(predicted=1e-4, losses=3e-5, logits=5e-5, state=3e-3)
# Synchronised, in bfloat16 on the CPU: predictions 4.8e-7, losses 3.0e-7, states 6.9e-5, logits 2.4e-7. On a card the
# head may sum in another order for another number of rows, which turns the last digit of a logit: 2^-8 of it in
# bfloat16, 2^-11 in float16, by beta; and so may everything else, for which ten times as much is let pass as was seen.
SYNCHRONISED = {
    torch.float32: Tolerances(predicted=1e-5, losses=5e-6, logits=5e-5, state=1e-3),
    torch.bfloat16: Tolerances(predicted=1e-5, losses=5e-6, logits=5e-3, state=1e-3),
    torch.float16: Tolerances(predicted=1e-5, losses=5e-6, logits=1e-3, state=1e-3),
}
# Larger than any batch of an engine of the gates' size.
POISON_ROW = 1 << 20
# Rows read out at once: at a vocabulary of 150,000 they are 40 MB.
READOUT_ROWS = 64
# The bank's capacity may be so many times the most distillers in flight at once, and one more.
BANK_ROUNDING = 1.25
# Of float32: weights and gradient, and two moments.
BYTES_A_NUMBER = {"adam": 16, "adamw": 16, "sgd": 8}
# Steps after the last request of a prompt was seen in which its distiller may still be held. The runtime hears of the
# end of a request with the next step; and samples that wait for a free slot are not visible here.
GRACE = 8


@dataclass(frozen=True)
class Place:
    """A request of a step: its place in the batch, and what the worker knows of it."""

    place: int
    name: str
    prompt: int | None
    sample: int | None
    last: int
    decode: bool


class Probe:
    """Watches one pass; see ``docs/worker-protocol.md`` for when each method is called."""

    def __init__(self, runtime: Any, settings: dict[str, Any], engine: Any) -> None:
        self._runtime, self._engine = runtime, engine
        self._method = read_settings(settings)
        self._source, self._target = self._taps()
        dtype = next(engine.model.parameters()).dtype
        self._free = torch.device(engine.device).type == "cpu" and dtype == torch.float32
        self._tolerances = FREE if self._free else SYNCHRONISED[dtype]
        self._reference: ReferenceRun | None = None
        self._requests = Requests(engine)
        self._most = 0
        self._step: Any = None
        self._sampling: Any = None
        self._head_runs = self._head_runs_of_step = 0
        self._head = engine.model.logits_processor.register_forward_hook(self._count_head)

    @staticmethod
    def prepare(runner: Any, settings: dict[str, Any]) -> None:
        """A model is loaded, and compiled next unless it runs eagerly: put in what must be compiled with it."""
        graph_taps.prepare(runner, places_of(read_settings(settings)))

    def _taps(self) -> tuple[Any, Any]:
        """The worker's own taps of the source, and of the target unless it is what ``lm_head`` gets."""
        model, places = self._engine.model, places_of(self._method)
        taps = graph_taps.prepared(model, places) or [TapHook(model, place) for place in places]
        return taps[0], taps[1] if len(taps) > 1 else None

    def begin_step(self, step: Any) -> None:
        """The forward pass is about to run."""
        self._step, self._sampling, self._head_runs = step, None, 0
        for cut in filter(None, (self._source, self._target)):
            cut.begin(lambda: [row.last for row in step.rows if row.decode])

    def sampled(self, sampling: Any) -> None:
        """Tokens were drawn; kept until the step is over, since the runtime may still be working on it."""
        self._sampling, self._head_runs_of_step = sampling, self._head_runs

    def _count_head(self, *given: Any) -> None:
        self._head_runs += 1

    def end_step(self) -> dict[str, Any] | None:
        """Compare everything; returns the findings as JSON."""
        if self._step is None:
            return None
        step, sampling, self._step, self._sampling = self._step, self._sampling, None, None
        findings, view = Findings(), self._runtime.view()
        places = [
            Place(place, row.request_id, row.prompt, row.sample, row.last, row.decode)
            for place, row in enumerate(step.rows)
        ]
        decode = [place for place in places if place.decode]
        self._requests.take(places)
        seen: dict[str, Any] = {"rows": len(decode), "mode": "free" if self._free else "synchronised"}
        source, target = self._rows(decode, sampling)
        predicted: torch.Tensor | None = None
        self._check_view(findings, view, decode, source, target)
        if decode and source is not None and target is not None and all(row.prompt is not None for row in decode):
            if self._reference is None:
                self._reference = ReferenceRun(self._method, source, self._free, self._tolerances)
            predicted = self._reference.step(findings, view, decode, source, target)
            seen |= self._reference.figures
        if sampling is not None and sampling.after is not None:
            seen |= self._check_logits(findings, places, predicted, sampling)
        seen["bank"] = self._check_bank(findings, view, decode)
        seen["head_runs"] = self._head_runs_of_step
        return seen | findings.as_json()

    def poison(self) -> None:
        """Make any later read beyond the rows in use visible: NaN rows, row numbers beyond any batch."""
        view = self._runtime.view()
        if view is None:
            return
        with torch.inference_mode():
            view.index[view.count :] = POISON_ROW
            for buffer in (view.source, view.target, view.predicted):
                buffer[view.count :] = float("nan")

    def end_pass(self) -> dict[str, Any] | None:
        """How each prompt's distiller learned, in bins of steps; see ``learning.Bin``."""
        if self._reference is None:
            return None
        learnt = {
            str(prompt): [one.as_list() for one in progress.bins]
            for prompt, progress in self._reference.progress.items()
        }
        return {"learnt": learnt}

    def remove(self) -> None:
        """Take the hooks away."""
        self._head.remove()
        for cut in filter(None, (self._source, self._target)):
            cut.remove()

    def _rows(self, decode: list[Place], sampling: Any) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """The worker's own source and target rows of this step's decode rows."""
        if self._target is not None:
            return self._source.rows(), self._target.rows()
        if sampling is None or sampling.hidden is None:
            return self._source.rows(), None
        return self._source.rows(), sampling.hidden[[row.place for row in decode]]

    def _check_view(
        self,
        findings: Findings,
        view: Any,
        decode: list[Place],
        source: torch.Tensor | None,
        target: torch.Tensor | None,
    ) -> None:
        """Compare captured rows and their owners with the worker's, bit for bit."""
        count = 0 if view is None else view.count
        if count != len(decode):
            findings.fail("source", f"{count} rows captured, the worker counted {len(decode)} decode rows")
        both = decode[:count]
        if not both:
            return
        for name, found, expected in (("source", view.source, source), ("target", view.target, target)):
            if expected is None:
                findings.fail(name, "the worker saw no row to compare with")
                continue
            same = row_differences(found[: len(both)], expected[: len(both)].to(found.dtype))
            findings.rows(name, both, same, 0.0, f"the {name} row is not the layer's own")
        numbers = view.index[: len(both)].tolist()
        for row, found in zip(both, numbers, strict=True):
            if found != row.last:
                findings.fail("source", f"its row number is {found}, not {row.last}", row=row)
        findings.count("credited", min(len(both), len(view.owners)))
        for row, owner in zip(both, view.owners, strict=False):
            if owner is None or owner[0] != row.prompt or row.sample not in (None, owner[1]):
                found = None if owner is None else list(owner)
                findings.fail("credited", "is credited to the wrong request", row=row, found=found)

    def _check_logits(
        self, findings: Findings, places: list[Place], predicted: torch.Tensor | None, sampling: Any
    ) -> dict[str, Any]:
        """Compare the logits drawn from: pushed away for a decode row, for others exactly the filtered ones."""
        kinds: Counter[str] = Counter()
        candidates = moved = 0
        decode = [place for place in places if place.decode]
        others = [place for place in places if not place.decode]
        for rows in split(others, READOUT_ROWS):
            at = [row.place for row in rows]
            same = logit_differences(sampling.after[at], sampling.filtered[at], sampling.filtered[at][:, 0] * 0 + 1)
            findings.rows("logits", rows, same, 0.0, "a row that does not decode was changed")
        if predicted is None:
            if decode:
                findings.fail("logits", "there is no prediction to compare with")
            return {"kinds": {"untouched": len(others)}, "tokens": {"candidates": 0, "moved": 0}}
        for start in range(0, len(decode), READOUT_ROWS):
            rows = decode[start : start + READOUT_ROWS]
            at = [row.place for row in rows]
            after, filtered = sampling.after[at], sampling.filtered[at].float()
            given = filtered, predicted[start : start + len(rows)], sampling.temperature[at], self._method
            expected, left = intervene(*given, self._readout)
            if filtered.dtype != next(self._engine.model.parameters()).dtype:
                expected = nearest(after, expected, intervene(*given, self._exact_readout)[0])
            size = logit_size(filtered, expected)
            difference = logit_differences(after, expected, size)
            most = torch.where(left | (self._method.beta == 0), 0.0, self._tolerances.logits)
            findings.rows("logits", rows, difference, most, "logits are not (1 + beta) * model's - beta * prediction's")
            kinds["left"] += int(left.sum())
            survive = filtered > float("-inf")
            candidates += int(survive.sum())
            moved += int((survive & (after != filtered)).sum())
        kinds += self._kinds(decode, others, sampling)
        return {"kinds": dict(kinds), "tokens": {"candidates": candidates, "moved": moved}}

    def _kinds(self, decode: list[Place], others: list[Place], sampling: Any) -> Counter[str]:
        """How many decode rows of each kind were compared."""
        at = [row.place for row in decode]
        kinds = Counter(compared=len(decode), untouched=len(others), prompts=len({row.prompt for row in decode}))
        kinds["greedy"] = int(sampling.greedy[at].sum())
        kinds["tempered"] = int((sampling.temperature[at] != 1).sum())
        kinds["filtered"] = int((sampling.filtered[at] == float("-inf")).any(1).sum())
        kinds["beside_prefill"] = len(decode) if others else 0
        kinds["resumed"] = sum(self._requests.resumed(row.name) for row in decode)
        return kinds

    def _readout(self, rows: torch.Tensor) -> torch.Tensor:
        """``[rows, hidden]`` to ``[rows, vocabulary]``, by the model's own head in the model's type."""
        model = self._engine.model
        with torch.inference_mode():
            return model.logits_processor(model.lm_head, rows.to(next(model.parameters()).dtype))

    def _exact_readout(self, rows: torch.Tensor) -> torch.Tensor:
        """The same, of rows and weights in the model's type, but with logits that are not rounded to it."""
        head = self._engine.model.lm_head.weight
        vocabulary = self._engine.model.logits_processor.org_vocab_size
        with torch.inference_mode():
            return rows.to(head.dtype).float() @ head[:vocabulary].float().T

    def _check_bank(self, findings: Findings, view: Any, decode: list[Place]) -> dict[str, Any]:
        """The bank holds the distillers that prompts in flight need, and no more."""
        held = 0 if view is None else view.distillers
        least, most = len({row.prompt for row in decode}), self._requests.prompts_in_flight()
        if self._method.shared:
            least, most = min(least, 1), 1
        findings.count("bank", 1)
        if held > most:
            findings.fail("bank", f"{held} distillers are held, {most} prompts in flight have decoded")
        if held < least:
            findings.fail("bank", f"{held} distillers are held, {least} prompts decode")
        self._most = max(self._most, most)
        taken = 0 if view is None else int(view.bytes)
        each = 0
        if self._reference is not None and self._reference.numbers:
            each = self._reference.numbers * BYTES_A_NUMBER[self._method.optimiser]
            limit = int(self._most * BANK_ROUNDING + 1) * each
            if not held and taken:
                findings.fail("bank", f"{taken:,} bytes for no distiller")
            if not held * self._reference.numbers * 4 <= taken <= limit:
                findings.fail("bank", f"{taken:,} bytes for {held} distillers, at most {limit:,} for those in flight")
        return {"distillers": held, "most": most, "bytes": taken, "capacity": taken // each if each else 0}


class ReferenceRun:
    """The reference's computation of each step, in one of the two modes."""

    def __init__(self, method: Method, source: torch.Tensor, free: bool, tolerances: Tolerances) -> None:
        hidden, device = source.shape[1], source.device
        self._method, self._free, self._tolerances = method, free, tolerances
        self._distillers = Distillers(hidden, method, device)
        self._untrained = Distiller(hidden, method, device)
        self._first = self._untrained.state()
        self.numbers = self._first.parameters.numel()
        self._before: dict[int, State] = {}
        self.progress: dict[int, Progress] = {}
        self.figures: dict[str, Any] = {}
        self._turn = 0

    def step(
        self, findings: Findings, view: Any, decode: list[Place], source: torch.Tensor, target: torch.Tensor
    ) -> torch.Tensor:
        """Predict, compare, train, compare; returns the predictions to read out ``[decode rows, hidden]``."""
        prompts = [row.prompt for row in decode if row.prompt is not None]
        keys = [0] if self._method.shared else list(dict.fromkeys(prompts))
        if not self._free:
            for key in keys:
                self._distillers.of(key).load(self._before.get(key, self._first))
        predicted = self._distillers.predict(prompts, source)
        losses = self._distillers.train(prompts, source, target)
        if view is not None:
            self._check_predicted(findings, view, decode, predicted)
            self._check_losses(findings, view, losses, prompts)
            self._check_states(findings, view, keys)
            self._learnt(prompts, source, target, view.predicted)
            self.figures["mean_loss"] = number(sum(losses.values()) / len(losses), 8)
            if not self._free and "predicted" not in findings.wrong and view.predicted.shape == predicted.shape:
                # Equal up to rounding, which a low-precision readout would amplify: read out the runtime's own, so that
                # the logits can be compared more closely.
                return view.predicted.clone()
        return predicted

    def _check_predicted(self, findings: Findings, view: Any, decode: list[Place], predicted: torch.Tensor) -> None:
        both = decode[: len(view.predicted)]
        difference = row_differences(view.predicted[: len(both)], predicted[: len(both)])
        findings.rows(
            "predicted", both, difference, self._tolerances.predicted, "the prediction is not the reference's"
        )

    def _check_losses(self, findings: Findings, view: Any, losses: dict[int, float], prompts: list[int]) -> None:
        if self._method.shared:  # the loss of all counts as each one's
            losses = dict.fromkeys(prompts, losses[0])
        found = dict(zip(view.prompts, view.losses.tolist(), strict=True))
        if found.keys() != losses.keys():
            findings.fail("losses", f"prompts {sorted(found)} were trained, not {sorted(losses)}")
            return
        for prompt, expected in losses.items():
            difference = row_differences(torch.tensor([[found[prompt]]]), torch.tensor([[expected]])).item()
            what = f"its loss is {found[prompt]:.6g}, not {expected:.6g}"
            findings.value("losses", difference, self._tolerances.losses, what, prompt=prompt)

    def _check_states(self, findings: Findings, view: Any, keys: list[int]) -> None:
        """After the step: every distiller that was trained; where the reference runs free, one of them in turn."""
        self._turn += 1
        for key in [keys[self._turn % len(keys)]] if self._free else keys:
            given = view.state(key)
            if given is None:
                findings.fail("state", "it was trained and has no distiller", prompt=key)
                continue
            found, expected = State(*given), self._distillers.of(key).state()
            before = self._first if self._free else self._before.get(key, self._first)
            for part, difference in self._differences(found, expected, before).items():
                what = f"its {part} after the step are not the reference's"
                findings.value("state", difference, self._tolerances.state, what, prompt=key)
            if not self._free:
                self._before[key] = found

    def _differences(self, found: State, expected: State, before: State) -> dict[str, float]:
        differences = {
            "parameters": relative_distance(found.parameters, expected.parameters, before.parameters),
            "steps": float(abs(found.steps - expected.steps)),
        }
        for part in ("mean", "square"):
            one, other = getattr(found, part), getattr(expected, part)
            if other is not None:
                none = torch.zeros_like(other)
                differences[part] = float("inf") if one is None else relative_distance(one, other, none)
        return differences

    def _learnt(self, prompts: list[int], source: torch.Tensor, target: torch.Tensor, found: torch.Tensor) -> None:
        """Errors of these rows: of the predictions ``found``, of a distiller's input, and of the running mean."""
        source, target = source.float(), target.float()
        self.figures = {}
        if found.shape != target.shape:
            return
        untrained = self._untrained.predict(source)
        mean_error, mean_rows = 0.0, 0
        for prompt in dict.fromkeys(prompts):
            rows = rows_of(prompt, prompts)
            progress = self.progress.setdefault(prompt, Progress())
            error = progress.take(found[rows], untrained[rows], target[rows])
            if error is not None:
                mean_error, mean_rows = mean_error + error * len(rows), mean_rows + len(rows)
        self.figures = {
            "loss": number((found - target).square().mean().item()),
            "identity_loss": number((self._untrained.network.enter(source) - target).square().mean().item()),
            "running_mean_loss": number(mean_error / mean_rows) if mean_rows == len(prompts) else None,
        }


class Requests:
    """Which prompts are in flight and have decoded, and which requests resumed after a preemption."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._prompt: dict[str, int | None] = {}
        self._decoded: set[str] = set()
        self._resumed: set[str] = set()
        self._seen: dict[int | None, int] = {}
        self._now = 0

    def take(self, places: list[Place]) -> None:
        """A step with these requests."""
        self._now += 1
        for row in places:
            self._prompt[row.name] = row.prompt
            if row.decode:
                self._decoded.add(row.name)
            elif row.name in self._decoded:  # its tokens are computed again
                self._resumed.add(row.name)
        for name in self._decoded & set(self._engine.held()):
            self._seen[self._prompt[name]] = self._now

    def resumed(self, name: str) -> bool:
        """Whether a request's tokens were computed again at some time."""
        return name in self._resumed

    def prompts_in_flight(self) -> int:
        """Number of prompts that have decoded and had a request in the last ``GRACE`` steps."""
        return sum(self._now - last <= GRACE for last in self._seen.values())


def places_of(method: Method) -> list[str]:
    """Where rows are tapped."""
    return [method.source] + ([method.target] if method.target != "lm_head" else [])


def nearest(found: torch.Tensor, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Of two results that rounding explains, number by number the one that is nearer to what was found."""
    return torch.where((found - one).abs() <= (found - other).abs(), one, other)


def logit_size(filtered: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """``[rows]``: the largest logit of each row, before or after, that is not -inf."""
    both = torch.maximum(filtered.abs(), expected.abs())
    return both.masked_fill(filtered == float("-inf"), 0).amax(1)


def split(rows: list[Place], size: int) -> list[list[Place]]:
    """The rows in groups of ``size``."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]
