"""A task: problems, how they are asked, and who checks the answers."""

from __future__ import annotations

import msgspec


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One problem.

    Attributes:
        id: unique in its task, short, printable.
        chat: what the user of a model with a chat template says.
        plain: what a model without one continues.
        reference: what the grader checks a sample against; its form is the grader's.
    """

    id: str
    chat: str
    plain: str
    reference: str


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Problems and their grader.

    Attributes:
        name: as in evidence; with a level, ``arithmetic-2``.
        about: one line: what is asked, and how answers are checked.
        problems: in a fixed order.
        grader: ``module:attribute``, or a name in the entry point group ``patchkit.graders``.
        max_tokens: enough for an answer of a model that is made for it.
        digest: hash of the problems, so that samples of different problems are never confused.
    """

    name: str
    about: str
    problems: tuple[Problem, ...]
    grader: str
    max_tokens: int
    digest: str
