"""The hash of a tree's code: it stays where only words for readers changed, and changes with anything else."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchkit.series.code import code_hash, meaning

ROOT = Path(__file__).parents[2]
MODULES = sorted(path for path in (ROOT / "patchkit" / "series").glob("*.py") if path.stat().st_size > 500)
SOURCE = '''"""What it is for."""

class Tap:
    """Copies rows."""

    rows = 4  # of a step

    def take(self, name: str = "a  # b") -> str:
        """Take them."""
        return f"{name!r:>{self.rows}}" "\\n"
'''


def made(folder: Path, **files: str) -> str:
    for name, text in files.items():
        (folder / name.replace("_dot_", ".")).write_text(text, encoding="utf-8")
    return code_hash(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("What it is for.", "What it does."),
        ("Copies rows.", "Copies\n\n    the rows."),
        ("  # of a step", ""),
        ('        """Take them."""\n', ""),
        ("\n\nclass", "\n# The tap.\nclass"),
        ("(self, name", "(\n        self, name"),
    ],
)
def test_words_for_readers_do_not_count(tmp_path: Path, old: str, new: str) -> None:
    assert SOURCE.count(old) == 1
    assert made(tmp_path, tap_dot_py=SOURCE) == made(tmp_path, tap_dot_py=SOURCE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rows = 4", "rows = 5"),
        ("rows = 4", "rows = 4.0"),
        ("rows = 4", 'rows = "4"'),
        ("rows = 4", "rows = True"),
        ('"a  # b"', '"a  # c"'),
        ('"a  # b"', 'b"a  # b"'),
        ("!r", "!s"),
        (":>", ":<"),
        ('"\\n"', '"\\\\n"'),
        ("name: str", "name: int"),
        ("return f", "f"),
        ("def take", "async def take"),
        ('        """Take them."""\n', '        x = """Take them."""\n'),
        ('        """Take them."""\n', '        """Take them."""\n        """And more."""\n'),
        ("class Tap", "class Top"),
    ],
)
def test_everything_else_does(tmp_path: Path, old: str, new: str) -> None:
    assert SOURCE.count(old) == 1
    assert made(tmp_path, tap_dot_py=SOURCE) != made(tmp_path, tap_dot_py=SOURCE.replace(old, new))


def test_documents_do_not_count_and_other_files_do(tmp_path: Path) -> None:
    first = made(tmp_path, tap_dot_py=SOURCE, README_dot_md="Short.")
    assert made(tmp_path, README_dot_md="Longer.") == first
    assert made(tmp_path, settings_dot_toml="a = 1") != first
    assert made(tmp_path, settings_dot_toml="a = 1  # one") != made(tmp_path, settings_dot_toml="a = 1")


def test_names_modes_and_links_count(tmp_path: Path) -> None:
    first = made(tmp_path, tap_dot_py=SOURCE, empty_dot_py="")
    (tmp_path / "tap.py").chmod(0o755)
    second = code_hash(tmp_path)
    (tmp_path / "empty.py").rename(tmp_path / "other.py")
    third = code_hash(tmp_path)
    (tmp_path / "other.py").unlink()
    (tmp_path / "other.py").symlink_to("tap.py")
    assert len({first, second, third, code_hash(tmp_path)}) == 4


def test_the_mode_of_any_file_counts(tmp_path: Path) -> None:
    first = made(tmp_path, settings_dot_toml="a = 1")
    (tmp_path / "settings.toml").chmod(0o755)
    assert code_hash(tmp_path) != first


def test_a_document_counts_where_python_names_it_and_its_presence_always(tmp_path: Path) -> None:
    first = made(tmp_path, tap_dot_py=SOURCE, prompt_dot_md="Be brief.", usage_dot_py="open('prompt.md').read()\n")
    assert made(tmp_path, prompt_dot_md="Be long.") != first
    second = made(tmp_path, README_dot_md="Short.")
    (tmp_path / "README.md").unlink()
    assert code_hash(tmp_path) != second


@pytest.mark.parametrize("how", ["import triton\n\n@triton.jit\ndef k(x):\n    return x\n", "x = __file__\n"])
def test_all_of_a_file_counts_whose_source_may_be_read(tmp_path: Path, how: str) -> None:
    assert made(tmp_path, kernels_dot_py=how) != made(tmp_path, kernels_dot_py=how + "# more\n")


def test_all_of_an_executable_file_counts(tmp_path: Path) -> None:
    made(tmp_path, run_dot_py="#!/usr/bin/env python3\nx = 1\n")
    (tmp_path / "run.py").chmod(0o755)
    first = code_hash(tmp_path)
    (tmp_path / "run.py").write_text("#!/bin/sh\nx = 1\n")
    assert code_hash(tmp_path) != first


@pytest.mark.parametrize("reader", ["usage.py", "usage"])
def test_docstrings_count_where_any_is_read(tmp_path: Path, reader: str) -> None:
    reading = made(tmp_path, tap_dot_py=SOURCE, **{reader: "import tap\nprint(tap.__doc__)\n"})
    changed = SOURCE.replace("What it is for.", "What it does.")
    assert made(tmp_path, tap_dot_py=changed) != reading
    assert made(tmp_path, tap_dot_py=SOURCE.replace("  # of a step", "")) == reading


@pytest.mark.parametrize("text", ["def broken(:\n", "x = '\0'\n", f"x = {'-' * 100_000}1\n"])
def test_what_cannot_be_parsed_counts_byte_by_byte(tmp_path: Path, text: str) -> None:
    assert meaning(text.encode(), docstrings=False) is None
    assert made(tmp_path, tap_dot_py=text) != made(tmp_path, tap_dot_py=text + "# more\n")


def without_comments(source: str) -> bytes:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return tokenize.untokenize(token for token in tokens if token.type != tokenize.COMMENT).encode()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_real_modules_mean_the_same_without_comments_and_in_another_layout(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    for docstrings in (True, False):
        found = meaning(source.encode(), docstrings)
        assert found is not None
        assert found == meaning(without_comments(source), docstrings)
        assert found == meaning(ast.unparse(ast.parse(source)).encode(), docstrings)


@given(st.sampled_from(MODULES), st.floats(0, 1, exclude_max=True))
def test_any_other_name_or_number_is_another_meaning(path: Path, where: float) -> None:
    source = path.read_text(encoding="utf-8")
    parsed = ast.parse(source)
    numbers = [node for node in ast.walk(parsed) if isinstance(node, ast.Constant) and isinstance(node.value, int)]
    names = [node for node in ast.walk(parsed) if isinstance(node, ast.Name)]
    place = [*numbers, *names][int(where * (len(numbers) + len(names)))]
    if isinstance(place, ast.Name):
        place.id += "_"
    else:
        place.value += 1.5
    assert meaning(source.encode(), docstrings=False) != meaning(ast.unparse(parsed).encode(), docstrings=False)
