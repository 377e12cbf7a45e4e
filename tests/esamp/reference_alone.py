"""Run inside an environment: the reference against gradients and optimisers that are written out here.

Usage: ``python reference_alone.py``; says nothing and exits with 0 if they agree.
"""

import math

import torch
from gates_package import load

reference = load("reference")
HIDDEN, ROWS, STEPS = 12, 5, 7
SETTINGS = [
    {"width": 6},
    {"width": 6, "clip": 0.01, "learning_rate": 1e-2},
    {"width": 6, "optimiser": "adamw", "weight_decay": 0.1, "clip": None},
    {"preset": "release", "width": 6},
    {"preset": "release", "width": 6, "optimiser": "sgd", "learning_rate": 0.1, "clip": 0.3},
    {"width": 6, "zero_down": False, "normalise_source": False},
    {"width": 6, "blocks": 3, "zero_down": False, "gate_bias": 0.5, "first_deviation": 0.3, "seed": 4},
]


def forward(parameters, x, method):
    """The prediction, from a flat list of parameters in the order that the runtime uses."""
    left = list(parameters)
    if method.normalise_source:
        x = x / (x.square().mean(1, keepdim=True) + 1e-6).sqrt()
    for _ in range(method.blocks):
        gate, up, down = left.pop(0), left.pop(0), left.pop(0)
        a = x @ gate + (left.pop(0) if method.gate_bias is not None else 0)
        x = x + ((a * torch.sigmoid(a)) * (x @ up)) @ down
    if not method.output_norm:
        return x
    centred = x - x.mean(1, keepdim=True)
    return centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt() * left.pop(0) + left.pop(0)


def step(parameters, moments, count, x, y, method):
    """One training step in float64; the formulas of Adam, AdamW and SGD as their papers have them."""
    wanted = [parameter.clone().requires_grad_() for parameter in parameters]
    loss = (forward(wanted, x, method) - y).square().mean()
    gradients = list(torch.autograd.grad(loss, wanted))
    norm = math.sqrt(sum(gradient.square().sum().item() for gradient in gradients))
    if method.clip is not None and norm > method.clip:
        gradients = [gradient * method.clip / (norm + 1e-6) for gradient in gradients]
    rate = method.learning_rate
    for at, gradient in enumerate(gradients):
        if method.optimiser == "adamw":
            parameters[at] = parameters[at] * (1 - rate * method.weight_decay)
        if method.optimiser == "sgd":
            parameters[at] = parameters[at] - rate * gradient
            continue
        mean, square = moments[at]
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient.square()
        moments[at] = mean, square
        root = (square / (1 - 0.999**count)).sqrt()
        parameters[at] = parameters[at] - rate * (mean / (1 - 0.9**count)) / (root + method.epsilon)
    return loss.item()


def agrees_with_formulas(settings) -> None:
    method = reference.read_settings(settings)
    distiller = reference.Distiller(HIDDEN, method)
    parameters = [value.detach().double() for value in distiller.network.in_order()]
    moments = [(torch.zeros_like(value), torch.zeros_like(value)) for value in parameters]
    for count in range(1, STEPS + 1):
        x, y = torch.randn(2, ROWS, HIDDEN)
        expected = forward(parameters, x.double(), method).float()
        close(distiller.predict(x), expected)
        expected = step(parameters, moments, count, x.double(), y.double(), method)
        assert math.isclose(distiller.train(x, y), expected, rel_tol=1e-4)
    state = distiller.state()
    close(state.parameters, torch.cat([value.flatten() for value in parameters]))
    assert state.steps == STEPS
    if method.optimiser == "sgd":
        assert state.mean is None and state.square is None
    else:
        close(state.mean, torch.cat([mean.flatten() for mean, _ in moments]))
        close(state.square, torch.cat([square.flatten() for _, square in moments]))


def close(found, expected) -> None:
    """As a whole: a gradient near 0 is rounding, and Adam makes a whole step of it."""
    assert (found.double() - expected.double()).norm() < 1e-4 * expected.norm(), (found, expected)


def first_weights_are_drawn_in_the_stated_order() -> None:
    method = reference.read_settings({"width": 5, "seed": 9})
    generator = torch.Generator().manual_seed(9)
    for zero_down in (False, True):  # where `down` is zero, nothing is drawn for it
        generator.manual_seed(9)
        expected = []
        for _ in range(2):
            for inputs, outputs in ((HIDDEN, 5), (HIDDEN, 5), (5, HIDDEN)):
                weights = torch.zeros(inputs, outputs)
                if inputs == HIDDEN or not zero_down:
                    weights.normal_(0, inputs**-0.5, generator=generator)
                expected.append(weights.flatten())
        method = reference.read_settings({"width": 5, "seed": 9, "zero_down": zero_down})
        assert torch.equal(reference.Distiller(HIDDEN, method).state().parameters, torch.cat(expected))
    x = torch.randn(3, HIDDEN) * 7
    predicted = reference.Distiller(HIDDEN, method).predict(x)
    torch.testing.assert_close(predicted, torch.nn.functional.rms_norm(x, (HIDDEN,), eps=1e-6))


