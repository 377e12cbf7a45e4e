"""What a runtime touches of vLLM, read off its own code: imports, monkey-patches, chains of attributes, calls.

The types of the parameters of a hook come from the vLLM method that it replaces, and from there they are followed
through the runtime's own functions and attributes. What no annotation shows (a model behind ``nn.Module``) the manifest
says under ``types``. A line that may touch vLLM and that neither lets follow is listed, never passed over.
"""

from __future__ import annotations

from collections.abc import Mapping

from patchkit.drift.code.statements import Reader
from patchkit.drift.inference import Inference
from patchkit.drift.package import Package, Universe, uncollected
from patchkit.drift.touch import CodeRead

ROUNDS = 8
"""Times that the code is read until nothing new is learned; each round follows a value one call further."""


@uncollected()
def read_code(runtime: Package, vllm: Package, types: Mapping[str, str]) -> CodeRead:
    """Every touch of ``runtime``'s code on ``vllm``, and every line that could not be followed.

    Args:
        types: what static reading cannot see: full name of an attribute or function -> annotation with full names.

    Raises:
        PatchkitError: a file of either is no Python that this Python can parse.
    """
    universe = Universe(runtime, vllm)
    inference = Inference(universe, types)
    modules = [module for module in map(runtime.module, _modules(runtime)) if module]
    reader = Reader(universe, inference, vllm.top)
    for _ in range(ROUNDS):
        reader = Reader(universe, inference, vllm.top, around=reader.around)
        for module in modules:
            reader.read(module)
        if not reader.news:
            break
    touches = sorted(reader.touches, key=lambda touch: (*_order(touch.place), touch.symbol))
    return CodeRead(tuple(touches), tuple(sorted(reader.unread(), key=lambda one: (*_order(one.place), one.why))))


def _modules(package: Package) -> list[str]:
    names = (path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in package.source.paths())
    return sorted(name for name in names if name.partition(".")[0] == package.top)


def _order(place: str) -> tuple[str, int]:
    file, _, line = place.rpartition(":")
    return file, int(line)
