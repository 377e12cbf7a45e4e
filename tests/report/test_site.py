"""The site says all that the evidence says, takes nothing for markup, and calls nothing green that was not seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import html5lib
import made_accuracy
import made_site as made
import msgspec
import pytest
from made_evidence import evidence_of, green

from patchkit.errors import PatchkitError
from patchkit.report.site import build_site
from patchkit.report.site.sources import read_sources

Site = dict[str, str]
HOSTILE = "</title><script>alert(1)</script>\"'>\x1b[31m\u202e{{ 7*7 }}&"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return made.site(made.everything(tmp_path_factory.mktemp("evidence")))


def tree(html: str) -> Element:
    """A page, parsed as strictly as the standard allows; a parse error is a failure."""
    parsed: Element = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html)
    return parsed


def pages(site: Site) -> Iterator[tuple[str, Element]]:
    yield from ((name, tree(content)) for name, content in site.items() if name.endswith(".html"))


def words(html: str) -> str:
    """What a reader of the page reads, with single spaces."""
    return " ".join(" ".join(tree(html).itertext()).split())


def rows(html: str) -> list[str]:
    """The rows of a page's tables, as text."""
    return [" ".join(" ".join(row.itertext()).split()) for row in tree(html).iter("tr")]


def test_every_page_is_well_formed_and_has_a_title_of_its_own(site: Site) -> None:
    titles = {name: page.findtext(".//title") or "" for name, page in pages(site)}
    assert len(titles) > 10
    assert all(title.strip() for title in titles.values())
    assert len({*titles.values()}) == len(titles), titles
    for name, page in pages(site):
        assert len(list(page.iter("h1"))) == 1, name
        assert next(page.iter("html")).get("lang") == "en"


def test_every_link_leads_to_a_file_of_the_site_and_to_a_place_on_it(site: Site) -> None:
    ids = {name: [one.get("id") for one in page.iter() if one.get("id")] for name, page in pages(site)}
    assert all(len(found) == len({*found}) for found in ids.values())
    count = 0
    for name, page in pages(site):
        for link in page.iter("a"):
            target, _, place = (link.get("href") or "").partition("#")
            assert (target or name) in site, (name, link.get("href"))
            assert not place or place in ids[target or name], (name, link.get("href"))
            count += 1
    assert count > 100


def test_nothing_is_asked_of_a_network(site: Site) -> None:
    for name, content in site.items():
        assert not re.search(
            r"<(script|img|iframe|object|embed)|@import|url\(|//[a-z]", content.replace("xmlns", "")
        ), name
    for _, page in pages(site):
        for link in page.iter("link"):
            assert link.get("href") == "style.css"


def test_all_evidence_has_its_place(site: Site) -> None:
    front = words(site["index.html"])
    for file in ("newer", "older", "speed", "left_out", "wrong", "answers", "drifts", "looked", "theirs"):
        assert f"{file}.json" in front
        assert any(
            f"{file}.json" in words(content)
            for name, content in site.items()
            if name not in ("index.html", "style.css")
        )
    for page, text in {
        "gate-older.html": "resembles drift 7 (0007-Clear-the-tail)",
        "gate-newer.html": "7,675",
        "bench-speed.html": "ratio low 0.611",
        "knockout-left_out.html": "not caught: decode_shrink is green; expected decode_shrink: belong to no request",
        "mutants-wrong.html": "survived 1 gate",
        "drift.html": "patch 0005 does not apply",
        "throughput.html": "64",
        "accuracy.html": "M T, 30 problems 20.0% → 30.0% unknown it rises",
        "accuracy-answers.html": "arithmetic-2",
    }.items():
        assert text in words(site[page]), page


def test_a_red_gate_shows_its_reason_where_it_is_red_and_leads_to_it(site: Site) -> None:
    (cell,) = [cell for cell in tree(site["index.html"]).iter("td") if "red" in (cell.get("class") or "").split()]
    (link,) = cell.iter("a")
    assert link.get("href") == "gate-older.html#decode_shrink"
    assert "rows <past> the *tensor*: 100%" in "".join(link.itertext())


def test_the_front_page_counts_releases(site: Site) -> None:
    assert "esamp is proven on 1 of 5 vLLM releases, red on 1, unknown on 3" in words(site["index.html"])


def test_a_release_without_evidence_is_unknown(site: Site) -> None:
    (row,) = [row for row in rows(site["index.html"]) if row.startswith("0.23.0")]
    assert "unknown : no evidence on 3 releases : 0.23.0, 0.22.0, 0.21.0" in row
    assert "✓" not in row