def goes_on_from_a_state(settings) -> None:
    method = reference.read_settings(settings)
    one, other = reference.Distiller(HIDDEN, method), reference.Distiller(HIDDEN, method)
    x, y = torch.randn(2, ROWS, HIDDEN)
    for _ in range(3):
        one.train(x, y)
    other.load(one.state())
    for _ in range(2):
        assert one.train(x, y) == other.train(x, y)
    assert all(torch.equal(a, b) for a, b in zip(one.state()[:1], other.state()[:1], strict=True))
    assert one.state().steps == other.state().steps == 5


def what_is_not_finite_trains_nothing() -> None:
    distiller = reference.Distiller(HIDDEN, reference.read_settings({"width": 6}))
    x, y = torch.randn(2, ROWS, HIDDEN)
    distiller.train(x, y)
    before = distiller.state()
    bad = y.clone()
    bad[2, 3] = float("nan")
    assert math.isnan(distiller.train(x, bad))
    distiller.train(x, y * 1e25)  # the gradient's norm overflows
    after = distiller.state()
    assert all(torch.equal(a, b) for a, b in zip(before[:3], after[:3], strict=True)) and after.steps == 1


def works_in_inference_mode() -> None:
    with torch.inference_mode():
        x, y = torch.randn(2, ROWS, HIDDEN)
        distiller = reference.Distiller(HIDDEN, reference.read_settings({"width": 6}))
        first = distiller.train(x, y)
        for _ in range(20):
            last = distiller.train(x, y)
        assert last < first
        fresh = reference.Distiller(HIDDEN, reference.read_settings({"width": 6}))
        fresh.load(
            reference.State(*(value.clone() if torch.is_tensor(value) else value for value in distiller.state()))
        )
        fresh.train(x, y)


def prompts_learn_apart_or_together() -> None:
    prompts = [3, 5, 3, 5, 5]
    source, target = torch.randn(2, 5, HIDDEN)
    method = reference.read_settings({"width": 6})
    distillers = reference.Distillers(HIDDEN, method)
    alone = reference.Distiller(HIDDEN, method)
    losses = distillers.train(prompts, source, target)
    assert list(losses) == [3, 5] and losses[3] == alone.train(source[[0, 2]], target[[0, 2]])
    torch.testing.assert_close(distillers.predict(prompts, source)[[0, 2]], alone.predict(source[[0, 2]]))

    first = reference.Distillers(HIDDEN, reference.read_settings({"width": 6, "rows": "first"}))
    predicted = first.predict(prompts, source)
    assert torch.equal(predicted[0], predicted[2]) and torch.equal(predicted[1], predicted[4])
    alone = reference.Distiller(HIDDEN, method)
    assert first.train(prompts, source, target)[5] == alone.train(source[1:2], target[1:2])

    shared = reference.Distillers(HIDDEN, reference.read_settings({"width": 6, "shared": True}))
    alone = reference.Distiller(HIDDEN, method)
    assert math.isclose(shared.train(prompts, source, target)[0], alone.train(source, target), rel_tol=1e-6)
    assert len(shared.held) == 1


def intervention_by_hand() -> None:
    method = reference.read_settings({"beta": 0.5})
    filtered = torch.tensor([[2.0, float("-inf"), 1.0], [2.0, 0.0, 1.0], [2.0, 0.0, 1.0]])
    head = torch.tensor([[1.0, 0.0], [5.0, 5.0], [0.0, 4.0]])
    predicted = torch.tensor([[4.0, 1.0], [float("nan"), 1.0], [1.0, 1.0]])
    temperature = torch.tensor([2.0, 1.0, 1.0])
    pushed, left = reference.intervene(filtered, predicted, temperature, method, lambda rows: rows @ head.T)
    assert pushed[0].tolist() == [1.5 * 2 - 0.5 * 2, float("-inf"), 1.5 * 1 - 0.5 * 2]
    assert left.tolist() == [False, True, False] and torch.equal(pushed[1], filtered[1])
    plain, _ = reference.intervene(
        filtered, predicted, temperature, reference.read_settings({"beta": 0.0}), lambda rows: rows @ head.T
    )
    assert torch.equal(plain, filtered)
    cold = reference.read_settings({"beta": 0.5, "tempered": False})
    pushed, _ = reference.intervene(filtered, predicted, temperature, cold, lambda rows: rows @ head.T)
    assert pushed[0, 0].item() == 1.5 * 2 - 0.5 * 4


def an_unknown_setting_is_refused() -> None:
    for settings in ({"betta": 0.5}, {"preset": "papre"}):
        try:
            reference.read_settings(settings)
        except ValueError as error:
            assert "the reference knows no" in str(error)
        else:
            raise AssertionError(settings)


torch.manual_seed(0)
for given in SETTINGS:
    agrees_with_formulas(given)
    goes_on_from_a_state(given)
first_weights_are_drawn_in_the_stated_order()
what_is_not_finite_trains_nothing()
works_in_inference_mode()
prompts_learn_apart_or_together()
intervention_by_hand()
an_unknown_setting_is_refused()
