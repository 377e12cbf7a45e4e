"""Run inside an environment: the runtime's method against torch's own autograd and optimisers, without vLLM.

Usage: ``python method_alone.py FOLDER``, that of the package ``esamp``; says nothing and exits with 0 if all holds.
"""

import sys
from inspect import signature
from types import ModuleType

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

package = ModuleType("esamp")  # without its __init__, which imports vLLM
package.__path__ = [sys.argv[1]]
sys.modules["esamp"] = package

from esamp.method import network  # noqa: E402
from esamp.method.bank import Bank  # noqa: E402
from esamp.method.grouping import Grouping, group  # noqa: E402
from esamp.method.intervention import intervene  # noqa: E402
from esamp.method.network import Network  # noqa: E402
from esamp.method.optimisers import Optimiser  # noqa: E402

HIDDEN, WIDTH = 12, 5
CPU = torch.device("cpu")
ROUNDED = "rounded" in signature(group).parameters  # patch 15: rows that are laid out may be more than there are
FORMS = [Network(HIDDEN, 2, WIDTH, True, False, False), Network(HIDDEN, 1, WIDTH, False, True, True)]
OPTIMISERS = [
    Optimiser("adam", 1e-2, 1e-4, 0.0, 0.5),
    Optimiser("adam", 1e-2, 1e-8, 0.0, None),
    Optimiser("adamw", 1e-2, 1e-8, 0.1, None),
    Optimiser("sgd", 1e-1, 0.0, 0.0, 0.05),
]


class Autograd(torch.nn.Module):
    """One distiller by its formula, with torch's layer norm."""

    def __init__(self, form: Network, flat: torch.Tensor) -> None:
        super().__init__()
        shapes = form.shapes()
        parts = flat.clone().split([rows * columns for rows, columns in shapes])
        self.values = torch.nn.ParameterList(part.view(shape) for part, shape in zip(parts, shapes, strict=True))
        self.form = form

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = list(self.values)
        if self.form.normalise:
            x = x / (x.square().mean(-1, keepdim=True) + network.ROOT_EPSILON).sqrt()
        for _ in range(self.form.blocks):
            gate, up, down = (values.pop(0) for _ in range(3))
            bias = values.pop(0) if self.form.bias else 0.0
            x = x + (torch.nn.functional.silu(x @ gate + bias) * (x @ up)) @ down
        if self.form.norm:
            x = torch.nn.functional.layer_norm(x, (HIDDEN,), values[0][0], values[1][0], network.NORM_EPSILON)
        return x

    def flat(self) -> torch.Tensor:
        return torch.cat([value.detach().flatten() for value in self.values])


def torch_optimiser(optimiser: Optimiser, model: Autograd) -> torch.optim.Optimizer:
    if optimiser.name == "sgd":
        return torch.optim.SGD(model.parameters(), lr=optimiser.learning_rate)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[optimiser.name]
    return kind(
        model.parameters(), lr=optimiser.learning_rate, eps=optimiser.epsilon, weight_decay=optimiser.weight_decay
    )


def bank_of(form: Network, optimiser: Optimiser, shared: bool = False, first_only: bool = False, losses=None) -> Bank:
    first = form.first(3, None, False, 1.0)
    report = [].append if losses is None else losses.append
    return Bank(form, first, optimiser, shared, first_only, lambda wanted: None, report)


def step(
    bank: Bank, source: torch.Tensor, target: torch.Tensor, grouping: Grouping
) -> tuple[torch.Tensor, torch.Tensor]:
    """What it predicts and the losses; one call from patch 15 on."""
    if hasattr(bank, "step"):
        stepped = bank.step(source, target, grouping)
        assert stepped.read is stepped.predicted, "the source has the same type"
        return stepped.predicted, stepped.losses
    predicted, seen = bank.predict(source, grouping)
    return predicted, bank.train(seen, target, grouping)


def check_learning(form: Network, optimiser: Optimiser) -> None:
    """Prompts with unequal and changing numbers of rows learn as each would alone, in torch."""
    generator = torch.Generator().manual_seed(1)
    bank = bank_of(form, optimiser)
    models = [Autograd(form, form.first(3, None, False, 1.0)) for _ in range(3)]
    optimisers = [torch_optimiser(optimiser, model) for model in models]
    for rows in ([0, 0, 0, 1, 2, 2], [2, 0, 0], [1], [0, 1, 0, 1, 2], [2, 2, 1]) * 3:
        source, target = (torch.randn(len(rows), HIDDEN, generator=generator) for _ in range(2))
        grouping = bank.group(rows)
        predicted, losses = step(bank, source, target, grouping)
        for prompt in sorted(set(rows)):
            mine = [row for row, owner in enumerate(rows) if owner == prompt]
            found = models[prompt](source[mine])
            assert torch.allclose(predicted[mine], found, atol=1e-5), (form, optimiser)
            loss = torch.nn.functional.mse_loss(found, target[mine])
            assert torch.allclose(losses[bank.slots.find(prompt)], loss, rtol=1e-4)
            optimisers[prompt].zero_grad()
            loss.backward()
            if optimiser.clip is not None:
                torch.nn.utils.clip_grad_norm_(models[prompt].parameters(), optimiser.clip)
            optimisers[prompt].step()
            assert torch.allclose(bank.state(prompt).parameters, models[prompt].flat(), atol=2e-5), (form, optimiser)


