"""Checks of the method by itself, on rows that no model produces.

A model's rows have one magnitude, and hide what only matters at others: the constant under a root, an epsilon beside a
tiny gradient, a prediction with a single NaN.
"""

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from itertools import product
from typing import Any

import torch
from patchkit_probe.compare import Tolerances, logit_differences, relative_distance, row_differences
from patchkit_probe.expect import generate, require
from patchkit_probe.reference import Distillers, Method, intervene, read_settings

# Sound runs on the CPU reached 1.2e-7, 1e-6, 5e-8 and 4e-5; CUDA sums in another order.
TOLERANCES = Tolerances(predicted=1e-5, losses=1e-5, logits=1e-6, state=2e-3)
SIZES = (1e-4, 1e-3, 3e-2, 1.0, 1e2)  # of the numbers in a row: a prompt's rows have one of them
STEPS, SPOILED_STEP = 4, 2
FIRST_PROMPT = 1 << 20  # the engine never uses such a number
SETTINGS: tuple[dict[str, Any], ...] = (
    {"preset": "paper"},
    {"preset": "release"},
    {"preset": "release", "optimiser": "sgd"},
    {"clip": 1e-3, "optimiser": "adamw", "weight_decay": 0.1, "gate_bias": 0.5},
    {"shared": True},
)
BETAS = (0.0, 0.25, 1.5)
CHUNKS = (None, 1, 3)
VOCABULARY = 400


def learns_from_rows_of_any_size(context: Any) -> None:
    """Prompts with unequal numbers of rows, of sizes far apart; the rows of one are spoiled in one step."""
    llm = context.engine()
    hidden, device = llm.llm_engine.model_config.get_hidden_size(), torch.device(context.device)
    for settings in ({"width": 24, **one} for one in SETTINGS):
        runtime = context.install(**settings)
        generate(context, llm, 1)  # binds it: there is a bank
        method = read_settings(settings)
        distillers = Distillers(hidden, method, device)
        with torch.inference_mode():
            for step, (prompts, source, target) in enumerate(made_up_steps(hidden, device)):
                for broken in reference_differences(runtime.bank, distillers, method, prompts, source, target):
                    require(False, f"{settings}, step {step}: {broken}")
        runtime.uninstall()


def made_up_steps(hidden: int, device: torch.device) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
    """The prompt of each row, and ``[rows, hidden]`` sources and targets; rows of a prompt do not lie together."""
    generator = torch.Generator().manual_seed(5)
    for step in range(STEPS):
        kinds = [kind for kind in range(len(SIZES)) for _ in range(kind % 3 + 1)]
        kinds = [kinds[at] for at in torch.randperm(len(kinds), generator=generator).tolist()]
        size = torch.tensor([SIZES[kind] for kind in kinds]).unsqueeze(1)
        source = torch.randn(len(kinds), hidden, generator=generator) * size
        target = torch.randn(len(kinds), hidden, generator=generator) * size
        if step == SPOILED_STEP:
            source[kinds.index(1), 3] = float("inf")
        yield [FIRST_PROMPT + kind for kind in kinds], source.to(device), target.to(device)


