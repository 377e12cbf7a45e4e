"""Run inside an environment with Triton: what CUDA runs of the method against its plain form, without vLLM.

Usage: ``python fused_alone.py FOLDER DEVICE``, the folder of the package ``esamp``; says nothing and exits with 0 if
all holds. On ``cpu`` the kernels run in Triton's interpreter (``TRITON_INTERPRET=1``); on ``cuda`` the bank replays its
graphs as well.
"""

import sys
from types import ModuleType

import torch

package = ModuleType("esamp")  # without its __init__, which imports vLLM
package.__path__ = [sys.argv[1]]
sys.modules["esamp"] = package

from esamp.engine.readout import counting  # noqa: E402
from esamp.method.arithmetic import Arithmetic  # noqa: E402
from esamp.method.bank import Bank  # noqa: E402
from esamp.method.candidates import intervene_on_candidates  # noqa: E402
from esamp.method.fused import MOST_ROWS, FusedArithmetic  # noqa: E402
from esamp.method.fused_readout import intervene_in_tiles  # noqa: E402
from esamp.method.graph_bank import GraphBank  # noqa: E402
from esamp.method.intervention import intervene  # noqa: E402
from esamp.method.network import Network  # noqa: E402
from esamp.method.optimisers import Optimiser  # noqa: E402

DEVICE = torch.device(sys.argv[2])
ON_CUDA = DEVICE.type == "cuda"
HIDDEN, WIDTH = 72, 40  # of which no tile is a divisor
WIDE = 80  # of which Triton knows that it is a multiple of 16, so that it reads several numbers at once
FORMS = [Network(HIDDEN, 2, WIDTH, True, False, False), Network(HIDDEN, 1, WIDTH, False, True, True)]
RULES = [
    Optimiser("adam", 1e-2, 1e-4, 0.0, 0.5),
    Optimiser("adam", 1e-2, 1e-4, 0.0, None),
    Optimiser("adamw", 1e-2, 1e-4, 0.1, 0.05),
]
CLOSE = {"rtol": 2e-3, "atol": 2e-4}  # of numbers that went through some steps of Adam
# Rows of each prompt, a step after the other: some begin, wait and end; the last has one prompt with more than a tile.
STEPS = [[1, 2, 3], [1, 2, 0, 5], [0, 2, 4, 0], *[[3, 2, 4, 0]] * (4 if ON_CUDA else 1), [MOST_ROWS + 6, 1]]


def banks(form: Network, rule: Optimiser, shared: bool, first_only: bool) -> tuple[Bank, Bank]:
    """The bank as CUDA has it, or as near to it as this device comes, and the plain one."""
    first = form.first(0, None, False, 0.1).to(DEVICE)
    given = form, first, rule, shared, first_only, lambda _: None, lambda _: None
    fast, plain = (GraphBank if ON_CUDA else Bank)(*given), Bank(*given)
    # Private, since a device has one arithmetic: before there is a distiller.
    fast._arithmetic, plain._arithmetic = FusedArithmetic(form, rule), Arithmetic(form, rule)
    return fast, plain


def learn_alike(form: Network, rule: Optimiser, shared: bool, first_only: bool) -> None:
    """Both banks predict, lose and hold the same after every step."""
    generator = torch.Generator().manual_seed(5)
    fast, plain = banks(form, rule, shared, first_only)
    mixing = torch.randn(HIDDEN, HIDDEN, generator=generator) / 9
    for number, counts in enumerate(STEPS):
        prompts = [prompt for prompt, rows in enumerate(counts) for _ in range(rows)]
        source = torch.randn(len(prompts), HIDDEN, generator=generator)
        target = (source @ mixing).to(DEVICE)
        source = source.to(DEVICE)
        found = []
        for bank in (fast, plain):
            grouping = bank.group(prompts)
            stepped = bank.step(source, target, grouping)
            bank.await_prediction()
            predicted = stepped.predicted.clone()  # beside the training
            assert torch.equal(stepped.read, predicted.to(source.dtype))
            bank.join()
            slots = [bank.slots.find(prompt) for prompt in sorted(set(prompts))]
            found.append((predicted, stepped.losses[slots].clone(), [bank.state(prompt) for prompt in set(prompts)]))
        what = f"{form} {rule} shared={shared} first_only={first_only} step {number}"
        torch.testing.assert_close(*(one[0] for one in found), **CLOSE, msg=lambda text, what=what: f"{what}: {text}")
        torch.testing.assert_close(*(one[1] for one in found), **CLOSE, msg=lambda text, what=what: f"{what}: {text}")
        for ours, theirs in zip(*(one[2] for one in found), strict=True):
            assert ours.steps == theirs.steps, what
            for one, other in zip(ours[:3], theirs[:3], strict=True):
                torch.testing.assert_close(one, other, **CLOSE, msg=lambda text, what=what: f"{what}: {text}")
    for bank in (fast, plain):
        bank.release(1)
        assert bank.state(1) is None or shared


