"""Grades a Python function that a model wrote, by the data set's own tests, without trusting any of it.

Two sandboxes. In one the model's code answers calls; in the other, out of its reach, runs the data set's check, and
only that one can say that it passed. What goes between them is plain values. See docs/sandbox.md.
"""

from __future__ import annotations

import ast
import signal
import socket
import warnings
from functools import cache
from types import CodeType

import msgspec

from patchkit.errors import PatchkitError
from patchkit.evals import sandbox
from patchkit.evals.graders.code_extraction import fingerprints, parsed, solution
from patchkit.evals.records import Grade
from patchkit.evals.sandbox import Ending, SandboxLimits
from patchkit.evals.tasks.base import Problem

LIMITS = SandboxLimits()


class Reference(msgspec.Struct, frozen=True):
    """What a sample is checked against: as JSON, the reference of a problem.

    Attributes:
        entry_point: the function's name.
        prompt: imports, helpers, signature and docstring.
        test: defines ``check(candidate)``.
    """

    entry_point: str
    prompt: str
    test: str


def grade(problem: Problem, text: str) -> Grade:
    """Runs what the model wrote against the problem's check.

    ``answer`` is a hash of the program up to formatting, comments and docstrings; ``approach`` one of its structure, in
    which all names are alike, and all constants of a type.

    Raises:
        PatchkitError: the reference cannot be used for grading; or code cannot be confined here.
    """
    reference = read_reference(problem.id, problem.reference)
    program = solution(reference.prompt, reference.entry_point, text)
    if program is None:
        return Grade(False, why="no code", unread=True)
    if parsed(program) is None:
        return Grade(False, why="syntax error", unread=False)
    answer, approach = fingerprints(program) or (None, None)
    why = verdict(reference, program, LIMITS)
    return Grade(not why, answer=answer, approach=approach, why=why, unread=False)


def confinement() -> str:
    """What confines the model's code on this host, in one line.

    Raises:
        PatchkitError: if that is too little, and the user has not accepted it.
    """
    return sandbox.required().statement(LIMITS)


@cache
def read_reference(problem: str, text: str) -> Reference:
    """The reference of a problem, checked to compile and to define what it must."""
    try:
        reference = msgspec.json.decode(text, type=Reference)
    except msgspec.DecodeError as error:
        raise PatchkitError(
            f"problem {problem}: its reference is not for graders.python: {error}",
            "it must be JSON with entry_point, prompt and test",
        ) from error
    for part, code, name in (
        ("prompt", reference.prompt, reference.entry_point),
        ("test", reference.test, "check"),
    ):
        if wrong := missing(code, name):
            raise PatchkitError(
                f"problem {problem}: the {part} of its reference {wrong}",
                "prompt must be whole up to the function's docstring, and test must define check(candidate)",
            )
    return reference


def missing(code: str, function: str) -> str:
    """Why Python code does not define a function; empty if it does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(code)
            compile(tree, "<reference>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return f"does not compile: {error}"
    defined = any(isinstance(node, ast.FunctionDef) and node.name == function for node in tree.body)
    return "" if defined else f"defines no function {function}"


def verdict(reference: Reference, program: str, limits: SandboxLimits) -> str:
    """Why the program does not pass the check; empty if it does."""
    way = sandbox.required().way
    asked = {"preamble": reference.prompt, "test": reference.test, "entry_point": reference.entry_point}
    answered = {"source": program, "entry_point": reference.entry_point}
    ours, theirs = socket.socketpair()
    with ours, theirs:
        checker = sandbox.start(compiled_side("checker", *asked), limits, way, names=asked, channel=ours)
        candidate = sandbox.start(compiled_side("candidate", *answered), limits, way, names=answered, channel=theirs)
    sandbox.finish(checker, candidate)
    return reason(checker.ending(), candidate.ending())


def reason(checker: Ending, candidate: Ending) -> str:
    """Why it does not pass, as one of a few short labels; empty if the checker says that it does."""
    said = checker.output.decode(errors="replace") if (checker.end, checker.number) == ("exit", 0) else ""
    if said == "pass":
        return ""
    if candidate.end == "output":
        return "output"
    if "time" in (checker.end, candidate.end) or (candidate.end, candidate.number) == ("signal", signal.SIGXCPU):
        return "timeout"
    if said.startswith("raised "):
        kind = said.removeprefix("raised ")
        return "memory" if kind == "MemoryError" else kind
    if said not in ("", "gone"):
        return said
    return "exit" if said and candidate.end != "signal" else "killed"


@cache
def compiled_side(name: str, *given: str) -> CodeType:
    """The code of one side of the wire, compiled once. ``given`` names its arguments."""
    return sandbox.combined("wire", name, ending=f"main({', '.join(given)})")