def step(bank: Any, source: torch.Tensor, target: torch.Tensor, grouping: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """What the bank predicts, and the losses before the training; one call from patch 15 on."""
    if hasattr(bank, "step"):
        stepped = bank.step(source, target, grouping)
        bank.join()
        return stepped.predicted, stepped.losses
    predicted, seen = bank.predict(source, grouping)
    return predicted, bank.train(seen, target, grouping)


def reference_differences(
    bank: Any, distillers: Distillers, method: Method, prompts: list[int], source: torch.Tensor, target: torch.Tensor
) -> Iterator[str]:
    """How a step of the bank differs from the reference's step from the same state."""
    grouping = bank.group(prompts)
    before = {prompt: bank.state(prompt) for prompt in dict.fromkeys(prompts)}
    for prompt, start in before.items():
        if not start.steps and relative_distance(
            start.parameters, distillers.of(prompt).state().parameters, 0 * start.parameters
        ):
            yield f"prompt {prompt - FIRST_PROMPT}: its first weights are not the reference's"
        distillers.of(prompt).load(start)
    predicted, losses = step(bank, source, target, grouping)
    off = row_differences(predicted, distillers.predict(prompts, source)).max().item()
    if off > TOLERANCES.predicted:
        yield f"a prediction is off by {off:.1e} of its size"
    expected = distillers.train(prompts, source, target)
    for prompt, start in before.items():
        loss, right = losses[bank.slots.find(prompt)].item(), expected[0 if method.shared else prompt]
        if abs(loss - right) > TOLERANCES.losses * abs(right):
            yield f"prompt {prompt - FIRST_PROMPT}: the loss is {loss:.6g}, not {right:.6g}"
        found, reference = bank.state(prompt), distillers.of(prompt).state()
        if found.steps != reference.steps:
            yield f"prompt {prompt - FIRST_PROMPT}: {found.steps} steps are counted, not {reference.steps}"
        for name in ("parameters", "mean", "square"):
            values = [getattr(one, name) for one in (found, reference, start)]
            off = relative_distance(*values) if values[1] is not None and values[0] is not None else 0.0
            if off > TOLERANCES.state:
                yield f"prompt {prompt - FIRST_PROMPT}: {name} went {off:.1e} of the way beside the reference's"


def moves_rows_of_any_kind(context: Any) -> None:
    """Predictions with NaN or infinity, filtered tokens, requests without a decode row, chunks, no temperature."""
    context.install()  # puts the runtime on the path
    device = torch.device(context.device)
    for kind, (surviving, move) in ways_to_move(device).items():
        for beta, chunk, tempered in product(BETAS, CHUNKS, (True, False)):
            said = f"{kind}, beta {beta}, {chunk or 'all'} rows at once, {'' if tempered else 'not '}tempered"
            logits, rows, temperatures, predicted = made_up_logits(surviving, device)
            expected = logits.clone()
            method = read_settings({"beta": beta, "tempered": tempered})
            filtered = expected.index_select(0, rows)
            after, left = intervene(filtered, predicted, temperatures[rows], method, lambda them: them)
            expected.index_copy_(0, rows, after)
            alive = filtered.isfinite()
            given = temperatures if tempered else None
            moved = move(logits, rows, given, beta, predicted=predicted, chunk=chunk)
            size = torch.where(expected.isfinite(), expected, 0.0).abs().amax(1)
            off = logit_differences(logits, expected, size).max().item()
            require(off <= TOLERANCES.logits, f"{said}: a logit is off by {off:.1e} of the largest")
            counts = [int(count) for count in moved]
            right = [int(alive.sum()), int((after != filtered).sum()), int((~left).sum())]
            require(counts == right, f"{said}: candidates, changed and rows are {counts}, not {right}")


def ways_to_move(device: torch.device) -> dict[str, tuple[float, Callable[..., Any]]]:
    """How the runtime moves logits, by name: the share of tokens that survive where it does so, and what it calls.

    Predictions are logits here: the head by which they are read out is the identity.
    """
    from esamp.method.intervention import intervene as move

    def move_all(*given: Any, predicted: torch.Tensor, chunk: int | None) -> Any:
        return move(*given, lambda part: predicted[part], chunk)

    ways: dict[str, tuple[float, Callable[..., Any]]] = {"many tokens": (0.4, move_all)}
    if find_spec("esamp.method.candidates"):  # from 0.26.0 on
        from esamp.method.candidates import intervene_on_candidates

        ways["few tokens"] = 0.01, partial(intervene_on_candidates, head=torch.eye(VOCABULARY, device=device))
    return ways


def made_up_logits(
    surviving: float, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """``[requests, vocabulary]`` logits, the decode rows among them, temperatures, and the rows' predictions.

    A share of about ``surviving`` of the tokens of each row is not filtered out, other ones in each.
    """
    generator = torch.Generator().manual_seed(6)
    logits = 8 * torch.randn(9, VOCABULARY, generator=generator)
    logits[torch.rand(9, VOCABULARY, generator=generator) > surviving] = float("-inf")
    logits[:, 7] = 3.0  # no row is filtered out completely
    rows = torch.tensor([6, 0, 3, 8, 1, 4, 7])
    predicted = 8 * torch.randn(len(rows), VOCABULARY, generator=generator)
    for row, number in ((1, float("nan")), (2, float("inf")), (4, float("-inf"))):
        predicted[row, 7 + row] = number
    predicted[5] = float("nan")
    temperatures = torch.rand(9, generator=generator) + 0.3
    return logits.to(device), rows.to(device), temperatures.to(device), predicted.to(device)


checks = [learns_from_rows_of_any_size, moves_rows_of_any_kind]
