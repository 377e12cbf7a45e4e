"""What each form of an accuracy report says, in words."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from rich.console import Console

from patchkit.bench.accuracy_evidence import AccuracyEvidence
from patchkit.report.accuracy import render_html, render_markdown, show_text

MINUS = "\N{MINUS SIGN}"
VOID = {"meta", "br", "link", "img", "input", "hr"}


def shown(evidence: AccuracyEvidence) -> str:
    file = io.StringIO()
    show_text(evidence, Console(file=file))
    return file.getvalue()


def words_of_page(evidence: AccuracyEvidence) -> str:
    """What a reader of the page reads, its spaces as one each."""
    page = Page(render_html(evidence))
    return " ".join(" ".join(page.text).split())


def words_of_markdown(evidence: AccuracyEvidence) -> str:
    return " ".join(re.sub(r"\\(.)", r"\1", render_markdown(evidence)).split())


def words_of_text(evidence: AccuracyEvidence) -> str:
    return " ".join(shown(evidence).split())


every_form = pytest.mark.parametrize("said", [words_of_page, words_of_markdown, words_of_text])


Said = Callable[[AccuracyEvidence], str]


class Page(HTMLParser):
    """A page taken apart: its text, its tags with their attributes, and whether they close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)


def names(page: Page) -> list[str]:
    return [tag for tag, _ in page.tags]
