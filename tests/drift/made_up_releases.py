"""Packages that a test makes up: files by their paths, as a source."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from textwrap import dedent

from patchkit.drift.inference import Inference
from patchkit.drift.package import Package, Universe


class MadeUp:
    """A release that is a mapping of paths to text."""

    published = True

    def __init__(self, files: Mapping[str, str], release: str = "1.0") -> None:
        self.release, self.origin = release, "made up"
        self.files = {path: dedent(text) for path, text in files.items()}
        self.wanted: set[str] = set()

    def read(self, path: str) -> str | None:
        self.wanted.add(path)
        return self.files.get(path)

    def paths(self) -> Collection[str]:
        return list(self.files)


def inference_of(files: Mapping[str, str]) -> Inference:
    """Types in a made-up vLLM."""
    return Inference(Universe(Package(MadeUp(files), "vllm")))
