"""Run inside an environment: the probe on an engine and a runtime that are made up, right and wrong in many ways.

The made-up runtime is batched over prompts (padded ``[prompts, rows, hidden]`` with one call of autograd), so that it
shares nothing with the reference. Usage: ``python probe_on_simulation.py``; silent and 0 if the probe is green on the
right runtime and red, for the right quantity, on every wrong one.
"""

import json
from types import SimpleNamespace
from typing import NamedTuple

import torch
from gates_package import load

probe = load("probe")
HIDDEN, VOCABULARY, WIDTH = 16, 40, 8
INF = float("inf")


class View(NamedTuple):
    count: int
    owners: list
    source: torch.Tensor
    index: torch.Tensor
    target: torch.Tensor
    predicted: torch.Tensor
    prompts: list
    losses: torch.Tensor
    state: object
    distillers: int
    bytes: int


class Norm(torch.nn.Module):
    def forward(self, x, residual=None):
        total = x if residual is None else x + residual
        normed = total / (total.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return normed if residual is None else (normed, total)


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.input_layernorm = Norm()
        self.mix = torch.nn.Parameter(torch.randn(HIDDEN, HIDDEN) / 4)

    def forward(self, x, residual):
        if residual is None:
            residual, x = x, self.input_layernorm(x)
        else:
            x, residual = self.input_layernorm(x, residual)
        return torch.tanh(x @ self.mix), residual


class Head(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(VOCABULARY, HIDDEN))


class LogitsProcessor(torch.nn.Module):
    org_vocab_size = VOCABULARY

    def forward(self, head, rows):
        return rows @ head.weight.T


class Model(torch.nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.model = torch.nn.Module()
        self.model.layers = torch.nn.ModuleList(Block() for _ in range(3))
        self.model.norm = Norm()
        self.lm_head, self.logits_processor = Head(), LogitsProcessor()
        self.to(dtype)

    def forward(self, x):
        residual = None
        for block in self.model.layers:
            x, residual = block(x, residual)
        return self.model.norm(x, residual)[0]


class Batched:
    """A runtime in miniature; ``wrong`` names what it gets wrong."""

    def __init__(self, model, method, capacity=64, wrong=""):
        self.model, self.method, self.wrong = model, method, wrong
        self.slots, self.state_of, self.last = {}, {}, None
        self.source = torch.zeros(capacity, HIDDEN, dtype=model.lm_head.weight.dtype)
        self.index = torch.zeros(capacity, dtype=torch.int64)
        self.steps = 0
        # Only the first weights come from the reference: they are part of the contract.
        self.first = load("reference").Distiller(HIDDEN, method).state().parameters.clone()

    def view(self):
        return self.last

    def observe(self, rows, source, target):
        """Predict and train; ``rows`` [(packed row, prompt, sample)] of the decode rows."""
        count, dtype = len(rows), self.source.dtype
        self.steps += 1
        if self.wrong == "stale row" and count > 2 and self.steps > 4:
            source = torch.cat([source[:1], source[:-1]])
        self.source[:count] = source
        self.index[:count] = torch.tensor([row for row, _, _ in rows])
        owners = [(prompt, sample) for _, prompt, sample in rows]
        if self.wrong == "swapped owners" and count > 1:
            owners[0], owners[-1] = owners[-1], owners[0]
        keys = [0 if self.method.shared else prompt for prompt, _ in owners]
        prompts = list(dict.fromkeys(keys))
        for key in prompts:
            none = torch.zeros_like(self.first)
            self.state_of.setdefault(key, [self.first.clone(), none, none.clone(), 0])
        x, y = self.source[:count].float(), target.float()
        width = max(keys.count(key) for key in prompts) if prompts else 0
        flat = (
            torch.stack([self.state_of[key][0] for key in prompts])
            if prompts
            else self.first.new_zeros(0, self.first.numel())
        )
        laid, wanted, weight = (torch.zeros(len(prompts), width, n) for n in (HIDDEN, HIDDEN, 1))
        places, first_of = [], {}
        for row, key in enumerate(keys):
            place = (prompts.index(key), sum(other == key for other in keys[:row]))
            places.append(place)
            laid[place], wanted[place] = x[row], y[row]
            learns = self.method.rows == "all" or owners[row][0] not in first_of
            first_of.setdefault(owners[row][0], place)
            weight[place] = float(learns)
        weight /= weight.sum(1, keepdim=True).clamp_min(1)
        if self.wrong == "sum for mean":
            weight *= width
        with torch.inference_mode(False), torch.enable_grad():
            leaf = flat.clone().requires_grad_()
            out = self.forward(leaf, laid.clone())
            losses = ((out - wanted.clone()).square().mean(2, keepdim=True) * weight.clone()).sum((1, 2))
            (gradient,) = torch.autograd.grad(losses.sum(), leaf) if prompts else (flat,)
        predicted = torch.stack([out[place] for place in places]).detach() if rows else x
        if self.method.rows == "first" and rows:
            predicted = torch.stack([out[first_of[prompt]] for prompt, _ in owners]).detach()
        if self.wrong != "untrained" and not (self.wrong == "stops learning" and self.steps > 6):
            self.descend(prompts, gradient)
        seen, losses = prompts, losses.detach()
        if self.method.shared and rows:  # the loss of all counts as each one's
            seen = list(dict.fromkeys(prompt for prompt, _ in owners))
            losses = losses.expand(len(seen))
        self.last = View(
            count, owners, self.source, self.index, target.to(dtype), predicted, seen, losses,
            self.state, len(self.state_of), 4 * len(self.state_of) * self.first.numel(),
        )  # fmt: skip
        return predicted

    def forward(self, flat, x):
        left, method = flat, self.method

        def take(*shape):
            nonlocal left
            size = torch.Size(shape).numel()
            part, left = left[:, :size], left[:, size:]
            return part.reshape(-1, *shape)

        if method.normalise_source:
            x = torch.nn.functional.rms_norm(x, (HIDDEN,), eps=1e-6)
        for _ in range(method.blocks):
            gate, up, down = take(HIDDEN, WIDTH), take(HIDDEN, WIDTH), take(WIDTH, HIDDEN)
            a = x @ gate
            if method.gate_bias is not None:
                a = a + take(1, WIDTH)
            x = x + (torch.nn.functional.silu(a) * (x @ up)) @ down
        if method.output_norm:
            x = torch.nn.functional.layer_norm(x, (HIDDEN,)) * take(1, HIDDEN) + take(1, HIDDEN)
        return x

    def descend(self, prompts, gradient):
        method = self.method
        for at, key in enumerate(prompts):
            p, mean, square, steps = self.state_of[key]
            norm = gradient[at].norm()
            if not torch.isfinite(norm) and self.wrong != "trains on nan":
                continue
            g = gradient[at]
            if method.clip is not None and self.wrong != "no clip":
                g = g * torch.clamp(method.clip / (norm + 1e-6), max=1.0)
            rate = method.learning_rate * (1.1 if self.wrong == "rate" else 1)
            if method.optimiser == "sgd":
                self.state_of[key] = [p - rate * g, mean, square, steps + 1]
                continue
            steps += 1
            mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
            if method.optimiser == "adamw" and self.wrong != "no decay":
                p = p * (1 - rate * method.weight_decay)
            corrected = (square / (1 - 0.999**steps)).sqrt() + method.epsilon
            p = p - rate * (mean / (1 - 0.9**steps)) / corrected
            self.state_of[key] = [p, mean, square, steps]

    def state(self, prompt):
        held = self.state_of.get(0 if self.method.shared else prompt)
        if held is None:
            return None
        none = self.method.optimiser == "sgd"
        return held[0].clone(), None if none else held[1].clone(), None if none else held[2].clone(), held[3]

    def push(self, filtered, predicted, decode, temperature):
        """The logits to draw from."""
        after, beta = filtered.clone(), self.method.beta
        divide = self.method.tempered and self.wrong != "temperature"
        for row, place in enumerate(decode):
            logits = self.model.logits_processor(self.model.lm_head, predicted[row].to(self.source.dtype)).float()
            if torch.isfinite(logits).all() and beta:
                survive = filtered[place] > -INF
                pushed = (1 + beta) * filtered[place] - beta * logits / (temperature[place] if divide else 1)
                after[place] = torch.where(survive, pushed, filtered[place])
                if self.wrong == "resurrects":
                    after[place] = pushed.nan_to_num(neginf=0.0)
        if self.wrong == "moves prefill":
            after += 0.001
        if self.wrong == "drops rows" and len(decode) > 5:
            after[decode[5:]] = filtered[decode[5:]]
        return after

    def release(self, prompt):
        if self.wrong != "leaks" and not self.method.shared:
            self.state_of.pop(prompt, None)


def run(settings, wrong="", dtype=torch.float32, device="cpu", poison=False, spoil=False):
    """A workload of 30 steps; returns the probe's report of each, and of the pass."""
    torch.manual_seed(3)
    model = Model(dtype)
    settings = {"width": WIDTH, **settings}
    method = load("reference").read_settings(settings)
    runtime = Batched(model, method, wrong=wrong)
    if wrong == "forgets beta":
        settings = settings | {"beta": 0.4}
    requests = {}
    engine = SimpleNamespace(held=requests.keys, model=model, device=device)
    watcher, seen = probe.Probe(runtime, settings, engine), []
    lives = {(prompt, sample): (prompt * 2, prompt * 2 + 6 + 3 * sample) for prompt in range(8) for sample in range(3)}
    for now in range(30):
        seen.append(step(now, lives, requests, watcher, runtime, model, method, spoil))
        if poison:
            watcher.poison()
        over = {prompt for prompt in range(8) if max(end for (p, _), (_, end) in lives.items() if p == prompt) == now}
        for prompt in over:
            runtime.release(prompt)
    json.dumps(seen)
    watcher.remove()
    return seen, watcher.end_pass()


@torch.inference_mode()
def step(now, lives, requests, watcher, runtime, model, method, spoil):
    """Requests prefill three tokens where their life begins, and then decode one a step."""
    rows, packed = [], 0
    for (prompt, sample), (start, end) in lives.items():
        name = f"{prompt}-{sample}"
        if now > end:
            requests.pop(name, None)
        if start <= now <= end:
            requests[name] = None
            tokens = 3 if now == start else 1
            packed += tokens
            rows.append(SimpleNamespace(request_id=name, prompt=prompt, sample=sample if sample else None, start=0,
                                        tokens=tokens, decode=now > start, samples=True, last=packed - 1))  # fmt: skip
    watcher.begin_step(SimpleNamespace(rows=rows))
    x = torch.randn(packed, HIDDEN, dtype=model.lm_head.weight.dtype)
    hooks, tapped = [], {}
    for name, tap in (("source", method.source), ("target", method.target)):
        if tap != "lm_head":
            kind, number = tap.split(":")
            at = int(number) % 3 + (kind == "output")
            norm = model.model.layers[at].input_layernorm if at < 3 else model.model.norm

            def keep(_, inputs, output, name=name, kind=kind):
                pair = output if isinstance(output, tuple) else (output, inputs[0])
                tapped[name] = pair[kind == "output"].clone()

            hooks.append(norm.register_forward_hook(keep))
    hidden = model(x)[[row.last for row in rows]]
    for hook in hooks:
        hook.remove()
    if spoil and now in (5, 12):
        tapped["source"][rows[1].last, 2] = float("nan")
        watcher._source._kept[[row.decode for row in rows][:2].count(True) - 1, 2] = float("nan")
    decode = [place for place, row in enumerate(rows) if row.decode]
    last = [rows[place].last for place in decode]
    target = hidden[decode] if method.target == "lm_head" else tapped["target"][last]
    of_rows = [(rows[place].last, rows[place].prompt, rows[place].sample or 0) for place in decode]
    predicted = runtime.observe(of_rows, tapped["source"][last], target)
    temperature = torch.tensor([1.0 if row.prompt % 3 == 0 else 0.5 + row.prompt / 10 for row in rows])
    filtered = model.logits_processor(model.lm_head, hidden).float() / temperature.unsqueeze(1)
    filtered[::2] = filtered[::2].masked_fill(filtered[::2] < 0, -INF)
    after = runtime.push(filtered, predicted, decode, temperature)
    watcher.sampled(SimpleNamespace(filtered=filtered, temperature=temperature, after=after, hidden=hidden,
                                    greedy=torch.tensor([row.prompt % 3 == 0 for row in rows])))  # fmt: skip
    return {"decode_rows": len(decode), "seen": watcher.end_step()}


def first_wrong(seen):
    for number, one in enumerate(seen):
        if one["seen"]["wrong"]:
            return number, one["seen"]["wrong"]
    return None, {}


def green(seen):
    number, wrong = first_wrong(seen)
    assert not wrong, (number, wrong)
    for one in seen:
        compared = one["seen"]["compared"]
        for quantity in ("source", "target", "credited", "predicted", "logits"):
            least = one["decode_rows"]
            assert compared.get(quantity, 0) >= least, (quantity, compared, least)


RIGHT = [
    {},
    {"preset": "release"},
    {"preset": "release", "optimiser": "sgd", "rows": "all"},
    {"shared": True},
    {"shared": True, "rows": "first", "source": "output:-1", "target": "output:1"},
    {"beta": 0.0},
]
for given in RIGHT:
    seen, observed = run(given, poison=True)
    green(seen)
    assert seen[0]["seen"]["mode"] == "free" and len(observed["learnt"]) == 8
    seen, _ = run(given, device="cuda")  # the device only chooses the mode here
    green(seen)
    assert seen[0]["seen"]["mode"] == "synchronised"
seen, _ = run({}, dtype=torch.bfloat16)
green(seen)
seen, _ = run({}, spoil=True)
green(seen)
assert sum(one["seen"]["kinds"].get("left", 0) for one in seen) == 2

FEEL = {"clip": 0.05, "learning_rate": 1e-2}  # so that little steps show
WRONG = {
    "stale row": ("source", FEEL),
    "swapped owners": ("credited", FEEL),
    "sum for mean": ("losses", FEEL),
    "untrained": ("predicted", FEEL),
    "stops learning": ("predicted", FEEL),
    "no clip": ("predicted", FEEL),
    "rate": ("predicted", FEEL),
    "no decay": ("predicted", {"preset": "release", "weight_decay": 0.1}),
    "temperature": ("logits", {}),
    "resurrects": ("logits", {}),
    "moves prefill": ("logits", {}),
    "drops rows": ("logits", {}),
    "forgets beta": ("logits", {}),
    "leaks": ("bank", {}),
}
for name, (quantity, given) in WRONG.items():
    for device in ("cpu", "cuda"):
        number, found = first_wrong(run(given, wrong=name, device=device)[0])
        expected = {quantity, "state"} if quantity == "predicted" else {quantity}
        assert expected & found.keys(), (name, device, number, found)
number, found = first_wrong(run({}, wrong="trains on nan", spoil=True)[0])
assert found, "a step on what is not finite went unseen"
