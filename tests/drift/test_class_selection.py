"""Which class is made for a model, by rules of the forms that vLLM has had, on made-up sources."""

from __future__ import annotations

from textwrap import dedent, indent

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_releases import inference_of

from patchkit.drift.class_selection import Selection, SelectionInputs, selected

LLAMA = SelectionInputs("LlamaForCausalLM", "cuda")
RUNNERS = {
    "vllm/__init__.py": "",
    "vllm/triton.py": "HAS_TRITON = find()\n",
    "vllm/envs.py": "NEW: bool | None = None\nOLD: bool = False\n",
    "vllm/runner.py": "class GPUModelRunner: ...\n",
    "vllm/cpu_runner.py": "from vllm.runner import GPUModelRunner\nclass CPUModelRunner(GPUModelRunner): ...\n",
    "vllm/second.py": "class GPUModelRunner: ...\n",
}
CONFIG = """
from vllm import envs
from vllm.triton import HAS_TRITON
DEFAULT = frozenset({{"LlamaForCausalLM"}})
class Model:
    architectures: list[str]
    heads: int = 8
class Config:
    model: Model = None
    extra: "Extra | None" = None
    def __init__(self):
        self.a = [self.a, self.b, self.b]
        self.b = [self.a, self.b, self.a]
    @property
    def use_second(self) -> bool:
{rule}
    def unsupported(self):
        missing = []
        if self.extra is not None:
            missing.append("extra")
        return missing
class Extra: ...
"""
WORKER = """
from vllm.config import Config
from vllm.runner import GPUModelRunner
class Worker:
    def __init__(self, config: Config):
        self.use_second = config.use_second
    def init_device(self):
        if self.kind == "cuda":
            prepare()
        else:
            raise ValueError
        if self.use_second:
            from vllm.second import GPUModelRunner as Second
            self.model_runner = Second(self)
        else:
            self.model_runner = GPUModelRunner(self)
"""


def choose(rule: str, circumstances: SelectionInputs = LLAMA, worker: str = WORKER) -> Selection:
    config = CONFIG.format(rule=indent(dedent(rule).strip("\n"), "        "))
    inference = inference_of({**RUNNERS, "vllm/config.py": config, "vllm/worker.py": worker})
    by = "vllm.worker.Worker.init_device"
    found = selected(inference.universe, inference, "vllm.runner.GPUModelRunner", by, circumstances)
    assert found is not None
    return found


SECOND = {
    "said outright": "return True",
    "not set, listed": """
        if envs.NEW is not None:
            return envs.NEW
        architectures = getattr(self.model, "architectures", [])
        if not any(one in DEFAULT for one in architectures):
            return False
        return not self.model.is_moe
    """,
    "nothing speaks against it": """
        if not HAS_TRITON:
            return False
        unsupported = self.unsupported()
        if unsupported:
            return False
        return True
    """,
    "a number's default": "return self.model.heads > 4 and self.model.runner_type == 'generate'",
}


@pytest.mark.parametrize("rule", SECOND.values(), ids=SECOND)
def test_the_second_runner_is_chosen(rule: str) -> None:
    found = choose(rule)
    assert found.chosen == ("vllm.second.GPUModelRunner",)
    assert found.place == "worker.py:14"


FIRST = {
    "off by default": "return envs.OLD",
    "not listed": "return 'Other' in DEFAULT",
    "an unknown switch": "return self.nobody_knows",
    "a set without it": "return any(one in DEFAULT - {'LlamaForCausalLM'} for one in self.model.architectures)",
}


@pytest.mark.parametrize("rule", FIRST.values(), ids=FIRST)
def test_the_first_runner_is_chosen(rule: str) -> None:
    assert choose(rule).chosen == ("vllm.runner.GPUModelRunner",)


def test_models_and_devices_are_told_apart() -> None:
    rule = SECOND["not set, listed"]
    assert choose(rule, SelectionInputs("Qwen2ForCausalLM", "cuda")).chosen == ("vllm.runner.GPUModelRunner",)
    assert choose(SECOND["nothing speaks against it"], SelectionInputs("Any", "cpu")).chosen == (
        "vllm.runner.GPUModelRunner",
    )


