"""Run inside an environment: every check of the guards accepts what vLLM passes, and refuses anything else.

Usage: ``python shapes_against_values.py CHECKS.py``; says nothing and exits with 0 if that is so.
"""

import importlib.util
import sys
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import torch

# Loaded by its path, with a vLLM that has a version and nothing else: importing the real one takes long.
sys.modules["vllm"] = SimpleNamespace(__version__="0.99.0+cpu")
spec = importlib.util.spec_from_file_location("checks", sys.argv[1])
checks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(checks)

Owner = namedtuple("Owner", "prompt sample")
TOKENS = {"a": 3, "b": 1, "c": 4}
LAST = torch.tensor([2, 3, 7], dtype=torch.int32)


def batch(**changes):
    columns = {name: np.array([0, 5, 0, 0], dtype=np.int32) for name in checks.COLUMNS}
    return SimpleNamespace(**({"num_reqs": 3, "req_ids": ["a", "b", "c", None], **columns} | changes))


def book(owners):
    return SimpleNamespace(owner=owners.get)


def refuses(naming, look, *given):
    """The check must fail, in one line that names release and symbol."""
    try:
        look(*given)
    except checks.Drifted as error:
        line = str(error)
        assert line.startswith(f"esamp on vLLM 0.99.0: {naming} "), line
        assert "\n" not in line
        return
    raise AssertionError(f"{look.__name__} took {given}")


checks.check_batch(batch(), TOKENS)
TOKENS_OF = "SchedulerOutput.num_scheduled_tokens"
refuses(TOKENS_OF, checks.check_batch, batch(), list(TOKENS.items()))
refuses(TOKENS_OF, checks.check_batch, batch(), TOKENS | {"d": 1})
refuses(TOKENS_OF, checks.check_batch, batch(), {"a": 3, "b": 1})
refuses(TOKENS_OF, checks.check_batch, batch(), TOKENS | {"a": (3, 0)})
for name in checks.COLUMNS:
    for column in (None, [0, 5, 0], np.zeros(3), np.zeros(2, dtype=np.int32), np.zeros((3, 1), dtype=np.int32)):
        refuses(f"InputBatch.{name}", checks.check_batch, batch(**{name: column}), TOKENS)

OWNERS = {"a": Owner(0, 0), "b": Owner(0, 1), "c": Owner(1, 0)}
ADDED = "OutputProcessor.add_request"
checks.check_owners(batch(), book(OWNERS), ADDED)
refuses(ADDED, checks.check_owners, batch(), book({"a": Owner(0, 0)}), ADDED)
refuses(ADDED, checks.check_owners, batch(), book(OWNERS | {"b": Owner(0, 0)}), ADDED)
refuses(ADDED, checks.check_owners, batch(), book(OWNERS | {"b": Owner(0, "1")}), ADDED)

assert checks.check_indices(batch(), TOKENS, LAST) == 8
for indices in (LAST.flip(0), LAST + 1, LAST[:2], LAST.float() + 0.5, LAST.unsqueeze(1), torch.tensor([3, 1, 4])):
    refuses("GPUModelRunner._prepare_inputs", checks.check_indices, batch(), TOKENS, indices)

assert checks.completes_a_prompt(batch(num_tokens_no_spec=np.array([9, 6, 9])), TOKENS)
assert not checks.completes_a_prompt(batch(num_tokens_no_spec=np.array([9, 7, 9])), TOKENS)


class Norm(torch.nn.Module):
    """A norm that returns ``made(x, residual)``."""

    def __init__(self, made):
        super().__init__()
        self.made = made

    def forward(self, x, residual=None):
        return self.made(x, residual)


def in_place(x, residual):
    """As vLLM's CUDA kernel: the sum lands in the residual's memory, the normalised rows in the input's."""
    residual += x
    x.copy_(residual / residual.norm())
    return x, residual


def watched(made, *given, tokens=8, dtype=torch.float32):
    tap = SimpleNamespace(norm=Norm(made), buffer=torch.zeros(4, 16), _forward=None)
    tap._forward = tap.norm.forward
    sums = []
    checks.watch_norm(tap, tokens, sums)
    given = [torch.randn(8, 16, generator=torch.Generator().manual_seed(seed)).to(dtype) for seed in range(len(given))]
    tap._forward(*given)
    assert tap._forward == tap.norm.forward, "it looks once"
    for name, wrong in sums:
        if wrong:
            checks.fail(name, "returned something else than (normalised, x + residual)")


for dtype in (torch.float32, torch.bfloat16):
    watched(lambda x, _: x / 2, "x", dtype=dtype)
    watched(lambda x, residual: ((x + residual) / 2, x + residual), "x", "residual", dtype=dtype)
    watched(in_place, "x", "residual", dtype=dtype)
for made, *given in (
    (lambda x, _: (x / 2, x), "x"),
    (lambda x, _: x[:4], "x"),
    (lambda x, _: x[:, :8], "x"),
    (lambda x, residual: x + residual, "x", "residual"),
    (lambda x, residual: (x + residual, (x + residual) / 2), "x", "residual"),
    (lambda x, residual: (x, residual), "x", "residual"),
    (lambda x, residual: (x, None), "x", "residual"),
):
    refuses("Norm.forward", watched, made, *given)
refuses("Norm.forward", lambda: watched(lambda x, _: x, "x", tokens=9))

RUNNER = SimpleNamespace(
    input_batch=batch(), model_config=SimpleNamespace(get_vocab_size=lambda: 32, get_hidden_size=lambda: 16)
)


def sampled(logits, temperature=None):
    checks.check_logits(logits, SimpleNamespace(all_greedy=temperature is None, temperature=temperature), RUNNER)


sampled(torch.zeros(3, 32))
sampled(torch.zeros(3, 40), torch.ones(3))
for logits in (torch.zeros(2, 32), torch.zeros(3, 31), torch.zeros(96), torch.zeros(3, 32, dtype=torch.int64)):
    refuses("Sampler.sample", sampled, logits)
for temperature in (torch.ones(4), torch.ones(3, 1), 0.8):
    refuses("SamplingMetadata.temperature", sampled, torch.zeros(3, 32), temperature)

checks.check_head(torch.zeros(3, 16), RUNNER)
for rows in (None, torch.zeros(2, 16), torch.zeros(3, 15), torch.zeros(3)):
    refuses("compute_logits", checks.check_head, rows, RUNNER)

IDS = torch.tensor([4, 5, 6])
assert checks.check_draw("S.sample", (IDS, None), 3) and checks.check_draw(
    "S.sample", (IDS.int(), torch.zeros(3, 32)), 3
)
assert not checks.check_draw("S.sample", IDS, 3)
for drawn in ((None, IDS), (IDS, None, None), (IDS,), IDS[:2], IDS.float(), IDS.unsqueeze(1), [4, 5, 6], None):
    refuses("S.sample", checks.check_draw, "S.sample", drawn, 3)
