"""Tables for a terminal: a heading over every column; in a pipe nothing is cut or split, so that it can be searched."""

from __future__ import annotations

import io
from collections.abc import Collection
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from patchkit.console import out

UNBROKEN = 100_000
"""Columns of a page on which no row needs two lines."""


def plain(*columns: str, right: Collection[str] = (), whole: Collection[str] = ()) -> Table:
    """A table without a frame.

    Args:
        right: columns of numbers.
        whole: columns that a narrow terminal cuts rather than folds, and only after all others.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in columns:
        overflow: Literal["ellipsis", "fold"] = "ellipsis" if name in whole else "fold"
        side: Literal["right", "left"] = "right" if name in right else "left"
        table.add_column(Text(name), justify=side, no_wrap=name in whole, overflow=overflow)
    return table


def show(table: Table, console: Console = out) -> None:
    """A table at the width of the terminal; elsewhere every row on a line of its own."""
    if console.is_terminal:
        console.print(table)
        return
    page = Console(file=io.StringIO(), width=UNBROKEN, highlight=False)
    with page.capture() as captured:
        page.print(table)
    for line in captured.get().splitlines():
        console.print(Text(line.rstrip()), soft_wrap=True)