def check_shared_and_first_rows() -> None:
    """One distiller for all prompts; and one row a prompt, with its prediction used for the prompt's other rows."""
    source, target = torch.randn(2, 5, HIDDEN, generator=torch.Generator().manual_seed(2))
    rows = [4, 9, 4, 4, 9]
    shared = bank_of(FORMS[0], OPTIMISERS[0], shared=True)
    grouping = shared.group(rows)
    predicted, losses = step(shared, source, target, grouping)
    assert len(shared.slots) == 1 and shared.capacity == 1
    assert torch.allclose(losses[0], torch.nn.functional.mse_loss(predicted, target), rtol=1e-5)
    first = bank_of(FORMS[0], OPTIMISERS[0], first_only=True)
    grouping = first.group(rows)
    predicted, losses = step(first, source, target, grouping)
    assert torch.equal(predicted[[0, 1]][[0, 1, 0, 0, 1]], predicted)
    for prompt, row in ((4, 0), (9, 1)):
        expected = torch.nn.functional.mse_loss(predicted[row], target[row])
        assert torch.allclose(losses[first.slots.find(prompt)], expected, rtol=1e-5)


def check_memory() -> None:
    """The bank holds the prompts in flight, frees what it does not need; a new prompt starts with fresh weights."""
    requested: list[int] = []
    form, optimiser = FORMS[0], OPTIMISERS[0]
    bank = Bank(form, form.first(3, None, False, 0.0), optimiser, False, False, requested.append, [].append)
    bank.group([0])
    assert bank.capacity == 1
    bank.group(list(range(10)))
    assert bank.capacity == 10 and requested
    before = {prompt: bank.state(prompt).parameters for prompt in range(10)}
    bank.group(list(range(11)))
    assert 11 <= bank.capacity <= 13, "a bank that grows takes a quarter more, no more"
    assert all(torch.equal(bank.state(prompt).parameters, before[prompt]) for prompt in before)
    grouping = bank.group([3] * 4)
    source = torch.randn(4, HIDDEN)
    step(bank, source, source + 1, grouping)
    learnt = bank.state(3)
    assert learnt.steps == 1 and learnt.square.any()
    for prompt in range(4, 11):
        bank.release(prompt)
    assert bank.capacity <= 8 and torch.equal(bank.state(3).parameters, learnt.parameters)
    bank.release(3)
    bank.group([50])
    fresh = bank.state(50)
    assert (
        torch.equal(fresh.parameters, form.first(3, None, False, 0.0)) and not fresh.square.any() and fresh.steps == 0
    )
    for prompt in (0, 1, 2, 50):
        bank.release(prompt)
    assert bank.capacity == 0


class Largest(TorchDispatchMode):
    """Records the largest tensor allocated under it, in numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        result = function(*arguments, **(named or {}))
        given = (*arguments, *(named or {}).values())
        known = {storage_of(value) for value in given if isinstance(value, torch.Tensor)}
        for value in result if isinstance(result, tuple) else (result,):
            if isinstance(value, torch.Tensor) and storage_of(value) not in known:  # no view
                self.numbers = max(self.numbers, value.numel())
        return result


def storage_of(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def check_step_memory() -> None:
    """No step allocates anything of a distiller's size: the peak is what the bank holds, and a matrix at most."""
    form = Network(HIDDEN, 2, 500, True, False, False)
    source, target = torch.randn(2, 3, HIDDEN)
    for optimiser in OPTIMISERS:
        bank = bank_of(form, optimiser)
        grouping = bank.group([0, 1, 2])
        with Largest() as largest:
            step(bank, source, target, grouping)
        assert largest.numbers <= HIDDEN * 500, (optimiser, largest.numbers)