def come_again_alike() -> None:
    """As many prompts as before, which come where those were, learn nothing from what is left of them."""
    both = banks(FORMS[0], RULES[0], False, False)
    source = torch.randn(6, HIDDEN, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    target = source * 2  # kept: a step reads it beside what follows
    for first in (0, 3, 6, 9):
        prompts = [first, first + 1, first + 2] * 2
        for bank in both:
            grouping = bank.group(prompts)
            for _ in range(4 if ON_CUDA else 1):
                bank.step(source, target, grouping)
        for prompt in prompts[:3]:
            ours, theirs = (bank.state(prompt) for bank in both)
            assert ours.steps == theirs.steps, (prompt, ours.steps, theirs.steps)
            torch.testing.assert_close(ours.parameters, theirs.parameters, **CLOSE)
            for bank in both:
                bank.release(prompt)
        assert all(bank.capacity < 3 for bank in both), "memory of prompts that have ended is kept"


def forget_a_prompt_that_is_no_number() -> None:
    """A gradient that is none leaves its distiller as it was, and the others learn."""
    fast, plain = banks(FORMS[0], RULES[0], False, False)
    source = torch.ones(3, HIDDEN, device=DEVICE)
    source[0] = float("nan")
    target = source * 2  # kept: a step reads it beside what follows
    for bank in (fast, plain):
        grouping = bank.group([0, 1, 1])
        bank.step(source, target, grouping)
    for prompt, steps in ((0, 0), (1, 1)):
        ours, theirs = fast.state(prompt), plain.state(prompt)
        assert ours.steps == theirs.steps == steps, (prompt, ours.steps, theirs.steps)
        torch.testing.assert_close(ours.parameters, theirs.parameters, **CLOSE)


def move_alike(
    dtype: torch.dtype, tempered: bool, kept: int, beta: float, moved_rows: int = 69, hidden: int = HIDDEN, off: int = 0
) -> None:
    """The readout in tiles, that of candidates, and the dense one move the same logits to the same place.

    ``off``: numbers by which the predictions begin beside an address that Triton calls aligned.
    """
    generator = torch.Generator().manual_seed(kept)
    requests, vocabulary = 70, 1003
    head = (torch.randn(vocabulary + 21, hidden, generator=generator) / 9).to(DEVICE, dtype)
    logits = torch.randn(requests, vocabulary, generator=generator) * 3
    places = logits.topk(kept).indices
    filtered = torch.full_like(logits, float("-inf")).scatter(1, places, logits.gather(1, places)).to(DEVICE)
    rows = torch.arange(1, requests, device=DEVICE)[-moved_rows:].clone()  # at an aligned address
    numbers = torch.randn(off + len(rows) * hidden, generator=generator).to(DEVICE, dtype)
    predicted = numbers[off:].view(len(rows), hidden)
    predicted[3:4] = float("nan")
    temperature = torch.linspace(0.5, 2.0, requests, device=DEVICE) if tempered else None
    wanted, weights = filtered.clone(), head[:vocabulary].float()
    most = [
        int(count)
        for count in intervene(wanted, rows, temperature, beta, lambda part: predicted[part].float() @ weights.T)
    ]
    tolerance = {"rtol": 1e-4, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 0.0, "atol": 0.05}
    for run in (intervene_in_tiles, counting(intervene_on_candidates)):
        moved, counts = filtered.clone(), torch.full((3,), 5, device=DEVICE)
        run(moved, rows, temperature, beta, predicted=predicted, head=head, counts=counts)
        candidates, changed, intact = (counts - 5).tolist()
        what = f"{run.__name__} {dtype} tempered={tempered} kept={kept} beta={beta} rows={moved_rows} off={off}"
        assert torch.equal(moved.isfinite(), wanted.isfinite()), what
        survive = wanted.isfinite()
        torch.testing.assert_close(
            moved[survive], wanted[survive], **tolerance, msg=lambda text, w=what: f"{w}: {text}"
        )
        stay = [0, *rows[3:4].tolist()]
        assert torch.equal(moved[stay], filtered[stay]), f"{what}: a row that must stay was moved"
        assert (candidates, intact) == (most[0], most[2]), what
        assert bool(beta) == bool(changed), what


learn_alike(FORMS[0], RULES[0], False, False)
learn_alike(FORMS[0], RULES[1], True, False)
learn_alike(FORMS[1], RULES[2], False, False)
learn_alike(FORMS[0], RULES[0], False, True)
forget_a_prompt_that_is_no_number()
come_again_alike()
for beta in (1, 0.5, 2, 0):  # a kernel that is kept must not be one for this number alone
    move_alike(torch.float32, True, 7, beta)
for moved_rows, off in ((1, 0), (16, 1), (16, 0), (65, 1), (1, 1), (64, 0)):  # nor for a count or an address
    move_alike(torch.float32, True, 7, 0.5, moved_rows, WIDE, off)
for dtype in (torch.float32, torch.bfloat16 if ON_CUDA else torch.float16):  # the interpreter multiplies no bfloat16
    for tempered, kept, beta in ((True, 7, 0.25), (False, 1003, 0.4), (True, 1, 0.0)):
        move_alike(dtype, tempered, kept, beta)
