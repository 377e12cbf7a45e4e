"""Pass@k for people: a page, Markdown, and the terminal. They render evidence, and judge nothing themselves."""

from patchkit.report.accuracy.markdown import render_markdown
from patchkit.report.accuracy.page import render_html
from patchkit.report.accuracy.table import render_table
from patchkit.report.accuracy.terminal import show_text

__all__ = ["render_html", "render_markdown", "render_table", "show_text"]