@pytest.mark.parametrize("standing", ["another tree", "unknown tree"])
def test_evidence_that_is_not_of_this_tree_proves_nothing(tmp_path: Path, standing: str) -> None:
    found = made.site(made.everything(tmp_path), standing)  # type: ignore[arg-type]
    front = words(found["index.html"])
    assert "esamp is proven on 0 of 5 vLLM releases, unknown on 5" in front
    assert not [tag for tag in tree(found["index.html"]).iter("span") if "state green" in (tag.get("class") or "")]
    for page in ("gate-newer.html", "knockout-left_out.html", "mutants-wrong.html", "accuracy-answers.html"):
        assert f"Of {'an ' * standing.startswith('unknown')}{standing}." in words(found[page]), page
    assert standing in " ".join(rows(found["throughput.html"]))


def test_no_evidence_at_all_is_unknown_on_every_page() -> None:
    found = made.site([])
    assert "Nothing is known" in words(found["index.html"])
    for name, page in pages(found):
        assert "unknown: no evidence was given" in " ".join("".join(page.itertext()).split()), name
        assert "green" not in {*(tag.get("class") or "" for tag in page.iter("td"))}, name


def test_gates_that_were_not_run_are_not_green(tmp_path: Path) -> None:
    few = evidence_of("gate", [green("identity")])
    paths = made.write(tmp_path, one=made.gate("0.19.0"), two=few)
    found = made.site(paths)["index.html"]
    (row,) = [row for row in rows(found) if row.startswith("0.20.0")]
    assert "not run" in row and "1 of 2" in row
    assert "esamp is proven on 1 of 2 vLLM releases, unknown on 1" in words(found)


def test_a_run_of_some_gates_does_not_pass_for_one_of_all(tmp_path: Path) -> None:
    paths = made.write(tmp_path, few=evidence_of("gate", [green("identity")]))
    assert "esamp is proven on 1 of 1" in words(made.site(paths, gates=["identity"])["index.html"])
    front = made.site(paths, gates=["identity", "decode_shrink"])["index.html"]
    assert "esamp is proven on 0 of 1 vLLM release, unknown on 1" in words(front)
    assert any("not run" in row for row in rows(front))


def test_the_timeline_says_what_broke_when_and_what_fixes_it(site: Site) -> None:
    output = words(site["drift.html"])
    assert "3 steps from release to release, 2 with a break; 1 break unpatched, the first in vLLM 0.21.0" in output
    assert "silent Runner._prepare returns 2 values where it returned 6 fixed by 0005 Learn ids" in output
    assert "loud Sampler.draw is gone unpatched" in output
    assert output.count(f"no hook fires by default for {made.DEAD}") == 1


def test_what_drift_takes_for_proven_is_not_proven_by_evidence(site: Site) -> None:
    output = words(site["drift.html"])
    assert "0.20.0 ✓ proven" in output
    assert "0.21.0 ? unknown" in output


def test_throughput_stands_beside_the_rows_that_were_decoded(site: Site) -> None:
    (row,) = [row for row in rows(site["throughput.html"]) if row.startswith("throughput")]
    assert re.search(r"0\.20\.0 64 1,000 623 0\.62 0\.61 to 0\.63", row)


def test_rows_that_were_not_recorded_are_unknown(tmp_path: Path) -> None:
    bench = made.bench()
    del bench.verdicts[0].figures["decode_rows_at_once"]
    found = made.site(made.write(tmp_path, speed=bench))
    assert any("0.20.0 unknown 1,000" in row for row in rows(found["throughput.html"]))


def test_mutants_are_counted_by_family_and_gate(site: Site) -> None:
    found = {row.split()[0]: row for row in rows(site["mutants.html"])}
    assert "killed by identity: identity killed A is wrong" in found["rows"]
    assert "unknown" in words(site["mutants-wrong.html"]) and "no memory" in words(site["mutants-wrong.html"])


def test_runs_on_one_release_have_headings_that_differ(tmp_path: Path) -> None:
    given = {"one": made.mutants(), "two": made.mutants(), "out": made.knockout(), "out_again": made.knockout()}
    found = made.site(made.write(tmp_path, **given))
    for page in ("mutants.html", "knockouts.html"):
        headings = ["".join(heading.itertext()) for heading in tree(found[page]).iter("h2")]
        assert len(headings) == len({*headings}) == 2, headings


