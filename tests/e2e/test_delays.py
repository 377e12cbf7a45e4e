"""The worker's delays, in an environment's torch: no GPU is needed to see which streams are late and which never."""

from __future__ import annotations

import os
import subprocess

from patchkit.environments import ensure

from .conftest import CHECKOUT, RELEASE


def test_streams_are_late_where_torch_enters_and_leaves_them() -> None:
    environment = ensure(RELEASE, "cpu")
    command = [str(environment.python), str(CHECKOUT / "tests" / "worker" / "delays_alone.py")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment.variables})
    assert done.returncode == 0, done.stderr
