"""Evidence as a small static site that works from a file: no server, no network, no script."""

from patchkit.report.site.build import build_site, render_site

__all__ = ["build_site", "render_site"]
