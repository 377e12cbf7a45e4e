"""Which statements of a function matter for what it returns, or for an attribute that it sets.

Judged by names alone, in no order, so that it takes rather too many than too few.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from weakref import ReferenceType

from patchkit.drift.deciding.names import binds, inside
from patchkit.drift.deciding.operations import MUTATORS
from patchkit.drift.package import FUNCTIONS, Definition, Function, Universe

HARMLESS = ("log", "print", "warn")
"""A function whose name has one of these does not change what it is given."""
COLLECTIONS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.SetComp, ast.DictComp)
MOST_METHODS = 400
"""Methods of an object that are followed from one."""


@dataclass(frozen=True, eq=False)
class Line:
    """A statement, or what stands before the colon of one: the names that it binds or changes, and those that it uses.

    Names are those of variables, and ``self.x`` for attributes of the object.
    """

    statement: ast.AST
    around: tuple[ast.AST, ...]
    binds: frozenset[str]
    uses: frozenset[str]


@dataclass(frozen=True)
class Attributes:
    """What code sets (or changes) and reads: attributes of its object, through the methods that it calls too."""

    sets: frozenset[str] = frozenset()
    gets: frozenset[str] = frozenset()


@dataclass
class Relevance:
    """Finds the statements that matter, and remembers what it found as long as the universe is in use."""

    _universe: ReferenceType[Universe]
    _methods: dict[tuple[str, str, str], Attributes] = field(default_factory=dict)
    _own: dict[int, tuple[Attributes, set[str]]] = field(default_factory=dict)
    _lines: dict[tuple[int, str], list[Line]] = field(default_factory=dict)
    _matter: dict[tuple[int, str, frozenset[str]], frozenset[int]] = field(default_factory=dict)
    _kept: list[ast.AST] = field(default_factory=list)

    @property
    def universe(self) -> Universe:
        found = self._universe()
        assert found is not None
        return found

    def attributes(self, holder: Definition, name: str, above: Definition | None = None) -> Attributes:
        """What a method or property does with the attributes of its object, which is of the class ``holder``.

        Args:
            holder: the class of the object, whose methods are called.
            name: of the method.
            above: look for it in the bases of this class, as ``super()`` in one of its methods does.
        """
        key = holder.name, name, above.name if above else ""
        if key not in self._methods:
            self._methods[key] = self._followed(holder, name, above)
        return self._methods[key]

    def _followed(self, holder: Definition, name: str, above: Definition | None) -> Attributes:
        sets: set[str] = set()
        gets: set[str] = set()
        waiting, seen = [(name, above)], set[int]()
        while waiting and len(seen) < MOST_METHODS:
            found = self.method(holder, *waiting.pop())
            if found is None or id(found.node) in seen or not isinstance(found.node, FUNCTIONS):
                continue
            seen.add(id(found.node))
            own, supers = self._direct(found.node)
            waiting += [(other, None) for other in sorted(own.gets - gets)]
            waiting += [(other, found.owner) for other in sorted(supers) if found.owner]
            sets |= own.sets
            gets |= own.gets
        return Attributes(frozenset(sets), frozenset(gets))

    def method(self, holder: Definition, name: str, above: Definition | None = None) -> Definition | None:
        """A member of a class; with ``above`` the one that ``super()`` in that class would find."""
        if above is None:
            return self.universe.class_member(holder, name)
        found = (self.universe.class_member(base, name) for base in self.universe.bases(above))
        return next(filter(None, found), None)

    def _direct(self, node: Function) -> tuple[Attributes, set[str]]:
        """What a method does itself, and the methods that it calls on ``super()``."""
        if id(node) not in self._own:
            self._kept.append(node)  # its id stays its own
            itself = first_parameter(node)
            sets: set[str] = set()
            gets: set[str] = set()
            for part in ast.walk(node):
                if isinstance(part, ast.Attribute) and _is_name(part.value, itself):
                    (gets if isinstance(part.ctx, ast.Load) else sets).add(part.attr)
                elif (name := set_by_name(part, itself)) is not None:
                    sets.add(name)
            self._own[id(node)] = Attributes(frozenset(sets), frozenset(gets)), super_calls(node)
        return self._own[id(node)]

    def matter(
        self,
        node: ast.Module | Function,
        holder: Definition | None,
        owner: Definition | None,
        wanted: frozenset[str],
    ) -> frozenset[int]:
        """The ``id`` of every statement in a body that matters for its returns and for the names in ``wanted``."""
        key = id(node), holder.name if holder else "", wanted
        if key not in self._matter:
            self._kept.append(node)  # its id stays its own
            self._matter[key] = _closure(self._lines_of(node, holder, owner), wanted)
        return self._matter[key]

    def _lines_of(self, node: ast.Module | Function, holder: Definition | None, owner: Definition | None) -> list[Line]:
        key = id(node), holder.name if holder else ""
        if key not in self._lines:
            itself = first_parameter(node) if isinstance(node, FUNCTIONS) and holder else ""
            changeable = _collections(node)
            self._lines[key] = [
                self._line(statement, around, itself, holder, owner, changeable)
                for statement, around in _statements(node.body, ())
            ]
        return self._lines[key]

    def _line(
        self,
        statement: ast.stmt,
        around: tuple[ast.AST, ...],
        itself: str,
        holder: Definition | None,
        owner: Definition | None,
        changeable: frozenset[str],
    ) -> Line:
        sets: set[str] = set()
        gets: set[str] = set()
        for part in _own_parts(statement):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
                gets.add(part.id)
                continue
            sets.update(binds(part))
            does = self._of_object(part, itself, holder, owner)
            sets |= does.sets
            gets |= does.gets
            if isinstance(part, ast.Call):
                sets |= _changed_by(part, itself, changeable)
            elif isinstance(part, ast.Subscript) and not isinstance(part.ctx, ast.Load):
                sets |= {_base(part, itself)} - {""}
        if isinstance(statement, ast.AugAssign):
            gets |= sets
        if sets and changeable & gets:  # another name for a list, through which it can be changed
            gets, sets = gets | sets, sets | (changeable & gets)
        return Line(statement, around, frozenset(sets), frozenset(gets))

    def _of_object(self, part: ast.AST, itself: str, holder: Definition | None, owner: Definition | None) -> Attributes:
        """What a piece of code does with the attributes of its object, as ``self.x``."""
        does = Attributes()
        if holder is None or not itself or not isinstance(part, (ast.Attribute, ast.Call)):
            return does
        if isinstance(part, ast.Attribute) and _is_name(part.value, itself):
            if not isinstance(part.ctx, ast.Load):
                return Attributes(frozenset({f"self.{part.attr}"}))
            found = self.attributes(holder, part.attr)
            does = Attributes(found.sets, found.gets | {part.attr})
        elif isinstance(part, ast.Attribute) and is_super(part.value) and owner is not None:
            does = self.attributes(holder, part.attr, owner)
        elif (name := set_by_name(part, itself)) is not None:
            does = Attributes(frozenset({name}))
        return Attributes(frozenset(f"self.{x}" for x in does.sets), frozenset(f"self.{x}" for x in does.gets))


def set_by_name(part: ast.AST, itself: str) -> str | None:
    """The attribute that ``setattr(self, "attribute", value)`` sets."""
    if isinstance(part, ast.Call) and _is_name(part.func, "setattr") and len(part.args) == 3:
        name = part.args[1]
        if _is_name(part.args[0], itself) and isinstance(name, ast.Constant) and isinstance(name.value, str):
            return name.value
    return None


def _closure(lines: list[Line], wanted: frozenset[str]) -> frozenset[int]:
    """Follow names back until nothing is added."""
    by_statement = {id(line.statement): line for line in lines}
    needed, chosen = set(wanted), set[int]()

    def take(line: Line) -> None:
        for statement in (line.statement, *line.around):
            if id(statement) not in chosen:
                chosen.add(id(statement))
                needed.update(by_statement[id(statement)].uses if id(statement) in by_statement else ())

    before = -1
    while before != len(chosen):
        before = len(chosen)
        for line in lines:
            if id(line.statement) not in chosen and (_always(line, chosen) or line.binds & needed):
                take(line)
    return frozenset(chosen)


def _always(line: Line, chosen: set[int]) -> bool:
    if isinstance(line.statement, (ast.Break, ast.Continue)):
        loops = [one for one in line.around if isinstance(one, (ast.For, ast.AsyncFor, ast.While))]
        return bool(loops) and id(loops[-1]) in chosen
    return isinstance(line.statement, ast.Return)


def first_parameter(node: Function) -> str:
    every = [*node.args.posonlyargs, *node.args.args]
    return every[0].arg if every else ""


def super_calls(node: ast.AST) -> set[str]:
    """The methods that are called as ``super().method(...)``."""
    return {
        part.func.attr
        for part in ast.walk(node)
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and is_super(part.func.value)
    }


def is_super(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _is_name(node.func, "super")


def _statements(
    body: Iterable[ast.stmt], around: tuple[ast.AST, ...]
) -> Iterator[tuple[ast.stmt, tuple[ast.AST, ...]]]:
    for statement in body:
        yield statement, around
        for inner in blocks(statement):
            yield from _statements(inner, (*around, statement))


def blocks(statement: ast.AST) -> list[list[ast.stmt]]:
    """The blocks under a statement; functions and classes count as one piece."""
    if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
        return []
    found = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
    for part in [*getattr(statement, "handlers", []), *getattr(statement, "cases", [])]:
        found.append(part.body)
    return [block for block in found if isinstance(block, list) and block]


def _own_parts(statement: ast.AST) -> Iterator[ast.AST]:
    """Everything in a statement, less the blocks under it."""
    inner = {id(one) for block in blocks(statement) for one in block}
    waiting: list[ast.AST] = [statement]
    while waiting:
        part = waiting.pop()
        yield part
        children = [part.func] if isinstance(part, ast.Call) and makes(part) else ast.iter_child_nodes(part)
        waiting.extend(one for one in children if id(one) not in inner)


def _collections(node: ast.AST) -> frozenset[str]:
    """The names of lists, sets and dicts that are made here, and can be changed by what they are given to."""
    found: set[str] = set()
    links: list[tuple[set[str], set[str]]] = []
    for part in ast.walk(node) if isinstance(node, FUNCTIONS) else inside(node):
        if isinstance(part, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) and part.value is not None:
            given = part.targets if isinstance(part, ast.Assign) else [part.target]
            bound = {name for target in given for name in _names(target)}
            if _makes_collection(part.value):
                found |= bound
            links.append((bound, _names(part.value)))
        elif isinstance(part, FUNCTIONS) and part is not node:
            links.append(({part.name}, _names(part)))
    before = -1
    while before != len(found):  # what is made from one may be another name for it
        before = len(found)
        found = found.union(*(bound for bound, mentioned in links if mentioned & found))
    return frozenset(found)


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _makes_collection(value: ast.AST) -> bool:
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id in ("list", "dict", "set")
    return isinstance(value, COLLECTIONS)


def _changed_by(call: ast.Call, itself: str, changeable: frozenset[str]) -> set[str]:
    """What a call may change in place."""
    found: set[str] = set()
    if isinstance(call.func, ast.Attribute) and call.func.attr in MUTATORS:
        found |= {_base(call.func.value, itself)} - {""}
        found |= _names(call.func.value) & changeable
    if not is_harmless(call.func):
        given = [*call.args, *(one.value for one in call.keywords)]
        found |= {name for one in given for name in _names(one)} & changeable if changeable else set()
    return found


def makes(call: ast.Call) -> bool:
    """Whether a call by its looks makes an object: its class does not rest on what it is made from."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name.lstrip("_")[:1].isupper()


def is_harmless(function: ast.expr) -> bool:
    """Whether a function by its name only writes a message."""
    while isinstance(function, ast.Attribute):
        if any(word in function.attr for word in HARMLESS):
            return True
        function = function.value
    return isinstance(function, ast.Name) and any(word in function.id for word in HARMLESS)


def _base(node: ast.expr, itself: str) -> str:
    """The variable, or attribute of the object, that a chain of subscripts and attributes begins with."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        if isinstance(node, ast.Attribute) and itself and _is_name(node.value, itself):
            return f"self.{node.attr}"
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def changes(node: ast.AST) -> bool:
    """Whether an expression may change a list, or bind a name, besides what it comes to."""
    return any(
        isinstance(part, ast.NamedExpr)
        or (isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in MUTATORS)
        for part in ast.walk(node)
    )
