"""The method written a second time, as the reference for the runtime: slow, plain, and without its code.

One object per prompt, ``torch.autograd`` for the gradient, ``torch.optim`` for the step, no batching over prompts.
Everything is float32. In one step of the engine, a prompt's ``Distiller``

1. predicts the target row of each of its decode rows from the source row, with the weights as they are;
2. then makes one training step on the same rows: the mean squared error, clipped by the gradient's norm;
3. sampling is pushed away from its predictions, read out by the language model's own head.

Works inside ``torch.inference_mode``, in which vLLM runs: it leaves that mode while it needs gradients.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.functional import layer_norm, silu

NORM_EPSILON = 1e-5  # of the layer norm
ROOT_EPSILON = 1e-6  # of the root mean square

Readout = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Method:
    """The method's hyperparameters; the defaults are the paper's, and measured ones where it gives none.

    Attributes:
        beta: how far logits are pushed away from the prediction's logits.
        source: ``output:K``, the residual stream behind block K, or ``input_norm:K``, block K's normalised input.
        target: ``lm_head``, the hidden state given to the head, or ``input_norm:K``.
        normalise_source: a source row is divided by its root mean square before anything else.
        blocks: how many gated blocks a distiller has, each of inner ``width``.
        gate_bias: initial value of each gate's trained bias; None for no bias.
        output_norm: a trained layer norm after the last block.
        first_deviation: standard deviation of the first weights; None for one over the root of a matrix's inputs.
        zero_down: every ``down`` starts at zero, so that a new distiller predicts its own input.
        optimiser: ``adam``, ``adamw`` or ``sgd``, each as torch defines it.
        weight_decay: of adamw only.
        clip: maximum norm of a distiller's gradient; None for no limit.
        rows: ``all``, or ``first``: only the first decode row of each prompt is trained on and predicted from.
        shared: one distiller for all prompts.
        tempered: the prediction's logits are divided by the request's temperature, as the model's are.
        seed: of the first weights.
    """

    beta: float = 0.25
    source: str = "output:0"
    target: str = "lm_head"
    normalise_source: bool = True
    blocks: int = 2
    width: int = 384
    gate_bias: float | None = None
    output_norm: bool = False
    first_deviation: float | None = None
    zero_down: bool = True
    optimiser: str = "adam"
    learning_rate: float = 4e-4
    epsilon: float = 1e-4
    weight_decay: float = 0.0
    clip: float | None = 0.5
    rows: str = "all"
    shared: bool = False
    tempered: bool = True
    seed: int = 0


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "release": {
        "beta": 0.8,
        "source": "input_norm:0",
        "target": "input_norm:-1",
        "normalise_source": False,
        "blocks": 1,
        "width": 64,
        "gate_bias": 1.0,
        "output_norm": True,
        "first_deviation": 0.02,
        "zero_down": False,
        "optimiser": "adamw",
        "learning_rate": 1e-3,
        "epsilon": 1e-8,
        "weight_decay": 0.01,
        "clip": None,
        "rows": "first",
        "tempered": False,
    },
}
# Settings of the runtime's memory, without effect on what it computes.
OF_THE_ENGINE = ("capture_rows", "readout_rows")


def read_settings(settings: Mapping[str, Any]) -> Method:
    """The method with the runtime's settings; ``ValueError`` for a setting that the reference does not know."""
    given = {name: value for name, value in settings.items() if name not in OF_THE_ENGINE}
    preset = given.pop("preset", "paper")
    if preset not in PRESETS:
        raise ValueError(f"the reference knows no preset {preset!r}, only {', '.join(PRESETS)}")
    unknown = sorted(set(given) - {field.name for field in fields(Method)})
    if unknown:
        raise ValueError(f"the reference knows no setting {', '.join(unknown)}")
    return Method(**{**PRESETS[preset], **given})


class State(NamedTuple):
    """A distiller between two steps: flat float32 copies. ``mean``, ``square``: None for an optimiser without."""

    parameters: torch.Tensor
    mean: torch.Tensor | None
    square: torch.Tensor | None
    steps: int


