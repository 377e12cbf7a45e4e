"""What a vLLM symbol promises in one release: kind, parameters, returns, value, side effects, a hash of its body."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from patchkit.drift.classes import abstract_of, constructor_known, fields_of, is_read_only, methods_of
from patchkit.drift.inference import Callable, Class, Inference, Instance, Type, is_property, is_static
from patchkit.drift.package import (
    FUNCTIONS,
    Definition,
    Function,
    Module,
    Universe,
    positional,
    statements,
    targets,
    with_defaults,
)
from patchkit.drift.value_kind import value_kind

NO_CONSTRUCTOR = "its constructor is in none of vLLM's files"
FOLLOWED = 3
"""Calls that are followed one inside the other, for what is returned and for side effects."""


@dataclass(frozen=True)
class Parameter:
    """One parameter after ``self``; ``kind`` is "positional", "keyword" (keyword-only), "rest" or "named"."""

    name: str
    kind: str
    default: str | None
    annotation: str

    @property
    def needed(self) -> bool:
        """A call must give it."""
        return self.default is None and self.kind in ("positional", "keyword")


@dataclass(frozen=True)
class Returned:
    """What one ``return`` gives: ``names`` of a tuple's values in order, or of the single one; none for None.

    ``known`` is false for what an unknown function returns: it is taken for one value, and may be a tuple.
    """

    names: tuple[str, ...]
    is_tuple: bool
    place: str
    known: bool = True

    def __str__(self) -> str:
        if not self.names and not self.is_tuple:
            return "None"
        said = ", ".join(name or "…" for name in self.names)
        return f"({said})" if self.is_tuple else said


@dataclass(frozen=True)
class CallSite:
    """Where vLLM itself calls a method, in which function, and with how much."""

    place: str
    caller: str
    positional: int
    keywords: tuple[str, ...]
    open_ended: bool


@dataclass(frozen=True)
class Contract:
    """One symbol in one release; ``defined`` is empty if it is not there.

    Attributes:
        symbol: the full name by which the runtime knows it.
        defined: the full name where it is defined.
        place: ``v1/sample/sampler.py:42``.
        hops: "re-exported", "inherited", as it was reached.
        kind: method, static method, class method, property, function, class, attribute, variable.
        annotation: what it returns, or is, by its annotation.
        value: the default of an attribute or a variable, as written.
        settled: where other code sets it, as configurations do after they are made -> a hash of under which conditions.
        effects: attributes that it sets on objects it was given or made, with the place.
        callers: where vLLM calls it, among the files that were read.
        perhaps_called: calls of the same name on objects whose type is not known, in the same files.
        overriders: what stands in its place: subclasses beside its class with a method of their own, assignments.
        holds: of an attribute, the kind of value; see :mod:`patchkit.drift.value_kind`.
        made: what an attribute is set to: the name of a class, "None"; empty if that does not show.
        unset: of an environment's variable, what it is where it is not set.
        body: hash of the code without docstrings and annotations.
        words: hashes of its statements, to know it again under another name.
        abstract: of a class, the methods that whatever derives from it must define.
        methods: of a class, all that it has, its own or inherited.
        read_only: of an attribute, setting it raises.
        anchors: pieces of source text that are looked for -> how often each stands there.
        elsewhere: where it seems to have gone, if it is not there.
        guessed: what static reading could not follow.
    """

    symbol: str
    defined: str = ""
    place: str = ""
    hops: tuple[str, ...] = ()
    kind: str = ""
    parameters: tuple[Parameter, ...] = ()
    annotation: str = ""
    returns: tuple[Returned, ...] = ()
    value: str = ""
    settled: Mapping[str, str] = field(default_factory=dict)
    effects: Mapping[str, str] = field(default_factory=dict)
    callers: tuple[CallSite, ...] = ()
    perhaps_called: tuple[CallSite, ...] = ()
    overriders: tuple[str, ...] = ()
    holds: str = ""
    made: str = ""
    unset: str = ""
    body: str = ""
    words: frozenset[int] = frozenset()
    abstract: frozenset[str] = frozenset()
    methods: frozenset[str] = frozenset()
    read_only: bool = False
    anchors: Mapping[str, int] = field(default_factory=dict)
    elsewhere: str = ""
    guessed: tuple[str, ...] = ()

    @property
    def there(self) -> bool:
        return bool(self.defined)


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
    bare = _bare(node) if isinstance(node, FUNCTIONS) else None
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
        body=_digest(" ".join(sorted(one.body for one in each))),
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
    return _named(value) if isinstance(value, ast.Call) else ""


def unset_default(found: Definition) -> str:
    """The default in ``"NAME": lambda: … os.getenv("NAME", default)`` of a module's table of environment variables."""
    table = getattr(found.module.bindings.get("environment_variables"), "value", None)
    if found.owner is not None or not isinstance(table, ast.Dict):
        return ""
    name = found.name.rpartition(".")[2]
    for key, value in zip(table.keys, table.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == name:
            asked = [
                node for node in ast.walk(value) if isinstance(node, ast.Call) and _named(node) in ("getenv", "get")
            ]
            return next((ast.unparse(call.args[1]) for call in asked if len(call.args) > 1), "")
    return ""


def default_of(value: ast.expr | None) -> str:
    """A default as written; of ``Field(default=x)`` only ``x``."""
    if value is None:
        return ""
    if isinstance(value, ast.Call) and _named(value) in ("Field", "field"):
        given = {one.arg: one.value for one in value.keywords}
        first = value.args[0] if value.args else given.get("default", given.get("default_factory", value))
        return ast.unparse(first)
    return ast.unparse(value)


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


def parameters_of(function: Function) -> Iterator[Parameter]:
    every, placed = with_defaults(function), len(positional(function))
    yield from (_parameter(one, "positional", default) for one, default in every[:placed])
    if function.args.vararg:
        yield _parameter(function.args.vararg, "rest")
    yield from (_parameter(one, "keyword", default) for one, default in every[placed:])
    if function.args.kwarg:
        yield _parameter(function.args.kwarg, "named")


def _parameter(one: ast.arg, kind: str, default: ast.expr | None = None) -> Parameter:
    return Parameter(one.arg, kind, ast.unparse(default) if default else None, spelled(one.annotation))


def spelled(annotation: ast.expr | None) -> str:
    """An annotation in one spelling: ``Optional[X]`` is ``X | None``; quotes and ``typing.`` go."""
    if annotation is None:
        return ""
    return ast.unparse(_Plain().visit(ast.parse(ast.unparse(annotation), mode="eval")).body)


class _Plain(ast.NodeTransformer):
    """Old spellings of types to new ones."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if isinstance(node.value, str):
            try:
                return _Plain().visit(ast.parse(node.value, mode="eval")).body  # type: ignore[no-any-return]
            except SyntaxError:
                return node
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id in ("typing", "t"):
            return self.visit(ast.Name(node.attr, ast.Load()))  # type: ignore[no-any-return]
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        plain = {"List": "list", "Dict": "dict", "Tuple": "tuple", "Set": "set", "Type": "type"}
        return ast.Name(plain.get(node.id, node.id), ast.Load())

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        name = node.value.id if isinstance(node.value, ast.Name) else ""
        inner = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name == "Optional":
            inner.append(ast.Constant(None))
        if name not in ("Optional", "Union"):
            return node
        union = inner[0]
        for one in inner[1:]:
            union = ast.BinOp(union, ast.BitOr(), one)
        return union


# What is returned.


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside it."""
    waiting: list[ast.AST] = list(reversed(function.body))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (*FUNCTIONS, ast.Lambda, ast.ClassDef)):
            waiting.extend(reversed(list(ast.iter_child_nodes(node))))