def test_what_decided_is_told_with_its_place() -> None:
    rule = choose(SECOND["not set, listed"]).rule
    assert rule[-1] == "self.use_second is true (worker.py:12)"
    assert any(line.startswith("not self.model.is_moe is true (config.py:") for line in rule)


def test_what_was_not_known_is_told() -> None:
    assert any("nobody_knows" in guess for guess in choose(FIRST["an unknown switch"]).guessed)


def test_the_class_is_found_in_a_method_that_is_called_and_returns_early() -> None:
    worker = """
from vllm.config import Config
class Worker:
    def __init__(self, config: Config):
        self.use_second = config.use_second
    def init_device(self):
        self.prepare()
    def prepare(self):
        self.model_runner = self.make()
    def make(self):
        if self.use_second:
            from vllm.second import GPUModelRunner as Second
            return Second(self)
        from vllm.cpu_runner import CPUModelRunner
        return CPUModelRunner(self)
"""
    assert choose("return True", worker=worker).chosen == ("vllm.second.GPUModelRunner",)
    assert choose("return False", worker=worker).chosen == ("vllm.cpu_runner.CPUModelRunner",)


BASE = """
from vllm.config import Config
from vllm.runner import GPUModelRunner
from vllm.second import GPUModelRunner as Second
class Base:
    def __init__(self, config: Config):
        self.use_second = config.use_second
    def init_device(self):
        self.model_runner = self.make()
    def make(self):
        return Second(self)
class Worker(Base):
    def make(self):
        return GPUModelRunner(self)
"""


def test_a_method_of_the_class_that_runs_is_followed_not_the_one_of_its_parent() -> None:
    assert choose("return True", worker=BASE).chosen == ("vllm.runner.GPUModelRunner",)


@pytest.mark.parametrize(
    "made",
    [
        "self.model_runner = (Second if self.use_second else GPUModelRunner)(self)",
        "self.model_runner = Second(self) if self.use_second else GPUModelRunner(self)",
        "kind = Second if self.use_second else GPUModelRunner\n        self.model_runner = kind(self)",
    ],
)
def test_a_class_that_is_chosen_by_an_expression(made: str) -> None:
    worker = BASE.replace("self.model_runner = self.make()", made)
    assert choose("return True", worker=worker).chosen == ("vllm.second.GPUModelRunner",)
    assert choose("return False", worker=worker).chosen == ("vllm.runner.GPUModelRunner",)


def test_a_rule_that_is_nested_too_deep_leaves_both() -> None:
    found = choose("return " + " + ".join(["1"] * 900))
    assert len(found.chosen) == 2 or found.guessed


def test_nothing_is_chosen_where_nothing_is_made() -> None:
    inference = inference_of({**RUNNERS, "vllm/worker.py": "class Worker:\n    def init_device(self): ...\n"})
    by = "vllm.worker.Worker.init_device"
    assert selected(inference.universe, inference, "vllm.runner.GPUModelRunner", by, LLAMA) is None


SCRAPS = st.sampled_from(
    [
        "self.use_second",
        "self.model.heads[0]",
        "len(self.model.architectures)",
        "not envs.NEW",
        "[x for x in y]",
        "(self.unsupported() or (lambda: 1))",
        "(1 < self.model.heads < 9)",
        "f'{self.model}'",
        "all(z for z in DEFAULT)",
        "'a' + DEFAULT",
        "self.extra.extra.extra",
        "None",
        "self.a + self.b",
    ]
)


@given(st.lists(SCRAPS, min_size=1, max_size=4), st.sampled_from([" and ", " or ", " == ", " in ", " is not ", " - "]))
def test_any_rule_comes_to_an_end(scraps: list[str], between: str) -> None:
    assert choose(f"return {between.join(f'({scrap})' for scrap in scraps)}").chosen
