"""The contract of a symbol, read off the sources of a release."""

from __future__ import annotations

import ast
from dataclasses import replace

from patchkit.drift.classes import abstract_of, constructor_known, fields_of, is_read_only, methods_of
from patchkit.drift.code_hashes import body_hash, digest, stripped, words_of
from patchkit.drift.contract import Contract, Parameter
from patchkit.drift.effects import returns_of
from patchkit.drift.inference import Inference, Instance
from patchkit.drift.package import Definition, Universe
from patchkit.drift.signature import default_of, parameters_of, spelled, unset_default
from patchkit.drift.syntax import FUNCTIONS, is_property, is_static, name_of
from patchkit.drift.value_kind import value_kind

NO_CONSTRUCTOR = "its constructor is in none of vLLM's files"


def contract_of(symbol: str, inference: Inference) -> Contract:
    """The contract of ``symbol``, by its full dotted name; of one method or another, as its class chooses, of all."""
    found = inference.universe.find(symbol)
    if found is None:
        return Contract(symbol)
    holder = found.owner
    if holder is not None and isinstance(found.node, ast.Assign):
        methods = [method.definition for method in inference.methods_behind(holder, symbol.rpartition(".")[2])]
        if methods:
            return _of_methods(symbol, found, methods, inference)
    return _of_definition(symbol, found, inference)


def _of_definition(symbol: str, found: Definition, inference: Inference) -> Contract:
    node = found.node
    bare = stripped(node) if isinstance(node, FUNCTIONS) else None
    seen = Contract(
        symbol,
        found.name,
        found.place,
        found.hops,
        kind_of(found),
        body=body_hash(node, bare),
        words=words_of(node, bare),
    )
    if isinstance(node, FUNCTIONS):
        guessed: list[str] = []
        parameters = tuple(parameters_of(node))
        returns = tuple(returns_of(found, inference, guessed))
        return replace(
            seen,
            parameters=parameters[1:] if found.owner is not None and not is_static(node) else parameters,
            annotation=spelled(node.returns),
            returns=returns,
            read_only=is_read_only(found),
            guessed=tuple(dict.fromkeys(guessed)),
        )
    seen = replace(seen, read_only=is_read_only(found))
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        seen = replace(seen, made=_made(found, inference), unset=unset_default(found))
        seen = replace(seen, holds=value_kind(found, inference.universe) if found.owner else "")
    if isinstance(node, ast.AnnAssign):
        return replace(seen, annotation=spelled(node.annotation), value=default_of(node.value))
    return replace(seen, value=default_of(node.value)) if isinstance(node, ast.Assign) else seen


def of_class(seen: Contract, universe: Universe) -> Contract:
    """A class's contract with what it asks of who constructs it: the parameters are those of its constructor."""
    found = universe.find(seen.symbol)
    assert found is not None
    seen = replace(seen, abstract=abstract_of(found, universe), methods=methods_of(found, universe))
    fields = fields_of(found, universe)
    made = universe.class_member(found, "__init__")
    if made is not None and isinstance(made.node, FUNCTIONS) and (fields is None or made.owner is found):
        return replace(seen, parameters=tuple(parameters_of(made.node))[1:])
    if fields is not None:
        parameters = (
            Parameter(
                ast.unparse(one.target),
                "keyword" if by_keyword else "positional",
                default_of(one.value) or None,
                spelled(one.annotation),
            )
            for one, by_keyword in fields
        )
        return replace(seen, parameters=tuple(parameters))
    if constructor_known(found, universe):
        return seen
    return replace(seen, guessed=(NO_CONSTRUCTOR,))


def _of_methods(symbol: str, found: Definition, methods: list[Definition], inference: Inference) -> Contract:
    """One contract of several methods: the parameters of the first, what any of them returns."""
    each = [_of_definition(symbol, method, inference) for method in methods]
    names = [method.name.rpartition(".")[2] for method in methods]
    guessed = [line for one in each for line in one.guessed]
    first = [(one.name, one.kind) for one in each[0].parameters]
    guessed += [
        f"{name} takes other parameters than {names[0]}, which stands for all"
        for name, one in zip(names, each, strict=True)
        if [(parameter.name, parameter.kind) for parameter in one.parameters] != first
    ]
    return replace(
        each[0],
        defined=found.name,
        returns=tuple(returned for one in each for returned in one.returns),
        body=digest(" ".join(sorted(one.body for one in each))),
        guessed=tuple(dict.fromkeys(guessed)),
    )


def _made(found: Definition, inference: Inference) -> str:
    if found.owner is None or not isinstance(found.node, (ast.Assign, ast.AnnAssign)):
        return ""
    kind = inference.attribute(Instance(found.owner), found.name.rpartition(".")[2])
    if isinstance(kind, Instance):
        return kind.of.name.rpartition(".")[2]
    value = found.node.value
    if isinstance(value, ast.Constant) and value.value is None and isinstance(found.node, ast.Assign):
        return "None"
    return name_of(value) if isinstance(value, ast.Call) else ""


def kind_of(found: Definition) -> str:
    node = found.node
    if isinstance(node, ast.Module):
        return "module"
    if isinstance(node, ast.ClassDef):
        return "class"
    if isinstance(node, FUNCTIONS):
        if found.owner is None:
            return "function"
        if is_property(node):
            return "property"
        decorators = [ast.unparse(one) for one in node.decorator_list]
        if any(one.endswith("contextmanager") for one in decorators):
            return "context manager"
        if isinstance(node, ast.AsyncFunctionDef):
            return "async method"
        return "static method" if is_static(node) else "class method" if "classmethod" in decorators else "method"
    return "attribute" if found.owner else "variable"
