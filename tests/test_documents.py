"""Documents in YAML: the quick reader gives the values of the plain one, and the same words for what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from patchkit.documents import PlainLoader, QuickLoader, parse_yaml, read_yaml
from patchkit.errors import PatchkitError

CHECKOUT = Path(__file__).parents[1]
OURS = sorted(path for place in ("patches", "scenarios", "benchmarks") for path in (CHECKOUT / place).rglob("*.yaml"))

KEYS = st.one_of(st.text(max_size=6), st.sampled_from(["off", "on", "yes", "a b", "1", "~", "é"]))
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))


def test_libyaml_is_there_where_we_test() -> None:
    assert issubclass(QuickLoader, yaml.CSafeLoader)


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_our_own_documents_read_the_same(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert yaml.load(text, Loader=QuickLoader) == yaml.load(text, Loader=PlainLoader) == read_yaml(path)


@given(VALUES, st.booleans())
@settings(deadline=None)
def test_made_up_documents_read_the_same(value: object, flow: bool) -> None:
    text = yaml.safe_dump(value, allow_unicode=True, default_flow_style=flow)
    assert parse_yaml(text) == yaml.load(text, Loader=PlainLoader)


def test_a_key_is_a_text() -> None:
    assert parse_yaml("off: {on: off}\nyes: [no]\n") == {"off": {"on": False}, "yes": [False]}


@pytest.mark.parametrize(
    "text", ["a: [", "a: b: c", "\t- x", "!!python/object/apply:os.system [x]", "a: \x01", "*a", "@"]
)
def test_what_is_wrong_is_said_in_the_words_of_the_plain_reader(text: str) -> None:
    with pytest.raises(yaml.YAMLError) as plain:
        yaml.load(text, Loader=PlainLoader)
    with pytest.raises(yaml.YAMLError) as ours:
        parse_yaml(text)
    assert str(ours.value) == str(plain.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: 1\nb: [\n", "document.yaml: line 3: expected the node content.*; write it as YAML"),
        (b"\xff\xfe\x00", "document.yaml: not a text file in UTF-8; save the file as UTF-8"),
        (b"[" * 5000, r"not YAML that can be read \(RecursionError.*; write plain values"),
        (b"a: 2001-13-45", r"not YAML that can be read \(ValueError"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "document.yaml"
    path.write_bytes(content)
    with pytest.raises(PatchkitError, match=said) as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PatchkitError, match=r"cannot read .*none\.yaml: No such file.*; check the file"):
        read_yaml(tmp_path / "none.yaml")
