"""The mutants of ESamp fit the trees of the releases that they name."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from patchkit.cli import commands
from patchkit.environments.lock import locked_releases

NEWEST = locked_releases("cpu")[-1]


@pytest.mark.parametrize(("release", "runner"), [("0.20.0", "v1"), ("0.25.1", "v1"), (NEWEST, "v1"), (NEWEST, "v2")])
def test_every_mutant_can_be_laid_out(release: str, runner: str) -> None:
    done = CliRunner().invoke(commands, ["mutants", "--vllm", release, "--runner", runner, "--check"])
    assert done.exit_code == 0, done.output
