"""The site of the repository's own evidence says of each release what `proven.yaml` says, by the gates as they are."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import made_site as made
import msgspec
import pytest

from patchkit.project import Project
from patchkit.report.site import render_site
from patchkit.report.site.sources import read_sources
from patchkit.report.site.trees import Trees
from patchkit.series.manifest import read_manifest

CHECKOUT = Path(__file__).parents[2]
PROJECT = Project(CHECKOUT, CHECKOUT / ".patchkit")
PALETTE = 3  # the type of colour in a PNG
LEGEND = "empty: not for this release or mode"


@pytest.fixture(scope="module")
def front() -> str:
    return render_site(read_sources(sorted((CHECKOUT / "evidence").glob("*.json"))), Trees(PROJECT))["index.html"]


def test_the_front_page_counts_the_proven_releases_of_the_table(front: str) -> None:
    table = read_manifest(CHECKOUT / "patches" / "esamp").table
    green = {proof.release for proof in table.proofs if proof.green}
    assert f"esamp is proven on {len(green)} of " in front
    assert len(re.findall(r'<tr class="green"', front)) == sum(proof.green for proof in table.proofs)


def test_the_picture_of_the_readme_is_of_this_evidence(front: str) -> None:
    (heading,) = re.findall(r"<h1>(.*?)</h1>", front)
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    assert f"![The front page of the site: {heading}](docs/images/site-overview.png)" in readme


@pytest.mark.parametrize(("name", "size"), [("site-overview.png", (1280, 900)), ("site-knockout.png", (1280, 800))])
def test_a_picture_is_small_and_has_a_palette(name: str, size: tuple[int, int]) -> None:
    content = (CHECKOUT / "docs" / "images" / name).read_bytes()
    assert struct.unpack(">IIBB", content[16:26]) == (*size, 8, PALETTE)
    assert len(content) < 60_000


def test_a_gate_that_is_not_for_a_release_is_empty_and_the_legend_says_so(front: str) -> None:
    assert LEGEND in front
    (row,) = re.findall(r'<tr class="green"><th scope="row"><a href="gate-0\.20\.0-cpu\.html">.*', front)
    assert 'title="served: not for this release or mode"' in row and "not run" not in row


class RealGates(Trees):
    """The project's own gates; all evidence stands for its tree."""

    def standing(self, evidence: object) -> Any:
        return "this tree"


def test_a_gate_of_the_release_that_was_not_run_leaves_the_release_unknown(tmp_path: Path) -> None:
    gates = RealGates(PROJECT).gates("esamp", "0.20.0")
    assert "served" not in gates and "served" in RealGates(PROJECT).gates("esamp", "0.26.0")
    assert "lifecycle" not in RealGates(PROJECT).gates("esamp", "0.26.0", "graphs")
    assert "streams" not in RealGates(PROJECT).gates("esamp", "0.26.0", "eager", "cpu")
    assert "streams" in RealGates(PROJECT).gates("esamp", "0.26.0", "graphs", "cuda")
    whole = made.gate("0.20.0")
    green = whole.verdicts[0]
    record = msgspec.structs.replace(
        whole, verdicts=[msgspec.structs.replace(green, scenario=name, passed=True) for name in gates]
    )
    fewer = msgspec.structs.replace(record, verdicts=record.verdicts[1:])
    for evidence, count in ((record, 1), (fewer, 0)):
        sources = read_sources(made.write(tmp_path, one=evidence))
        front = render_site(sources, RealGates(PROJECT))["index.html"]
        assert f"esamp is proven on {count} of 1 vLLM release" in front
