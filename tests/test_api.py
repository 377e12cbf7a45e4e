"""The public names: importable without torch, vLLM and openai, and as docs/api.md says."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import patchkit

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
LIGHT = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "vllm", "openai"}:
            raise ImportError(f"{name} is not there")
sys.meta_path.insert(0, Refuse())
import patchkit
assert [patchkit.VLLMClient, patchkit.Bench, patchkit.PassAtK]
try:
    patchkit.VLLMClient("http://localhost:8000")
except patchkit.errors.PatchkitError as error:
    print(error)
"""


def test_nothing_heavy_is_needed_to_import_them() -> None:
    ran = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert ran.stdout.count("\n") == 1 and "install patchkit again" in ran.stdout


def test_an_unknown_name_is_none() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = patchkit.Nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", sorted(set(patchkit.__all__) - {"__version__"}))
def test_the_page_has_every_public_method(name: str) -> None:
    kind = getattr(patchkit, name)
    assert f"## {name}" in PAGE
    for method in vars(kind):
        public = not method.startswith("_") and (inspect.isfunction(vars(kind)[method]))
        assert not public or re.search(rf"`[^`]*\b{method}\(", PAGE), f"{name}.{method} is not on the page"


def test_the_example_is_named_on_the_page() -> None:
    for name in re.findall(r"examples/\w+\.py", PAGE):
        assert (ROOT / name).is_file()
