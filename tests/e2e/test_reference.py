"""The reference of ESamp by itself: against written-out formulas, and its probe on a runtime that is made up."""

from __future__ import annotations

import os
import subprocess

import pytest

from patchkit.environments import ensure

from .conftest import CHECKOUT, RELEASE


@pytest.mark.parametrize("script", ["reference_alone", "learning_measures", "probe_on_simulation"])
def test_the_gates_of_esamp_hold_what_they_promise(script: str) -> None:
    environment = ensure(RELEASE, "cpu")
    command = [str(environment.python), str(CHECKOUT / "tests" / "esamp" / f"{script}.py")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment.variables})
    assert done.returncode == 0, done.stderr
