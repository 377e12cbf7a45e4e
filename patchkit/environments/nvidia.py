"""Whether this host has an NVIDIA driver: asked in the same places as uv asks, before anything is downloaded."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

PROCESS_FILE = Path("/proc/driver/nvidia/version")
MODULE_FILE = Path("/sys/module/nvidia/version")
VERSION = re.compile(r"\b(\d+\.\d+(?:\.\d+)?)\b")
PATIENCE = 20  # seconds; the first call on a host wakes its cards


def nvidia_driver() -> str:
    """The version of the driver, e.g. ``580.95.05``; "" if there is none. UV_CUDA_DRIVER_VERSION comes first."""
    said = os.environ.get("UV_CUDA_DRIVER_VERSION", "").strip()
    return said or _of_file(MODULE_FILE) or _of_file(PROCESS_FILE) or _of_nvidia_smi()


def _of_file(place: Path) -> str:
    try:
        text = place.read_text(errors="replace")
    except OSError:
        return ""
    found = VERSION.search(text)
    return found[1] if found else ""


def _of_nvidia_smi() -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    asked = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    found = VERSION.search(said)
    return found[1] if found else ""
