"""Throughput evidence for people: text, Markdown, and parts of the site's page."""
