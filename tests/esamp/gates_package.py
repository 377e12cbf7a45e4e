"""Load the gates of ESamp as the worker does: as the package ``patchkit_probe``, which holds no vLLM."""

import importlib.util
import sys
from pathlib import Path

GATES = Path(__file__).resolve().parents[2] / "patches" / "esamp" / "gates"


def load(name: str):
    """A module of the gates by its name."""
    if "patchkit_probe" not in sys.modules:
        spec = importlib.util.spec_from_loader("patchkit_probe", loader=None, is_package=True)
        package = importlib.util.module_from_spec(spec)
        package.__path__ = [str(GATES)]
        sys.modules["patchkit_probe"] = package
    return importlib.import_module(f"patchkit_probe.{name}")
