"""The site in a real browser, where there is one: nothing is fetched, nothing sticks out, axe-core finds nothing.

Needs ``playwright`` and a Chromium on the path; axe-core as well if ``AXE_CORE`` names its ``axe.min.js``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import made_site as made
import pytest

from patchkit.report.site import build_site

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = os.environ.get("AXE_CORE", "")
FIND = "axe.run(document, {resultTypes: ['violations'], preload: false})"
EVIDENCE = Path(__file__).parents[2] / "evidence"
VERDICTS = "[...document.querySelectorAll('td.verdict')].map(cell => cell.getBoundingClientRect().right)"
STICKS_OUT = "document.documentElement.scrollWidth > document.documentElement.clientWidth"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the path")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("site")
    build_site(made.everything(tmp_path_factory.mktemp("evidence")), place)
    return place


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_page_fits_and_can_be_read_by_all(browser: Any, folder: Path, scheme: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    for path in sorted(folder.glob("*.html")):
        page, asked = context.new_page(), []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.goto(path.as_uri())
        assert all(url.startswith("file:") for url in asked), path.name
        assert not page.evaluate(STICKS_OUT), path.name
        if AXE:
            page.evaluate(Path(AXE).read_text(encoding="utf-8"))
            wrong = page.evaluate(FIND)["violations"]
            assert not wrong, (path.name, [(one["id"], one["nodes"][0]["html"]) for one in wrong])
        page.close()
    context.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_the_verdict_of_every_run_is_seen_without_scrolling(browser: Any, tmp_path: Path, width: int) -> None:
    build_site(sorted(EVIDENCE.glob("gate-*.json")), tmp_path)
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto((tmp_path / "index.html").as_uri())
    ends = page.evaluate(VERDICTS)
    assert len(ends) == len(list(EVIDENCE.glob("gate-*.json"))) and max(ends) <= width
    assert not page.evaluate("[...document.querySelectorAll('.scroll')].some(one => one.scrollWidth > one.clientWidth)")


def test_a_reason_is_shown_on_focus_by_keyboard_alone(browser: Any, folder: Path) -> None:
    page = browser.new_page()
    page.goto((folder / "knockouts.html").as_uri())
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('td a')"):
            break
    shown = page.evaluate("document.activeElement.querySelector('.tip').getBoundingClientRect().height")
    assert shown > 20
    page.keyboard.press("Enter")
    page.wait_for_url("**/knockout-left_out.html#0005-Learn-ids")
