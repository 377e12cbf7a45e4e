"""Settings of the runtime, and the presets: the paper's method, and what its authors' release runs."""

import re
from dataclasses import dataclass, fields
from typing import Any, Optional

OPTIMISERS = ("adam", "adamw", "sgd")
ROWS = ("all", "first")


@dataclass(frozen=True)
class Config:
    """Settings; the defaults are the paper's (section 4 and appendix E.2).

    Attributes:
        beta: strength of the intervention; 0 leaves every distribution as it is.
        source: what a distiller sees. ``output:K`` is the residual stream behind block K, ``input_norm:K`` the
            normalised input of block K; a negative K counts from the last block.
        target: what it predicts: ``lm_head``, the hidden state that goes into ``lm_head``, or a place as in ``source``.
        normalise_source: divide the source by its root mean square before the first block.
        blocks, width: residual gated blocks of a distiller, and their inner width.
        gate_bias: first value of a trained bias in each gate; None for no bias.
        output_norm: a trained layer norm behind the last block.
        first_deviation: standard deviation of the first weights; None for 1/sqrt(inputs) of each matrix.
        zero_down: the first projections down are zero, so that a distiller predicts its source at first.
        optimiser: ``adam``, ``adamw`` or ``sgd``.
        learning_rate, epsilon, weight_decay: of the optimiser, one step a decode step.
        clip: largest norm of a distiller's gradient; None for no limit.
        rows: ``all`` rows of a prompt train and are predicted, or only its ``first`` one of a step, whose prediction
            then serves all of them.
        shared: one distiller for all prompts in place of one a prompt.
        tempered: the prediction's logits are divided by the temperature, as the model's are.
        seed: of the first weights.
        capture_rows: decode rows a step can have; the engine's ``max_num_seqs`` where None.
        readout_rows: rows whose predictions go through ``lm_head`` at once; as memory suggests where None.
    """

    beta: float = 0.25
    source: str = "output:0"
    target: str = "lm_head"
    normalise_source: bool = True
    blocks: int = 2
    width: int = 384
    gate_bias: Optional[float] = None
    output_norm: bool = False
    first_deviation: Optional[float] = None
    zero_down: bool = True
    optimiser: str = "adam"
    learning_rate: float = 4e-4
    epsilon: float = 1e-4
    weight_decay: float = 0.0
    clip: Optional[float] = 0.5
    rows: str = "all"
    shared: bool = False
    tempered: bool = True
    seed: int = 0
    capture_rows: Optional[int] = None
    readout_rows: Optional[int] = None

    def __post_init__(self) -> None:
        for name in ("blocks", "width", "capture_rows", "readout_rows"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"esamp: {name} must be at least 1, not {value}")
        for name in ("learning_rate", "first_deviation", "clip"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"esamp: {name} must be above 0, not {value}")
        for name in ("epsilon", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"esamp: {name} must be 0 or above, not {getattr(self, name)}")
        for name, known in (("optimiser", OPTIMISERS), ("rows", ROWS)):
            if getattr(self, name) not in known:
                raise ValueError(f"esamp: {name} must be one of {', '.join(known)}, not {getattr(self, name)!r}")
        if self.target != "lm_head":
            parse_place("target", self.target)
        parse_place("source", self.source)


# What the authors' release (tLLM at c606f40) runs: other taps, a narrower network, one row a prompt. There parameters
# have the model's type and steps with prefill are left out; here both are as in the paper.
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


def make_config(preset: str, settings: dict[str, Any]) -> Config:
    """The settings of a preset with others on top.

    Raises:
        ValueError: no such preset or setting, or a value that cannot be.
    """
    if preset not in PRESETS:
        raise ValueError(f"esamp: no preset is named {preset!r}; there are {', '.join(PRESETS)}")
    known = {field.name for field in fields(Config)}
    unknown = sorted(settings.keys() - known)
    if unknown:
        raise ValueError(f"esamp: no setting is named {unknown[0]!r}; there are {', '.join(sorted(known))}")
    return Config(**{**PRESETS[preset], **settings})


def parse_place(name: str, text: str) -> tuple[str, int]:
    """``("output", 0)`` for ``output:0``."""
    found = re.fullmatch(r"(output|input_norm):(-?\d+)", text)
    if found is None:
        raise ValueError(f"esamp: {name} must be output:K or input_norm:K with K a block's number, not {text!r}")
    return found[1], int(found[2])