def returns_of(found: Definition, inference: Inference, guessed: list[str], depth: int = 0) -> Iterator[Returned]:
    """Every ``return`` of a function; one that hands on what another function returned is followed there."""
    assert isinstance(found.node, FUNCTIONS)
    statements = [node for node in own_nodes(found.node) if isinstance(node, ast.Return)]
    if not statements and not any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in own_nodes(found.node)):
        yield Returned((), False, found.place)
    for statement in statements:
        place = found.module.place(statement)
        value = statement.value
        if value is None or (isinstance(value, ast.Constant) and value.value is None):
            yield Returned((), False, place)
        elif isinstance(value, ast.Tuple):
            yield Returned(tuple(_named(one) for one in value.elts), True, place)
        elif isinstance(value, ast.Call):
            yield from _handed_on(value, place, found, inference, guessed, depth)
        else:
            yield Returned((_named(value),), False, place)


def _handed_on(
    call: ast.Call, place: str, found: Definition, inference: Inference, guessed: list[str], depth: int
) -> Iterator[Returned]:
    assert isinstance(found.node, FUNCTIONS)
    scope = inference.parameters(found.node, found.module, found.owner)
    called = inference.expression(call.func, found.module, scope)
    if isinstance(called, Callable) and isinstance(called.definition.node, FUNCTIONS) and depth < FOLLOWED:
        yield from returns_of(called.definition, inference, guessed, depth + 1)
        return
    if not isinstance(called, Class):
        guessed.append(f"what {_named(call)}() returns at {place} is not known")
    yield Returned((_named(call),), False, place, known=isinstance(called, Class))


def _named(value: ast.expr) -> str:
    """A name for a value: the last word of a name, an attribute or what is called; none for others."""
    if isinstance(value, ast.Call):
        return _named(value.func)
    if isinstance(value, ast.Attribute):
        return value.attr
    return value.id if isinstance(value, ast.Name) else ""


# Side effects.


def effects_of(found: Definition, inference: Inference, depth: int = 0) -> dict[str, str]:
    """Attributes that a function sets on objects other than ``self``: ``request.request_id`` -> where.

    By the names that the function itself has for them, also where a function that it calls sets them.
    """
    assert isinstance(found.node, FUNCTIONS)
    effects: dict[str, str] = {}
    scope = inference.parameters(found.node, found.module, found.owner)
    same: dict[str, str] = {}
    for node in own_nodes(found.node):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and isinstance(node.targets[0], ast.Name):
            same[node.targets[0].id] = same.get(node.value.id, node.value.id)  # another name for it
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            for target in [node.target] if isinstance(node, ast.AugAssign) else targets(node):
                if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                    where = found.module.place(target)
                    effects.setdefault(f"{same.get(target.value.id, target.value.id)}.{target.attr}", where)
        elif isinstance(node, ast.Call) and depth < FOLLOWED:
            effects = _effects_of_call(node, found, scope, inference, depth) | effects
    return effects if depth else {name: place for name, place in effects.items() if not name.startswith("self.")}


