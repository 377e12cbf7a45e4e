"""What tests of every package use."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have an environment variable not set for one test, whether it was or not."""

    def one(name: str) -> None:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)

    return one