class GatedBlock(nn.Module):
    """``x + (silu(x gate + gate_bias) * (x up)) down``, for rows ``[rows, hidden]``."""

    def __init__(self, hidden: int, method: Method, generator: torch.Generator) -> None:
        super().__init__()
        self.gate = nn.Parameter(first_weights(hidden, method.width, method, generator))
        self.up = nn.Parameter(first_weights(hidden, method.width, method, generator))
        if method.zero_down:  # no random numbers are drawn for it
            self.down = nn.Parameter(torch.zeros(method.width, hidden))
        else:
            self.down = nn.Parameter(first_weights(method.width, hidden, method, generator))
        bias = method.gate_bias
        self.gate_bias = None if bias is None else nn.Parameter(torch.full((method.width,), float(bias)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = x @ self.gate
        if self.gate_bias is not None:
            gate = gate + self.gate_bias
        return x + (silu(gate) * (x @ self.up)) @ self.down


class Network(nn.Module):
    """From a source row to the prediction of the target row, both ``[rows, hidden]`` float32."""

    def __init__(self, hidden: int, method: Method) -> None:
        super().__init__()
        self.normalise_source = method.normalise_source
        generator = torch.Generator().manual_seed(method.seed)
        self.blocks = nn.ModuleList(GatedBlock(hidden, method, generator) for _ in range(method.blocks))
        self.scale = nn.Parameter(torch.ones(hidden)) if method.output_norm else None
        self.shift = nn.Parameter(torch.zeros(hidden)) if method.output_norm else None

    def enter(self, source: torch.Tensor) -> torch.Tensor:
        """The input of the first block."""
        if not self.normalise_source:
            return source
        return source / (source.square().mean(dim=1, keepdim=True) + ROOT_EPSILON).sqrt()

    def forward(self, source: torch.Tensor) -> torch.Tensor:
        x = self.enter(source)
        for block in self.blocks:
            x = block(x)
        if self.scale is None:
            return x
        return layer_norm(x, x.shape[-1:], self.scale, self.shift, NORM_EPSILON)

    def in_order(self) -> list[nn.Parameter]:
        """The parameters in the order of the runtime's flat layout."""
        ordered = []
        for block in self.blocks:
            ordered += [block.gate, block.up, block.down]
            ordered += [] if block.gate_bias is None else [block.gate_bias]
        return ordered + ([] if self.scale is None else [self.scale, self.shift])


def first_weights(inputs: int, outputs: int, method: Method, generator: torch.Generator) -> torch.Tensor:
    """``[inputs, outputs]`` numbers drawn on the CPU."""
    deviation = inputs**-0.5 if method.first_deviation is None else method.first_deviation
    return torch.empty(inputs, outputs).normal_(0, deviation, generator=generator)


@contextmanager
def gradients() -> Iterator[None]:
    """Record gradients inside, even where vLLM has turned them off."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


class Distiller:
    """One prompt's network and optimiser."""

    def __init__(self, hidden: int, method: Method, device: torch.device | str = "cpu") -> None:
        with gradients():
            self.network = Network(hidden, method).to(device)
            self._parameters = self.network.in_order()
            self._optimiser = make_optimiser(self._parameters, method)
        self._clip = float("inf") if method.clip is None else method.clip
        self.steps = 0

    def predict(self, source: torch.Tensor) -> torch.Tensor:
        """``[rows, hidden]`` of any type to ``[rows, hidden]`` float32, with the weights as they are."""
        with gradients(), torch.no_grad():
            return self.network(source.float().clone())

    def train(self, source: torch.Tensor, target: torch.Tensor) -> float:
        """One step on these rows; returns the loss before it. A gradient without a finite norm changes nothing."""
        with gradients():
            error = self.network(source.float().clone()) - target.float().clone()
            loss = error.square().mean(dim=1).mean()
            self._optimiser.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(self._parameters, self._clip)
            if torch.isfinite(norm):
                self._optimiser.step()
                self.steps += 1
            return loss.item()

    def state(self) -> State:
        """A copy of everything that a step changes."""
        flat = torch.cat([parameter.detach().flatten() for parameter in self._parameters])
        if isinstance(self._optimiser, torch.optim.SGD):
            return State(flat, None, None, self.steps)
        moments = [self._optimiser.state.get(parameter) for parameter in self._parameters]
        if not all(moments):  # torch makes them in the first step
            return State(flat, torch.zeros_like(flat), torch.zeros_like(flat), self.steps)
        mean, square = (torch.cat([moment[name].flatten() for moment in moments]) for name in ("exp_avg", "exp_avg_sq"))
        return State(flat, mean, square, self.steps)

    def load(self, state: State) -> None:
        """Set this distiller to a state."""
        sizes = [parameter.numel() for parameter in self._parameters]
        with gradients(), torch.no_grad():
            for parameter, values in zip(self._parameters, state.parameters.split(sizes), strict=True):
                parameter.copy_(values.view_as(parameter))
            if state.mean is not None and state.square is not None:
                both = zip(self._parameters, state.mean.split(sizes), state.square.split(sizes), strict=True)
                for parameter, mean, square in both:
                    self._optimiser.state[parameter] = {
                        "step": torch.tensor(float(state.steps)),
                        "exp_avg": mean.view_as(parameter).clone(),
                        "exp_avg_sq": square.view_as(parameter).clone(),
                    }
        self.steps = state.steps


def make_optimiser(parameters: list[nn.Parameter], method: Method) -> torch.optim.Optimizer:
    """torch's own optimiser of that name."""
    rate = method.learning_rate
    if method.optimiser == "sgd":
        return torch.optim.SGD(parameters, lr=rate)
    if method.optimiser == "adam":
        return torch.optim.Adam(parameters, lr=rate, eps=method.epsilon)
    if method.optimiser == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, eps=method.epsilon, weight_decay=method.weight_decay)
    raise ValueError(f"the reference knows no optimiser {method.optimiser!r}, only adam, adamw, sgd")


class Distillers:
    """The distillers of a run: one a prompt, or one for all."""

    def __init__(self, hidden: int, method: Method, device: torch.device | str = "cpu") -> None:
        self._hidden, self._method, self._device = hidden, method, device
        self.held: dict[int, Distiller] = {}

    def of(self, prompt: int) -> Distiller:
        """A prompt's distiller, made at first use."""
        key = 0 if self._method.shared else prompt
        if key not in self.held:
            self.held[key] = Distiller(self._hidden, self._method, self._device)
        return self.held[key]

    def keep_only(self, prompts: set[int]) -> None:
        """Drop the distillers of all other prompts."""
        if not self._method.shared:
            self.held = {prompt: distiller for prompt, distiller in self.held.items() if prompt in prompts}

    def predict(self, prompts: list[int], source: torch.Tensor) -> torch.Tensor:
        """The prediction for each row; ``prompts[row]`` is the prompt of a row."""
        predicted = torch.empty(source.shape, dtype=torch.float32, device=source.device)
        for prompt in dict.fromkeys(prompts):
            rows = rows_of(prompt, prompts)
            if self._method.rows == "first":
                predicted[rows] = self.of(prompt).predict(source[rows[:1]])
            else:
                predicted[rows] = self.of(prompt).predict(source[rows])
        return predicted

    def train(self, prompts: list[int], source: torch.Tensor, target: torch.Tensor) -> dict[int, float]:
        """One training step of every distiller that has rows; losses before it, by prompt (by 0 for a shared one)."""
        if not prompts:
            return {}
        learnt_from = {prompt: self._learnt_from(prompt, prompts) for prompt in dict.fromkeys(prompts)}
        if self._method.shared:
            together = [row for rows in learnt_from.values() for row in rows]
            return {0: self.of(0).train(source[together], target[together])}
        return {prompt: self.of(prompt).train(source[rows], target[rows]) for prompt, rows in learnt_from.items()}

    def _learnt_from(self, prompt: int, prompts: list[int]) -> list[int]:
        rows = rows_of(prompt, prompts)
        return rows[:1] if self._method.rows == "first" else rows


def rows_of(prompt: int, prompts: list[int]) -> list[int]:
    """The indices of one prompt's rows, in packed order."""
    return [row for row, owner in enumerate(prompts) if owner == prompt]


def intervene(
    filtered: torch.Tensor, predicted: torch.Tensor, temperature: torch.Tensor, method: Method, readout: Readout
) -> tuple[torch.Tensor, torch.Tensor]:
    """The logits that decode rows must draw from, and which rows are unchanged, as their prediction is not finite.

    Each row is computed by itself.

    Args:
        filtered: ``[rows, vocabulary]`` the model's logits after temperature and filters; -inf where a token is out.
        predicted: ``[rows, hidden]`` float32.
        temperature: ``[rows]`` of the requests, 1 for greedy ones.
        readout: ``[rows, hidden]`` to ``[rows, vocabulary]`` logits, by the model's head in the model's type.

    Returns:
        ``[rows, vocabulary]`` logits, and ``[rows]`` whether a row is unchanged.
    """
    expected = readout(predicted).float()
    left = ~(torch.isfinite(predicted).all(1) & torch.isfinite(expected).all(1))
    if method.tempered:
        expected = expected / temperature.unsqueeze(1)
    pushed = (1 + method.beta) * filtered - method.beta * expected
    stays = left.unsqueeze(1) | (filtered == float("-inf")) | (method.beta == 0)
    return torch.where(stays, filtered, pushed), left
