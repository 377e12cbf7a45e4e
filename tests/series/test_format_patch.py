"""Whatever ``git format-patch`` writes is read, gives the tree of ``git am``, and is exported unchanged."""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from toy import ENVIRONMENT, git

from patchkit.errors import PatchkitError
from patchkit.project import Project
from patchkit.series import Series, patched_tree
from patchkit.series.export import export

FIELDS = (
    "Drift: {number} (silent)\nSymbol: vllm.v1.worker.Worker\nApplies-To: vllm\nSymptom: rows differ\n"
    "Caught-By: gather_check: row 3\nForwarded: no\n"
)
Files = dict[str, tuple[bytes, bool]]
"""Content, and whether the file can be run, by path."""

NAMES = [
    "VERSION",
    "toy/__init__.py",
    "a file.py",
    "caf\u00e9.py",
    'in "quotes".py',
    "tab\tname",
    "back\\slash",
    "b dir/c.py",
]
LINES = [
    b"x",
    b"",
    b"- ",
    b"--",
    b"-- ",
    b"-- a/f",
    b"++ b/f",
    b"@@ -1 +1 @@",
    b"diff --git a/x b/x",
    b"From " + b"0" * 40,
]
MORE = [
    b"caf\xe9",
    "\u4e2d\u6587".encode(),
    b"one\x0ctwo\x1c\xc2\x85",
    b"a\rb",
    b"index 1..2",
    b"\\ No newline",
    b"rows[1]",
]

line = st.sampled_from([*LINES, *MORE])
text = st.builds(
    lambda lines, end, whole: end.join(lines) + (end if whole and lines else b""),
    st.lists(line, max_size=12),
    st.sampled_from([b"\n", b"\r\n"]),
    st.booleans(),
)
binary = st.binary(max_size=300).map(lambda content: b"\0" + content)
files = st.dictionaries(st.sampled_from(NAMES), st.tuples(st.one_of(text, text, binary), st.booleans()), max_size=5)
subjects = st.one_of(
    st.sampled_from(["Take the rows", "\u5b57" * 40, "A long subject " * 12 + "ends", "Fix: a=b, c?", "x" * 90]),
    st.text("abc \u00e9\u00df=?_:,.", min_size=1, max_size=100).map(lambda words: "S" + " ".join(words.split())),
)
trailers = st.sampled_from(
    [
        "",
        "Signed-off-by: Ada L\u00f6we <ada@example.org>\n",
        "\nCo-authored-by: Eve <eve@example.org>\nCo-Authored-By: Bob <bob@example.org>\n",
        "(cherry picked from commit " + "c" * 40 + ")\n",
        "Origin: upstream, https://example.org\nBug-Debian: https://example.org/7\nLast-Update: 2026-01-02\n",
    ]
)
commits = st.lists(st.tuples(subjects, trailers, files), min_size=1, max_size=3)
options = st.sampled_from(
    [
        (),
        ("--full-index",),
        ("--full-index", "--zero-commit", "--no-signature"),
        ("--no-stat", "-U1"),
        ("--stat", "--summary"),
        ("--attach",),
        ("--inline", "--summary", "--stat", "--full-index"),
        ("--attach=-- a b",),
        ("--src-prefix=a/", "--dst-prefix=b/"),
    ]
)


def lay(folder: Path, held: Files) -> None:
    """Make ``folder`` hold these files, and no others."""
    for path in [*folder.rglob("*")]:
        if path.is_file() and ".git" not in path.relative_to(folder).parts:
            path.unlink()
    for name, (content, runs) in held.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o755 if runs else 0o644)


def begin(folder: Path, held: Files) -> None:
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / ".git/info/attributes").write_text("* -text\n")
    lay(folder, held)
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "upstream")


