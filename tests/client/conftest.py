"""Nothing of the user's reaches these tests."""

from collections.abc import Callable

import pytest


@pytest.fixture(autouse=True)
def no_key(unset: Callable[[str], None]) -> None:
    unset("OPENAI_API_KEY")
