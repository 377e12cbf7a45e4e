"""A runtime's own observer, ``probe.py`` in its ``gates`` folder, loaded as package ``patchkit_probe``."""

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

PACKAGE = "patchkit_probe"


def load_probe(folder: str | None) -> Any | None:
    """The module ``patchkit_probe.probe`` of a folder; None if there is no folder."""
    if folder is None:
        return None
    load_package(folder)
    return importlib.import_module(f"{PACKAGE}.probe")


def prepare_probe(folder: str, runner: Any, settings: dict[str, Any]) -> None:
    """Let the probe of a folder put into a loaded model what must be there before it is compiled.

    Raises:
        ProbeError: the probe broke.
    """
    probe = load_probe(folder).Probe  # type: ignore[union-attr]
    if hasattr(probe, "prepare"):
        Guarded(probe, folder).prepare(runner, settings)


def load_package(folder: str) -> None:
    """Make a folder the package ``patchkit_probe``."""
    if PACKAGE not in sys.modules:
        spec = importlib.util.spec_from_loader(PACKAGE, None, is_package=True)
        assert spec is not None
        package = importlib.util.module_from_spec(spec)
        package.__path__ = [folder]
        sys.modules[PACKAGE] = package


class ProbeError(Exception):
    """A probe broke; the runtime is not at fault."""


class Guarded:
    """A probe whose exceptions are raised as :class:`ProbeError`; None in its place observes nothing."""

    def __init__(self, probe: Any | None, folder: str | None) -> None:
        self._probe, self._folder = probe, folder

    def __bool__(self) -> bool:
        return self._probe is not None

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any) -> Any:
            if self._probe is None:
                return None
            try:
                return getattr(self._probe, name)(*given)
            except Exception as error:
                raise ProbeError(f"the probe broke in {name}: {type(error).__name__}: {error}") from error

        return call


def where_in(folder: str | None, error: BaseException) -> str | None:
    """``probe.py:12 in sampled``: the innermost frame of a probe's error in its folder; None for any other error."""
    cause = error.__cause__ if isinstance(error, ProbeError) else None
    found, trace = None, cause.__traceback__ if cause else None
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if folder and path.is_relative_to(folder):
            found = f"{path.relative_to(folder)}:{trace.tb_lineno} in {trace.tb_frame.f_code.co_name}"
        trace = trace.tb_next
    return found