def made(root: Path, first: Files, later: list[tuple[str, str, Files]], options: tuple[str, ...]) -> Project | None:
    """A project whose series ``git format-patch`` wrote; None if nothing was changed. ``root/work`` has the commits."""
    work, folder = root / "work", root / "patches" / "toy"
    begin(work, first)
    git(work, "tag", "base")
    tree = git(work, "rev-parse", "base^{tree}")
    for number, (subject, trailer, held) in enumerate(later, 1):
        lay(work, {**first, **held} if number % 2 else held)
        git(work, "add", "--all", "--force")
        message = f"{subject}\n\nWhy.\n\n{FIELDS.format(number=number)}{trailer}"
        subprocess.run(["git", "commit", "--quiet", "-m", message], cwd=work, env=ENVIRONMENT, capture_output=True)
    (folder / "upstream").mkdir(parents=True)
    git(work, "format-patch", "--quiet", *options, "-o", str(folder), "base")
    names = sorted(path.name for path in folder.glob("*.patch"))
    if not names:
        return None
    for at, name in enumerate(names, 1):  # git leaves out whatever is not ASCII; a name of ours has something
        (folder / name).rename(folder / f"{at:04}-change.patch")
    (folder / "series").write_text("".join(f"{at:04}-change.patch\n" for at in range(1, len(names) + 1)))
    lay(folder / "upstream", first)
    (folder / "runtime.yaml").write_text(
        f"name: toy\npackage: toy\nupstream:\n  path: upstream\n  tree: {tree}\n"
        'developed_on: "0.20.0"\nstart: toy:install\n'
    )
    return Project(root, root / ".patchkit")


def as_git_am(root: Path, patches: list[Path]) -> str:
    work = root / "work"
    git(work, "reset", "--quiet", "--hard", "base")
    command = ["git", "am", "--quiet", "--keep-cr", *map(str, patches)]
    done = subprocess.run(command, cwd=work, env=ENVIRONMENT, capture_output=True)
    assert done.returncode == 0, done.stderr
    return git(work, "rev-parse", "HEAD^{tree}")


ONE_LINE: Files = {"VERSION": (b"1\n", False), "a file.py": (b"caf\xe9\n", False)}
CHANGED: Files = {"VERSION": (b"2\n", True), "a file.py": (b"caf\xe9s\n", False)}
MANY = b"".join(b"line %d\n" % at for at in range(30))
MOVED_FROM: Files = {"toy/__init__.py": (MANY, False), "VERSION": (b"\0\1", False), "a file.py": (b"", False)}
MOVED_TO: Files = {"b dir/c.py": (MANY + b"more", False), "tab\tname": (b"\0\1", False), "a file.py": (b"", True)}