def check_no_number() -> None:
    """A NaN gradient trains nothing; a NaN prediction leaves its row unchanged, and is counted."""
    source = torch.ones(2, HIDDEN)
    for spoilt in range(2):  # of the source and of the target
        for optimiser in OPTIMISERS:
            bank = bank_of(FORMS[0], optimiser)
            grouping = bank.group([0, 1])
            before = [bank.state(prompt) for prompt in (0, 1)]
            given = [source.clone(), source * 2]
            given[spoilt][0, 3] = float("nan")
            step(bank, given[0], given[1], grouping)
            after = [bank.state(prompt) for prompt in (0, 1)]
            assert [state.steps for state in after] == [0, 1]
            for found, expected in zip(after[0][:3], before[0][:3], strict=True):
                assert found is expected is None or torch.equal(found, expected), (optimiser, spoilt)
            assert not torch.equal(after[1].parameters, before[1].parameters)
    logits = torch.tensor([[1.0, 2.0, float("-inf")], [3.0, 1.0, 0.0], [5.0, 5.0, 5.0]])
    predicted = torch.tensor([[0.0, 0.0, 0.0], [float("nan"), 0.0, 0.0]])
    before = logits.clone()
    moved = intervene(logits, torch.tensor([0, 1]), torch.tensor([2.0, 1.0, 1.0]), 0.5, lambda part: predicted[part], 1)
    assert torch.equal(logits, torch.tensor([[1.5, 3.0, float("-inf")], [3.0, 1.0, 0.0], [5.0, 5.0, 5.0]]))
    assert [int(count) for count in moved] == [5, 2, 1]
    intervene(before, torch.tensor([0, 1, 2]), None, 0.0, lambda part: torch.randn(3, 3)[part], 2)
    assert torch.equal(before[0], torch.tensor([1.0, 2.0, float("-inf")])), "beta 0 changes no bit"


def check_first_weights() -> None:
    """Random ones of the wanted size, the same for the same seed; without a projection down the source is predicted."""
    form = FORMS[0]
    flat = form.first(5, None, False, 0.0)
    assert torch.equal(flat, form.first(5, None, False, 0.0)) and not torch.equal(flat, form.first(6, None, False, 0.0))
    state = torch.random.get_rng_state()
    form.first(5, None, False, 0.0)
    assert torch.equal(state, torch.random.get_rng_state()), "the engine's random numbers are not touched"
    large = Network(400, 1, 300, False, True, True)
    block = large.view(large.first(5, None, False, 0.7).unsqueeze(0)).blocks[0]
    for weights, spread in ((block.gate, 400**-0.5), (block.up, 400**-0.5), (block.down, 300**-0.5)):
        assert abs(weights.std().item() / spread - 1) < 0.01
    assert (block.bias == 0.7).all() and abs(large.first(5, 0.02, False, 0.0)[:9999].std().item() - 0.02) < 1e-3
    bank = Bank(form, form.first(5, None, True, 0.0), OPTIMISERS[0], False, False, lambda wanted: None, [].append)
    source = torch.randn(3, HIDDEN)
    predicted, _ = step(bank, source, source, bank.group([0, 0, 1]))
    assert torch.equal(predicted, form.prepare(source)) and torch.allclose(predicted.square().mean(-1), torch.ones(3))


def check_grouping() -> None:
    """Every row has a place of its own, its distiller's, and the weights of a distiller sum to 1."""
    numbers = np.random.default_rng(0)
    for _ in range(200):
        prompts = numbers.integers(0, 6, numbers.integers(1, 20))
        slots = numbers.permutation(6)[prompts]
        for first_only in (False, True):
            found = group(slots, prompts, first_only, CPU, *([int] if ROUNDED else []))
            assert len(set(found.places.tolist())) == len(found.places)
            assert torch.equal(found.serving // found.rows, torch.from_numpy(slots))
            assert torch.equal(found.places // found.rows, torch.from_numpy(slots)[found.taken])
            sums = found.weights.sum(1).flatten()
            assert torch.allclose(sums, found.active.flatten()) and found.slots == slots.max() + 1
            if first_only:
                firsts = [list(prompts).index(prompt) for prompt in sorted(set(prompts.tolist()))]
                assert found.taken.tolist() == firsts


def check_matrices_in_parts() -> None:
    """From patch 15 on a CPU takes a matrix that is larger than its cache in parts."""
    from esamp.method import arithmetic

    most, arithmetic.CACHED = arithmetic.CACHED, 2 * WIDTH + 1
    check_learning(FORMS[0], OPTIMISERS[0])
    arithmetic.CACHED = most


torch.manual_seed(0)
for form in FORMS:
    for optimiser in OPTIMISERS:
        check_learning(form, optimiser)
if ROUNDED:
    check_matrices_in_parts()
check_shared_and_first_rows()
check_memory()
check_step_memory()
check_no_number()
check_grouping()
check_first_weights()