def test_a_site_takes_nothing_for_markup(tmp_path: Path) -> None:
    gate, knockout, mutants = made.gate("0.20.0", "identity"), made.knockout(), made.mutants()
    gate.command = gate.hardware.cpu = gate.hardware.gpu = HOSTILE
    gate.runtime.name = HOSTILE
    gate.verdicts[0].reason = gate.verdicts[0].title = gate.verdicts[0].scenario = HOSTILE
    gate.verdicts[1].figures = {HOSTILE: HOSTILE}
    knockout.knockouts[0].patch = knockout.knockouts[0].reason = HOSTILE
    knockout.not_taken = {HOSTILE: HOSTILE}
    mutants.mutants[0].what = mutants.mutants[0].family = mutants.mutants[0].mutant = HOSTILE
    drift, watch = made.drift(), {**made.watch(), "verdict": HOSTILE}
    drift[0]["findings"][0].update(sentence=HOSTILE, symbol=HOSTILE, fixed_by=[HOSTILE], because=HOSTILE)
    drift[0]["runtime"] = drift[0]["new"]["release"] = HOSTILE
    run = made_accuracy.evidence(made_accuracy.by_hand())
    run.cells[0].task = run.cells[0].model = HOSTILE
    records = {"gate": gate, "out": knockout, "mutants": mutants, "drift": drift, "watch": watch, "answers": run}
    (tmp_path / "<b>&.json").write_bytes(made.write(tmp_path, **records)[0].read_bytes())
    found = made.site(sorted(tmp_path.glob("*.json")))
    for name, page in pages(found):
        assert not list(page.iter("script")) and not list(page.iter("b[onclick]")), name
        assert not {"\x1b", "\u202e"} & {*found[name]}, name
    assert "{{ 7*7 }}" in words(found["gate-gate.html"])


def test_the_same_evidence_gives_the_same_bytes(tmp_path: Path, site: Site) -> None:
    paths = made.everything(tmp_path)
    assert made.site(paths) == made.site(paths) == site


def test_two_files_of_one_name_have_two_pages(tmp_path: Path) -> None:
    paths = []
    for folder, release in (("a", "0.19.0"), ("b", "0.20.0")):
        (tmp_path / folder).mkdir()
        paths += made.write(tmp_path / folder, gate=made.gate(release))
    assert {"gate-gate.html", "gate-gate-2.html"} <= set(made.site(paths))


def test_a_folder_gets_the_whole_site_and_loses_old_pages_of_it_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "site"
    both = made.write(tmp_path, one=made.gate("0.19.0"), two=made.gate("0.20.0"))
    assert build_site(both, folder) == folder / "index.html"
    (folder / "mine.html").write_text("<p>mine</p>")
    build_site(both[:1], folder)
    assert (folder / "gate-one.html").exists() and (folder / "mine.html").exists()
    assert not (folder / "gate-two.html").exists()


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>Mine</h1>")
    with pytest.raises(PatchkitError, match=r"index\.html is not patchkit's"):
        build_site(made.write(tmp_path, one=made.gate("0.19.0")), tmp_path)
    assert (tmp_path / "index.html").read_text() == "<h1>Mine</h1>"


@pytest.mark.parametrize("garbage", [b"", b"{}", b"\xff", b'{"kind": "poem"}', b"[1, 2]", b'"words"'])
def test_what_is_no_evidence_is_one_line_and_writes_nothing(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "poem.json"
    path.write_bytes(garbage)
    with pytest.raises(PatchkitError) as error:
        build_site([path], tmp_path / "site")
    assert "poem.json is not" in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "site").exists()


def test_a_single_step_of_drift_is_read_as_well(tmp_path: Path) -> None:
    (filed,) = read_sources(made.write(tmp_path, step=made.drift()[0])).drifts
    assert [step.new.release for step in filed.record] == ["0.20.0"]


def test_the_pages_of_an_accuracy_run_are_as_they_are_alone_but_for_the_way_back(site: Site) -> None:
    page = site["accuracy-answers.html"]
    assert 'href="index.html"' in page and 'href="accuracy.html"' in page
    assert "style.css" not in page, "it is whole by itself, as it is with --html FILE.html"


def test_evidence_is_left_as_it_was(tmp_path: Path) -> None:
    paths = made.everything(tmp_path)
    before = [path.read_bytes() for path in paths]
    made.site(paths)
    assert [path.read_bytes() for path in paths] == before
    assert msgspec.json.decode(before[0])
