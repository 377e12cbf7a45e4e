"""The score of a run of mutants, for people and for CI."""

from patchkit.report.mutants.ci_formats import render_github, render_junit, render_markdown
from patchkit.report.mutants.terminal import show_text

__all__ = ["render_github", "render_junit", "render_markdown", "show_text"]
