"""What a model is, read off a made-up registry and classes; and what that makes of vLLM's choice of a runner."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_releases import MadeUp, inference_of

from patchkit.drift.class_selection import SelectionInputs, selected
from patchkit.drift.compare import compare
from patchkit.drift.model_traits import Model, Trait
from patchkit.drift.package import Package, Universe
from patchkit.drift.reading import read
from patchkit.series.manifest import Selected, Surface

FOLDER = "vllm/model_executor/models"
REGISTRY = """
_TEXT = {
    "DenseForCausalLM": ("dense", "DenseForCausalLM"),
    "DenseAliasForCausalLM": ("dense", "DenseForCausalLM"),
    "ExpertsForCausalLM": ("experts", "ExpertsForCausalLM"),
    "FactoryForCausalLM": ("vllm.models.factory", "FactoryForCausalLM"),
    "MixedForCausalLM": ("mixed", "MixedForCausalLM"),
    "StateForCausalLM": ("state", "StateForCausalLM"),
    "LatentForCausalLM": ("latent", "LatentForCausalLM"),
    "LostForCausalLM": ("lost", "LostForCausalLM"),
    "PartlyForCausalLM": ("partly", "PartlyForCausalLM"),
    "ForeignForCausalLM": ("foreign", "ForeignForCausalLM"),
    "EitherForCausalLM": ("either", "EitherForCausalLM"),
    "EitherMoeForCausalLM": ("either", "EitherForCausalLM"),
    "MarkedForCausalLM": ("either", "MarkedForCausalLM"),
    "DependsForCausalLM": ("depends", "DependsForCausalLM"),
    "WrapperForConditionalGeneration": ("wrapper", "Wrapper"),
    "WrapperMoeForConditionalGeneration": ("wrapper", "Wrapper"),
    "SureWrapper": ("wrapper", "SureWrapper"),
    "ListedWrapper": ("wrapper", "ListedWrapper"),
    "TestedWrapper": ("wrapper", "TestedWrapper"),
}
_ALL = {**_TEXT}
"""
FILES = {
    "vllm/__init__.py": "",
    "vllm/layers.py": "class FusedMoE: ...\nclass MLAAttention: ...\n",
    f"{FOLDER}/__init__.py": "",
    f"{FOLDER}/registry.py": REGISTRY,
    f"{FOLDER}/interfaces.py": """
        from typing import ClassVar
        class IsHybrid:
            is_hybrid: ClassVar[bool] = True
        class IsAttentionFree:
            is_attention_free: ClassVar[bool] = True
        class MixtureOfExperts: ...
    """,
    f"{FOLDER}/dense.py": """
        from transformers import LlamaConfig
        from vllm.layers import FusedMoE
        class Mlp: ...
        class DenseForCausalLM:
            def __init__(self): self.mlp = Mlp()
            def experts(self): return FusedMoE.make_expert_params_mapping()
            def split(self): return FusedMoEParallelConfig.flatten()
    """,
    f"{FOLDER}/experts.py": """
        from vllm.layers import FusedMoE
        from .interfaces import MixtureOfExperts
        class Block:
            def __init__(self): self.experts = FusedMoE(8)
        class Layer:
            def __init__(self, config): self.mlp = Block() if config.experts else None
        class Decoder:
            def __init__(self, config, layer=Layer): self.layers = [layer(config)]
        class ExpertsForCausalLM(MixtureOfExperts):
            model_class = Decoder
    """,
    "vllm/models/__init__.py": "",
    "vllm/models/factory.py": """
        from vllm.layers import FusedMoEFactory
        class FactoryForCausalLM:
            def __init__(self): self.experts = FusedMoEFactory.create(8)
    """,
    f"{FOLDER}/mixed.py": """
        from .interfaces import IsHybrid
        from .experts import ExpertsForCausalLM
        class MixedForCausalLM(ExpertsForCausalLM, IsHybrid): ...
    """,
    f"{FOLDER}/state.py": "from .interfaces import IsAttentionFree\nclass StateForCausalLM(IsAttentionFree): ...\n",
    f"{FOLDER}/latent.py": """
        from vllm.layers import MLAAttention
        class LatentForCausalLM:
            def __init__(self): self.attention = MLAAttention()
    """,
    f"{FOLDER}/partly.py": """
        from vllm.model_executor.models.elsewhere import Block, Base
        class PartlyForCausalLM(Base):
            def __init__(self): self.block = Block()
    """,
    f"{FOLDER}/foreign.py": """
        from .dense import DenseForCausalLM, LlamaConfig
        class ForeignForCausalLM(DenseForCausalLM):
            config_class = LlamaConfig
    """,
    f"{FOLDER}/either.py": """
        from vllm.layers import FusedMoE
        from .interfaces import MixtureOfExperts
        class Block:
            def __init__(self): self.experts = FusedMoE(8)
        class Mlp: ...
        def has_experts(config): return config.num_experts > 1
        class Layer:
            def __init__(self, config):
                if has_experts(config): self.mlp = Block()
                else: self.mlp = Mlp()
            def experts(self): return isinstance(self.mlp, Block)
        class EitherForCausalLM:
            layer: Layer = Layer
        class MarkedForCausalLM(EitherForCausalLM, MixtureOfExperts): ...
    """,
    f"{FOLDER}/depends.py": """
        from .interfaces import IsHybrid
        LAYERS = {"attention": None, "mamba": None}
        class DependsForCausalLM(IsHybrid):
            def __init__(self, config): self.layers = [LAYERS[one] for one in config.layer_types]
    """,
    f"{FOLDER}/wrapper.py": """
        from .utils import init_vllm_registered_model
        class Wrapper:
            def __init__(self, config): self.language_model = init_vllm_registered_model(hf_config=config.text_config)
        class SureWrapper(Wrapper):
            def sure(self): return init_vllm_registered_model(architectures=["ExpertsForCausalLM"])
        class ListedWrapper:
            def __init__(self): self.inner = init_vllm_registered_model(architectures=["DenseForCausalLM", "X"])
        class TestedWrapper:
            def __init__(self, config):
                if config.model_type == "experts": architectures = ["ExpertsForCausalLM"]
                else: architectures = ["DenseForCausalLM"]
                self.inner = init_vllm_registered_model(config, architectures=architectures)
    """,
    "vllm/config.py": """
        class ModelConfig:
            @property
            def is_hybrid(self) -> bool:
                layer_types = getattr(self.hf_config, "layer_types", None)
                return layer_types is None or not all(one == "attention" for one in layer_types)
    """,
}
TRUTH = {
    "DenseForCausalLM": set(),
    "DenseAliasForCausalLM": set(),
    "ExpertsForCausalLM": {"is_moe"},
    "FactoryForCausalLM": {"is_moe"},
    "MixedForCausalLM": {"is_moe", "is_hybrid"},
    "StateForCausalLM": {"is_attention_free"},
    "LatentForCausalLM": {"use_mla"},
    "ForeignForCausalLM": set(),
    "MarkedForCausalLM": {"is_moe"},
    "ListedWrapper": set(),
}
TRAITS = ("is_moe", "is_hybrid", "is_attention_free", "has_inner_state", "use_mla")


def universe(**more: str) -> Universe:
    files = {**FILES, **{f"{FOLDER}/{name}.py": text for name, text in more.items()}}
    return Universe(Package(MadeUp(files), "vllm"))


@pytest.mark.parametrize(("architecture", "has"), TRUTH.items(), ids=TRUTH)
def test_a_model_is_what_its_classes_say(architecture: str, has: set[str]) -> None:
    model = Model(universe(), architecture)
    traits = {name: model.trait(name) for name in TRAITS}
    assert {name for name, trait in traits.items() if trait.value} == has
    assert all(trait.place and not trait.guessed for trait in traits.values())


def test_the_place_of_the_layer_or_of_the_mark_is_given() -> None:
    model = Model(universe(), "MixedForCausalLM")
    assert model.trait("is_moe").place == "model_executor/models/experts.py:5"
    assert model.trait("is_hybrid").place == "model_executor/models/interfaces.py:4"


@pytest.mark.parametrize(
    ("architecture", "trait", "said"),
    [
        ("NobodyForCausalLM", "is_moe", "the registry names no class that was found"),
        ("LostForCausalLM", "is_hybrid", "the registry names no class that was found"),
        ("PartlyForCausalLM", "is_moe", "Base (model_executor/models/partly.py:3) was not found"),
        ("PartlyForCausalLM", "is_hybrid", "its base class Base was not found"),
        (
            "WrapperForConditionalGeneration",
            "is_moe",
            "the checkpoint names the model inside of it (model_executor/models/wrapper.py:4)",
        ),
        ("EitherForCausalLM", "is_moe", "only where `has_experts(config)` (model_executor/models/either.py:10)"),
        (
            "TestedWrapper",
            "is_moe",
            "`config.model_type == 'experts'` (model_executor/models/wrapper.py:11)",
        ),
    ],
)
def test_what_is_not_shown_is_guessed(architecture: str, trait: str, said: str) -> None:
    found = Model(universe(), architecture).trait(trait)
    assert not found.value and said in found.guessed


def test_experts_that_are_always_there_are_certain_whatever_else_is_inside() -> None:
    assert Model(universe(), "SureWrapper").trait("is_moe") == Trait(True, "model_executor/models/experts.py:5")


@pytest.mark.parametrize("architecture", ["EitherMoeForCausalLM", "WrapperMoeForConditionalGeneration"])
def test_a_model_that_has_experts_by_its_name_alone_is_guessed_to_have_them(architecture: str) -> None:
    found = Model(universe(), architecture).trait("is_moe")
    assert found.value and "taken for one by its name" in found.guessed


def test_a_hybrid_that_a_checkpoint_may_unsay_is_guessed() -> None:
    found = Model(universe(), "DependsForCausalLM").trait("is_hybrid")
    assert found.value and "depends on `layer_types` of the checkpoint (config.py:4)" in found.guessed
    assert not Model(universe(), "MixedForCausalLM").trait("is_hybrid").guessed  # it knows no layer "attention"


def test_a_model_class_that_names_itself_in_a_circle_comes_to_an_end() -> None:
    named = "    x = DenseForCausalLM\n    y = StateForCausalLM\n"
    circle = f"from .state import StateForCausalLM\nclass DenseForCausalLM:\n{named}"
    state = "from .dense import DenseForCausalLM\nclass StateForCausalLM:\n    x = DenseForCausalLM\n"
    assert not Model(universe(dense=circle, state=state), "DenseForCausalLM").trait("is_moe").value


RULE = {
    "vllm/config.py": """
        class Model:
            architectures: list[str]
        class Config:
            model: Model = None
            @property
            def second(self) -> bool:
                if getattr(self.model, "is_hybrid", False): return False
                if getattr(self.model, "is_attention_free", False): return False
                return not self.model.is_moe
    """,
    "vllm/runner.py": "class GPUModelRunner: ...\n",
    "vllm/second.py": "class GPUModelRunner: ...\n",
    "vllm/worker.py": """
        from vllm.config import Config
        from vllm.runner import GPUModelRunner
        class Worker:
            def __init__(self, config: Config):
                self.second = config.second
            def init_device(self):
                if self.second:
                    from vllm.second import GPUModelRunner as Second
                    self.model_runner = Second(self)
                else:
                    self.model_runner = GPUModelRunner(self)
    """,
}
RUNNER, BY = "vllm.runner.GPUModelRunner", "vllm.worker.Worker.init_device"


@pytest.mark.parametrize(
    ("architecture", "runner"),
    [
        ("DenseForCausalLM", "second"),
        ("ExpertsForCausalLM", "runner"),
        ("FactoryForCausalLM", "runner"),
        ("MixedForCausalLM", "runner"),
        ("StateForCausalLM", "runner"),
    ],
)
def test_the_runner_is_chosen_by_what_the_model_is(architecture: str, runner: str) -> None:
    inference = inference_of({**FILES, **RULE})
    found = selected(inference.universe, inference, RUNNER, BY, SelectionInputs(architecture, "cuda"))
    assert found is not None and found.chosen == (f"vllm.{runner}.GPUModelRunner",) and not found.guessed
    assert any(f" of {architecture} is " in line for line in found.rule)


def test_a_model_of_which_nothing_is_known_is_listed_as_guessed() -> None:
    inference = inference_of({**FILES, **RULE})
    found = selected(inference.universe, inference, RUNNER, BY, SelectionInputs("NobodyForCausalLM", "cuda"))
    assert found is not None
    assert [guess for guess in found.guessed if guess.startswith("is_moe of NobodyForCausalLM")]


def test_what_is_not_known_of_a_model_is_no_guess_where_the_choice_is_the_same_either_way() -> None:
    rule = RULE["vllm/config.py"].replace("return not self.model.is_moe", "return self.model.is_moe or True")
    chosen = []
    for text in (RULE["vllm/config.py"], rule):
        inference = inference_of({**FILES, **RULE, "vllm/config.py": text})
        found = selected(inference.universe, inference, RUNNER, BY, SelectionInputs("EitherForCausalLM", "cuda"))
        assert found is not None
        chosen.append((found.chosen, bool(found.guessed)))
    assert chosen == [(("vllm.second.GPUModelRunner",), True), (("vllm.second.GPUModelRunner",), False)]


def test_models_with_experts_move_in_the_release_that_drops_the_exception() -> None:
    dropped = RULE["vllm/config.py"].replace("return not self.model.is_moe", "return True")
    models = ["DenseForCausalLM", "ExpertsForCausalLM"]
    surface = Surface(selected={RUNNER: Selected(by={"cuda": BY}, architectures=models)})
    old = read(surface, Package(MadeUp({**FILES, **RULE}, "1.0"), "vllm"))
    new = read(surface, Package(MadeUp({**FILES, **RULE, "vllm/config.py": dropped}, "1.1"), "vllm"), old)
    (found,) = [one for one in compare(surface, old, new) if one.severity == "silent"]
    assert found.kind == "selection-changed" and "ExpertsForCausalLM" in found.sentence
    assert "DenseForCausalLM" not in found.sentence


@given(st.text(max_size=60))
def test_no_text_of_a_registry_stops_the_reading(text: str) -> None:
    files = {
        **FILES,
        f"{FOLDER}/registry.py": f"A = {{'X': {text!r}, 'Y': ('m', {text!r}), 3: 4, **z}}\nB: dict = {{}}\n",
    }
    trait = Model(Universe(Package(MadeUp(files), "vllm")), "Y").trait("is_moe")
    assert trait.guessed and not trait.value
