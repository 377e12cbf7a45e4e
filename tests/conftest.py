"""What tests of every package use."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import settings

settings.register_profile("no deadline", deadline=None)  # an example may wait for a busy machine
settings.load_profile("no deadline")
# No repository of a test has to outlive a power cut: git need not wait for the disk at each of thousands of commits.
_settings = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
os.environ[f"GIT_CONFIG_KEY_{_settings}"], os.environ[f"GIT_CONFIG_VALUE_{_settings}"] = "core.fsync", "none"
os.environ["GIT_CONFIG_COUNT"] = str(_settings + 1)


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have an environment variable not set for one test, whether it was or not."""

    def one(name: str) -> None:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)

    return one
