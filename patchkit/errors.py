"""The one exception a user meets: a single line that says what, where, why, and what to do next."""

from __future__ import annotations


class PatchkitError(Exception):
    """Bad input, or something outside patchkit that does not let it go on.

    ``str()`` of it is one line for the terminal; the command line prints it and exits with 2, never with a traceback.

    Args:
        what: what could not be done, where, and why, in one clause.
        fix: what the user can do next.
    """

    def __init__(self, what: str, fix: str = "") -> None:
        self.what, self.fix = " ".join(what.split()), " ".join(fix.split())
        super().__init__(f"{self.what}; {self.fix}" if self.fix else self.what)
