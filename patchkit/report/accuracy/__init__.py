"""Pass@k for people: a page, Markdown, and the terminal. All of it reads evidence, and judges nothing itself."""

from patchkit.report.accuracy.markdown import render_markdown
from patchkit.report.accuracy.page import render_html
from patchkit.report.accuracy.table import render_table
from patchkit.report.accuracy.text import show_text

__all__ = ["render_html", "render_markdown", "render_table", "show_text"]
