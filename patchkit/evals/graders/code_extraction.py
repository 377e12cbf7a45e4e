"""Finds the program in what a model said: a chat answer with fenced code, or a bare continuation of the prompt."""

from __future__ import annotations

import ast
import hashlib
import re
import warnings
from collections.abc import Iterator
from textwrap import dedent

from patchkit.evals.graders import fences
from patchkit.evals.graders.bodies import is_stub, with_body
from patchkit.evals.graders.interactive import PROMPT, typed_code
from patchkit.evals.graders.missing_definitions import helpers
from patchkit.evals.graders.thinking import strip_thinking

MOST = 100_000  # characters; far more than one function needs
INDENTED = re.compile(r"\s*?^(?:\t|  )", re.MULTILINE)


def solution(prompt: str, entry_point: str, text: str) -> str | None:
    """The whole program that a model's answer makes of a prompt; None if it defines no function of that name.

    Args:
        prompt: imports, helpers, then the signature and docstring of the function that is asked for.
        entry_point: its name.
        text: what the model said.
    """
    text = text[:MOST].replace("\r\n", "\n").replace("\0", "")
    defines = re.compile(rf"^(?:async )?def {re.escape(entry_point)}\b", re.MULTILINE)
    text = strip_thinking(text, defines)
    bare = continued(prompt, text) if INDENTED.match(text) else None
    if bare and parsed(bare):
        return bare
    found = fences.blocks(text, lambda code: parsed(dedent(code)) is not None)
    blocks = [remove_indent(block, len(indent)) for indent, block in found if block.strip()]
    blocks = [(PROMPT.search(block) and not parsed(block) and typed_code(block, parsed)) or block for block in blocks]
    at_the_margin = [block if defines.search(block) else dedent(block) for block in blocks]
    whole = [block for block in at_the_margin if defines.search(block)]
    if whole:
        read = [(block, tree) for block in reversed(whole) if (tree := parsed(block))]
        done = [block for block, tree in read if not is_stub(tree, entry_point)]
        chosen = done[0] if done else read[0][0] if read else longest_valid(whole[-1])
        return with_helpers(preamble(prompt, entry_point) + chosen, [b for b in at_the_margin if b not in whole])
    if defines.search(text):
        return preamble(prompt, entry_point) + longest_valid(skip_prose(text))
    if not blocks and defines.search(said := typed_code(text, parsed)):
        return preamble(prompt, entry_point) + said
    if bare:
        return bare  # for Python to refuse
    if blocks and INDENTED.match(blocks[0]):
        return continued(prompt, blocks[0])
    return with_body(prompt, blocks[0] if blocks else text, parsed)


def with_helpers(program: str, others: list[str]) -> str:
    """The program after what it lacks and other blocks define."""
    tree = parsed(program)
    trees = [other for block in others if (other := parsed(block))]
    try:
        added = helpers(tree, trees) if tree and trees else ""
    except RecursionError:
        return program
    return f"{program}\n{added}" if "__future__" in program else added + program  # that import must come first


def remove_indent(block: str, indent: int) -> str:
    """A fence's block without the indent of the fence, as under an item of a list."""
    return re.sub(rf"^[ \t]{{1,{indent}}}", "", block, flags=re.MULTILINE) if indent else block


def preamble(prompt: str, entry_point: str) -> str:
    """What the prompt gives before the function: imports and helpers."""
    tree = parsed(prompt)
    for node in tree.body if tree else ():
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == entry_point:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            return "".join(prompt.splitlines(keepends=True)[: first - 1])
    return ""


def continued(prompt: str, text: str) -> str | None:
    """The prompt with the function's body, which ends where a line is no longer indented and all before it is whole."""
    lines = text.splitlines(keepends=True)
    ends = [at for at, line in enumerate(lines) if line[:1] not in (" ", "\t", "\n", "#", "")] + [len(lines)]
    bodies = ["".join(lines[:end]) for end in ends[:20]]
    body = next((body for body in bodies if body.strip() and parsed(f"{prompt}{body}\n")), bodies[0])
    if not body.strip():
        return None
    return f"{prompt}{body}"


def skip_prose(text: str) -> str:
    """Without the prose in front of the first line that looks like code."""
    found = re.search(r"^(?:import |from \w[\w.]* import |(?:async )?def |class |@\w)", text, re.MULTILINE)
    return text[found.start() :] if found else text


def longest_valid(text: str) -> str:
    """Without what follows the code, such as prose: up to the last line at the margin where all before it parses."""
    lines = text.splitlines(keepends=True)
    ends = [at for at, line in enumerate(lines) if at and line[:1].strip()]
    for end in [len(lines), *reversed(ends[:50])]:
        code = "".join(lines[:end])
        if parsed(code):
            return code
    return text


def parsed(code: str) -> ast.Module | None:
    """The syntax tree, or None if the code does not parse."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def fingerprints(program: str) -> tuple[str, str] | None:
    """Two short hashes: of the program up to formatting, comments and docstrings; and of its structure alone.

    In the second one every name and attribute is alike, and so is every constant of one type. None without a tree.
    """
    tree = parsed(program)
    if tree is None:
        return None
    try:
        return _hash(" ".join(_tokens(tree, exact=True))), _hash(" ".join(_tokens(tree, exact=False)))
    except RecursionError:
        return None


def _tokens(node: ast.AST, exact: bool) -> Iterator[str]:
    """A syntax tree as a flat text, without docstrings."""
    yield type(node).__name__
    for name, value in ast.iter_fields(node):
        items = value if isinstance(value, list) else [value]
        if name == "body" and len(items) and _is_text(items[0]):
            items = items[1:]
        yield f"{name}:{len(items)}"
        for item in items:
            if isinstance(item, ast.AST):
                yield from _tokens(item, exact)
            else:
                yield repr(item) if exact else type(item).__name__


def _is_text(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
