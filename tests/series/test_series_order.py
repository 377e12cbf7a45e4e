"""The order file, the manifest, and which patches a release gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import edit

from patchkit.errors import PatchkitError
from patchkit.project import Project
from patchkit.series import Series, load_manifest
from patchkit.series.manifest import read_manifest


def taken(toy: Path, release: str, *without: str) -> list[int]:
    return [choice.patch.number for choice in Series.load(toy).for_release(release, without) if choice.taken]


@pytest.mark.parametrize(
    ("release", "numbers"),
    [
        ("0.10.1.1", [4]),
        ("0.11.0rc1", [4]),
        ("0.11.0", [1, 4]),
        ("0.11.1", [1, 2, 4]),
        ("0.13.0", [1, 2, 4]),
        ("0.14.0", [1, 2, 3, 4]),
        ("99", [1, 2, 3, 4]),
    ],
)
def test_each_release_gets_its_patches_in_order(toy: Path, release: str, numbers: list[int]) -> None:
    assert taken(toy, release) == numbers


def test_each_choice_says_why(toy: Path) -> None:
    choices = Series.load(toy).for_release("0.12.0", ["2"])
    assert [choice.why for choice in choices] == [
        "vllm 0.12.0 is in >=0.11.0",
        "left out by --without",
        "vllm 0.12.0 is not in >=0.14.0",
        "every vllm needs it",
    ]


@pytest.mark.parametrize("selector", ["2", "02", "0002", "0002-Fix-tap-6", "0002-Fix-tap-6.patch"])
def test_a_patch_is_left_out_by_number_or_name(toy: Path, selector: str) -> None:
    assert taken(toy, "0.20.0", selector) == [1, 3, 4]


@pytest.mark.parametrize("selector", ["5", "", "Fix-tap-6", "x" * 99, "²"])
def test_an_unknown_patch_is_refused_with_those_there_are(toy: Path, selector: str) -> None:
    with pytest.raises(PatchkitError, match=r"no patch .*0001-Fix-tap-1, 0002-Fix-tap-6, 0003-.*, 0004-"):
        taken(toy, "0.20.0", selector)


def test_a_patch_that_another_needs_is_not_left_out_alone(toy: Path) -> None:
    with pytest.raises(PatchkitError, match=r"0003-Fix-tap-10 depends on 0001-Fix-tap-1.*--without 3"):
        taken(toy, "0.20.0", "1")
    assert taken(toy, "0.20.0", "1", "3") == [2, 4]
    assert taken(toy, "0.12.0", "1") == [2, 4]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("0002-Fix-tap-6.patch", "0009-gone.patch", "lists 0009-gone.patch, which is not in"),
        ("0002-Fix-tap-6.patch", "0001-Fix-tap-1.patch", "series:4: 0001-Fix-tap-1.patch is listed twice"),
        ("0002-Fix-tap-6.patch", "../0002-Fix-tap-6.patch", "series:4: "),
        ("0002-Fix-tap-6.patch", "0002-Fix-tap-6.patch -p0", "only -p1 may follow"),
        ("0001-Fix-tap-1.patch\n", "", "0003-Fix-tap-10 depends on 0001-Fix-tap-1, which is not listed"),
        (
            "0001-Fix-tap-1.patch\n0002-Fix-tap-6.patch\n0003-Fix-tap-10.patch\n",
            "0003-Fix-tap-10.patch\n0001-Fix-tap-1.patch\n",
            "0003-Fix-tap-10 depends on 0001-Fix-tap-1, which comes later",
        ),
        ("# the order", "\udcff", "not UTF-8"),
    ],
)
def test_a_malformed_order_is_refused(toy: Path, old: str, new: str, said: str) -> None:
    text = (toy / "series").read_text()
    assert old in text
    (toy / "series").write_bytes(text.replace(old, new).encode(errors="surrogateescape"))
    with pytest.raises(PatchkitError, match=said):
        Series.load(toy)


def test_numbers_are_unique(toy: Path) -> None:
    (toy / "0002-Fix-tap-6.patch").rename(toy / "0001-again.patch")
    edit(toy / "series", "0002-Fix-tap-6.patch", "0001-again.patch")
    with pytest.raises(PatchkitError, match="share a number"):
        Series.load(toy)


def test_a_missing_order_is_refused(toy: Path) -> None:
    (toy / "series").unlink()
    with pytest.raises(PatchkitError, match=r"cannot read .*series"):
        Series.load(toy)


def test_patches_outside_the_order_are_named(toy: Path) -> None:
    edit(toy / "series", "0004-Fix-tap-7.patch -p1", "")
    assert Series.load(toy).unlisted == ("0004-Fix-tap-7.patch",)


def test_the_manifest_is_read(project: Project) -> None:
    manifest = load_manifest(project, "toy")
    assert (manifest.package, manifest.start, manifest.proven) == ("toy", "toy:install", [])
    assert manifest.upstream_folder == project.patches / "toy" / "upstream" and len(manifest.pin) == 40


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: toy", "name: [toy", r"runtime.yaml: line \d+: expected .*; write it as YAML"),
        ("name: toy", "name: 2001-13-45", "not YAML"),
        ("name: toy", "name: toys", "name: `toys` is in toy/"),
        ("name: toy\n", "", "name: Object missing required field `name`"),
        ("name: toy", "name: toy\nnmae: x", "nmae: Object contains unknown field"),
        ("package: toy", "package: [1]", "package: Expected `str`, got `array`"),
        (
            "name: toy",
            'name: toy\nproven: ["0.20.0"]',
            "proven: is no longer .*; delete it; `patchkit prove`",
        ),
        ('developed_on: "0.10.1.1"', "developed_on: 0.20", "developed_on: Expected `str`, got `float`.*quote releases"),
        ('developed_on: "0.10.1.1"', "developed_on: pear", "developed_on: `pear` is no release"),
        ("start: toy:install", "start: toy.install", "start: `toy.install` is not of the form"),
        ("path: upstream", "path: ../../elsewhere", "upstream.path: .* leaves the folder"),
        ("path: upstream", "url: https://example.org/toy.git", "upstream: has tree, url; give path and tree"),
        ("  tree: ", "  tree: x", "upstream.tree: `x.* is not of the form"),
        ("  - vllm.v1", "  - torch.v1", "surface.wraps: `torch.v1.* is not of the form"),
    ],
)
def test_a_malformed_manifest_is_refused(toy: Path, old: str, new: str, said: str) -> None:
    edit(toy / "runtime.yaml", old, new)
    with pytest.raises(PatchkitError, match=said) as refusal:
        read_manifest(toy)
    assert "runtime.yaml" in str(refusal.value) and refusal.value.fix


@pytest.mark.parametrize(
    "content", [b"", b"- a\n- list\n", b"text", b"\xff\xfe", b"[" * 5000, b"!!python/object:os.x {}"]
)
def test_garbage_is_no_manifest(toy: Path, content: bytes) -> None:
    (toy / "runtime.yaml").write_bytes(content)
    with pytest.raises(PatchkitError, match=r"runtime\.yaml"):
        read_manifest(toy)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_no_manifest(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "runtime.yaml").write_bytes(content)
    with pytest.raises(PatchkitError):
        read_manifest(folder)


def test_patches_that_are_shipped_name_the_project_as_their_author() -> None:
    for file in sorted((Path(__file__).parents[2] / "patches" / "esamp").glob("*.patch")):
        assert "\nFrom: patchkit authors <authors@patchkit.invalid>\n" in file.read_text(encoding="utf-8"), file.name