def _effects_of_call(
    call: ast.Call, found: Definition, scope: Mapping[str, Type], inference: Inference, depth: int
) -> dict[str, str]:
    """What a call does to the objects that it is handed by name, or that it is a method of."""
    where = found.module.place(call)
    handed = {at: one.id for at, one in enumerate(call.args) if isinstance(one, ast.Name)}
    named = {one.arg: one.value.id for one in call.keywords if one.arg and isinstance(one.value, ast.Name)}
    if _named(call) in ("setattr", "__setattr__"):
        names = [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        return {f"{holder}.{name}": where for holder in list(handed.values())[:1] for name in names[:1]}
    if _named(call) == "replace" and 0 in handed:
        return {f"{handed[0]}.{one.arg}": where for one in call.keywords if one.arg}
    receiver = (
        call.func.value.id if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) else ""
    )
    called = inference.expression(call.func, found.module, scope) if handed or named or receiver in scope else None
    if not isinstance(called, Callable) or not isinstance(called.definition.node, FUNCTIONS):
        return {}
    theirs = positional(called.definition.node)[1 if called.bound else 0 :]
    ours = {theirs[at]: name for at, name in handed.items() if at < len(theirs)} | named
    if called.bound and receiver:
        ours["self"] = receiver
    inner = effects_of(called.definition, inference, depth + 1)
    split = [(*name.split("."), place) for name, place in inner.items()]
    return {f"{ours[holder]}.{attribute}": place for holder, attribute, place in split if holder in ours}


# Settings.


def settled_in(attribute: str, module: Module) -> Iterator[tuple[str, str]]:
    """Where a module sets ``x.attribute``, and a hash of the value and of the conditions that it stands under.

    The local names in the conditions are followed to what the function assigns to them.
    """
    if f".{attribute}" not in module.text:
        return
    for function in statements(module.tree):
        if isinstance(function, FUNCTIONS):
            for statement, conditions in _conditioned(function.body, ()):
                if any(isinstance(one, ast.Attribute) and one.attr == attribute for one in targets(statement)):
                    said = [*map(ast.unparse, conditions), ast.unparse(statement), *_local(conditions, function)]
                    yield module.place(statement), _digest("\n".join(said))


def _conditioned(
    body: list[ast.stmt], above: tuple[ast.expr, ...]
) -> Iterator[tuple[ast.Assign | ast.AnnAssign, tuple[ast.expr, ...]]]:
    for statement in body:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)):
            yield statement, above
        elif isinstance(statement, ast.If):
            yield from _conditioned(statement.body, (*above, statement.test))
            yield from _conditioned(statement.orelse, (*above, ast.UnaryOp(ast.Not(), statement.test)))
        elif not isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
            inner = [child for child in ast.iter_child_nodes(statement) if isinstance(child, ast.stmt)]
            yield from _conditioned(inner, above)


def _local(conditions: tuple[ast.expr, ...], function: Function) -> Iterator[str]:
    names = {node.id for test in conditions for node in ast.walk(test) if isinstance(node, ast.Name)}
    for node in own_nodes(function):
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id in names for one in targets(node)):
            yield ast.unparse(node)


# Bodies.


def _bare(node: ast.AST) -> ast.AST:
    """A copy without what changes nothing when it runs: docstrings and annotations of functions."""
    copied = ast.parse(ast.unparse(node))
    for part in ast.walk(copied):
        if isinstance(part, (*FUNCTIONS, ast.ClassDef)) and ast.get_docstring(part, clean=False) is not None:
            part.body = part.body[1:] or [ast.Pass()]
        if isinstance(part, FUNCTIONS):
            part.returns = None
        if isinstance(part, ast.arg):
            part.annotation = None
    return copied


def body_hash(node: ast.AST, bare: ast.AST | None = None) -> str:
    """Twelve digits that change with the code; of a class only with what it is derived from.

    Args:
        bare: what :func:`_bare` makes of it, where that is there already.
    """
    if isinstance(node, ast.Module):
        return ""
    if isinstance(node, ast.ClassDef):
        return _digest(" ".join(map(ast.unparse, node.bases)))
    return _digest(ast.dump(bare or _bare(node)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def words_of(node: ast.AST, bare: ast.AST | None = None) -> frozenset[int]:
    """Hashes of the lines of a function, to measure how much of it is in another; ``bare`` as for :func:`body_hash`."""
    if not isinstance(node, FUNCTIONS):
        return frozenset()
    lines = ast.unparse(bare or _bare(node)).splitlines()[1:]
    return frozenset(int(_digest(line.strip()), 16) for line in lines if line.strip())