@given(files, commits, options)
@example(ONE_LINE, [("On a base", "", CHANGED)], ("--base=HEAD~1",))
@example(ONE_LINE, [("Signed", "", CHANGED)], ("--base=HEAD~1", "--signature=two\nlines"))
@settings(max_examples=25, phases=(Phase.explicit, Phase.generate))
@example(ONE_LINE, [("One line", "", CHANGED)], ())
@example(MOVED_FROM, [("Move", "", {}), ("Move on", "", MOVED_TO)], ())
@example(MOVED_FROM, [("Move", "", {}), ("Move on", "", MOVED_TO)], ("--attach",))
@example(ONE_LINE, [("Two parts \u5b57", "", CHANGED)], ("--inline", "--base=HEAD~1"))
def test_what_format_patch_writes(first: Files, later: list[tuple[str, str, Files]], options: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        project = made(root, first, later, options)
        if project is None:
            return
        patches = sorted((project.patches / "toy").glob("*.patch"))
        before = {path: path.read_bytes() for path in patches}
        tree = patched_tree(project, "toy", "0.20.0")
        assert git(tree.path, "rev-parse", "HEAD^{tree}") == as_git_am(root, patches)
        assert export(project.patches / "toy", tree.path) == []
        assert {path: path.read_bytes() for path in patches} == before
        for patch in Series.load(project.patches / "toy").patches:
            patch.path.write_bytes(bytes(patch))
        again = patched_tree(project, "toy", "0.20.0", into=root / "again")
        assert git(again.path, "rev-parse", "HEAD^{tree}") == git(tree.path, "rev-parse", "HEAD^{tree}")
        fields = [git(where.path, "log", "--format=%an|%aI|%s|%b") for where in (tree, again)]
        assert fields[0] == fields[1]


@pytest.mark.parametrize(
    ("option", "more"),
    [
        *itertools.product(["--summary", "--numstat", "--shortstat", "--compact-summary"], [(), ("--attach",)]),
        ("--dirstat", ()),  # git runs it into the boundary of an attachment, which then is none
    ],
)
def test_what_git_tells_of_a_diff_is_no_part_of_its_message(tmp_path: Path, option: str, more: tuple[str, ...]) -> None:
    options = (option, *more)
    project = made(tmp_path, MOVED_FROM, [("Move", "", MOVED_TO), ("Move on", "", CHANGED)], options)
    assert project
    patches = Series.load(project.patches / "toy").patches
    assert [patch.body.splitlines()[-1] for patch in patches] == ["Forwarded: no"] * 2
    assert all(patch.stat for patch in patches)
    tree = patched_tree(project, "toy", "0.20.0")
    assert tree.hash == as_git_am(tmp_path, [patch.path for patch in patches])
    assert export(project.patches / "toy", tree.path) == []


prefixes = st.sampled_from(
    [
        ("--no-prefix",),
        ("--src-prefix=x/", "--dst-prefix=y/"),
        ("--src-prefix=old/x/", "--dst-prefix=new/x/"),
        ("--src-prefix=a/", "--dst-prefix=a/"),
        ("--dst-prefix=c/",),
        ("--no-prefix", "--attach"),
    ]
)


@given(files, commits, prefixes)
@settings(max_examples=10, phases=(Phase.explicit, Phase.generate))
@example({"a/f": (MANY, False)}, [("Move", "", {"b/f": (MANY, False)})], ("--no-prefix",))
@example({"a/f": (b"1", False)}, [("Change", "", {"a/f": (b"2", False)})], ("--no-prefix",))
@example({"VERSION": (b"1", False)}, [("Add", "", {"VERSION": (b"1", False), "N": (b"", False)})], ("--no-prefix",))
def test_other_prefixes_are_refused_in_one_line(
    first: Files, later: list[tuple[str, str, Files]], options: tuple[str, ...]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = made(Path(folder), first, later, options)
        if project is None:
            return
        with pytest.raises(PatchkitError, match="the paths do not begin with a/ and b/") as error:
            Series.load(project.patches / "toy")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "setting", ["diff.noprefix=true", "diff.mnemonicPrefix=true", "format.attach=x", "diff.srcPrefix=x/"]
)
@pytest.mark.parametrize("options", [("--no-prefix",), ("--src-prefix=x/", "--dst-prefix=y/")])
def test_the_command_that_a_refusal_advises_writes_a_patch_that_is_taken(
    tmp_path: Path, setting: str, options: tuple[str, ...]
) -> None:
    project = made(tmp_path, ONE_LINE, [("Change it", "", CHANGED)], options)
    assert project
    with pytest.raises(PatchkitError) as error:
        Series.load(project.patches / "toy")
    (command,) = re.findall("`(git format-patch [^`]*)`", error.value.fix or "")
    git(tmp_path / "work", "config", *setting.split("="))
    (name,) = git(tmp_path / "work", *shlex.split(command)[1:]).splitlines()
    place = project.patches / "toy" / "0001-change.patch"
    place.write_bytes((tmp_path / "work" / name).read_bytes())
    tree = patched_tree(project, "toy", "0.20.0")
    assert tree.hash == git(tmp_path / "work", "rev-parse", "HEAD^{tree}")


def test_an_export_heeds_no_prefixes_of_the_trees_own_settings(tmp_path: Path) -> None:
    project = made(tmp_path, ONE_LINE, [("Change it", "", CHANGED)], ())
    assert project
    tree = patched_tree(project, "toy", "0.20.0")
    for setting, value in (("diff.noprefix", "true"), ("format.attach", "x")):
        git(tree.path, "config", setting, value)
    (tree.path / "VERSION").write_bytes(b"3\n")
    git(tree.path, "commit", "--quiet", "--all", "--amend", "--no-edit")
    assert [path.name for path in export(project.patches / "toy", tree.path)] == ["0001-change.patch"]
    assert b"\ndiff --git a/VERSION b/VERSION\n" in (project.patches / "toy/0001-change.patch").read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "Content-Transfer-Encoding: 8bit\nContent-Disp",
            "Content-Transfer-Encoding: base64\nContent-Disp",
            "in base64",
        ),
        ("Content-Type: text/x-patch", "Content-Type: image/png", "a part that is image/png"),
        ("2.2.2--\n", "2.2.2\n", "not the two parts"),
        ('; boundary="------------2.2.2"', "", "not the two parts"),
    ],
)
def test_a_mail_in_other_parts_is_refused_in_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    project = made(tmp_path, ONE_LINE, [("Change it", "", CHANGED)], ("--attach=2.2.2",))
    assert project
    place = project.patches / "toy" / "0001-change.patch"
    written = place.read_bytes().replace(b'"2.2.2"', b'"------------2.2.2"')
    assert old.encode() in written
    place.write_bytes(written.replace(old.encode(), new.encode(), 1))
    with pytest.raises(PatchkitError, match=said) as error:
        Series.load(project.patches / "toy")
    assert "\n" not in str(error.value)
