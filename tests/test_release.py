"""One release has one name, however it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from patchkit.errors import PatchkitError
from patchkit.release import release_name


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("0.20", "0.20.0"),
        ("v0.20.0", "0.20.0"),
        ("0.20.0.0", "0.20.0"),
        ("0.10.1.1", "0.10.1.1"),
        ("1", "1.0.0"),
        ("0.20rc1", "0.20.0rc1"),
        ("0.20.post1", "0.20.0.post1"),
        ("0.20.1.dev5+g123", "0.20.1.dev5+g123"),
        ("0.20+cpu", "0.20.0+cpu"),
        ("1!0.20", "1!0.20.0"),
    ],
)
def test_names(written: str, name: str) -> None:
    assert release_name(written) == name


@given(
    st.from_regex(r"(\d!)?v?\d{1,2}(\.\d{1,2}){0,4}((a|rc)\d)?(\.post\d)?(\.dev\d)?(\+[a-z0-9]{1,3})?", fullmatch=True)
)
def test_a_name_is_the_same_release_and_its_own_name(written: str) -> None:
    try:
        name = release_name(written)
    except PatchkitError:
        return
    assert Version(name) == Version(written) and release_name(name) == name


def test_what_is_none() -> None:
    with pytest.raises(PatchkitError, match="is no vLLM release"):
        release_name("banana")
