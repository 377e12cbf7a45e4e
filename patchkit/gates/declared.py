"""Records that people write by hand: unknown fields are an error, and so are values that types alone cannot rule out.

The checks are our own: msgspec's ``Meta`` constraints can crash the interpreter at its exit (msgspec issue 717).
"""

from __future__ import annotations

import re

import msgspec


class Declared(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """A record of a scenario file; a ``ValueError`` from its ``__post_init__`` is reported with the field's path."""

    def at_least(self, least: float, *fields: str) -> None:
        """Each of these fields, a number or a span of numbers or nothing, is at least so much."""
        for field in fields:
            value = getattr(self, field)
            for number in value if isinstance(value, tuple | list) else [value]:
                if number is not None and not number >= least:
                    raise ValueError(f"{field} must be at least {least:g}, not {number:g}")

    def span(self, *fields: str) -> None:
        """Each of these fields, if it is a span, goes upwards."""
        for field in fields:
            value = getattr(self, field)
            if isinstance(value, tuple) and value[0] > value[1]:
                raise ValueError(f"{field} must go from the smaller to the larger number, not {list(value)}")

    def not_empty(self, *fields: str) -> None:
        """Each of these fields has something in it."""
        for field in fields:
            if not getattr(self, field):
                raise ValueError(f"{field} is empty")

    def is_pattern(self, field: str) -> None:
        """This field is a regular expression, and not an empty one."""
        self.not_empty(field)
        try:
            re.compile(getattr(self, field))
        except re.error as error:
            raise ValueError(f"{field} is no regular expression: {error}") from None

    def named(self) -> None:
        """``name`` can stand in a file name and after ``pytest -k``."""
        name: str = getattr(self, "name")  # noqa: B009
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
            raise ValueError(f"name must be lower-case letters, digits, _ or -, not {name!r}")
