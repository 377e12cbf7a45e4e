"""Which class is instantiated, on small made-up packages, on garbage, and against Python itself."""

from __future__ import annotations

import ast
import random
import textwrap
import time
from collections.abc import Collection, Mapping
from itertools import product

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from patchkit.drift.inference import Inference
from patchkit.drift.package import Package, Universe
from patchkit.drift.selection import Circumstances, Selection, selected
from patchkit.drift.source import source_of
from patchkit.errors import PatchkitError

OLD, NEW = "kit.runners.Runner", "kit.later.runners.Runner"
BY = "kit.worker.Worker.start"

WORKER = """
from kit.settings import Settings
from kit.runners import Runner

class Worker:
    def __init__(self, settings: Settings):
        self.settings = settings
        self.modern = settings.modern

    def start(self):
        if self.modern:
            from kit.later.runners import Runner as Late
            self.runner: Runner = Late(self.settings)
        else:
            self.runner = Runner(self.settings)
"""
SETTINGS = """
import os
from enum import Enum
from dataclasses import field
from importlib.metadata import entry_points
import kit.knobs as knobs
import elsewhere
from elsewhere import current_platform
from kit.triton import HAS_TRITON

NAMES = frozenset({"LlamaForCausalLM", "OtherForCausalLM"})
GROWN = ["Nothing"]
GROWN.append("LlamaForCausalLM")
ADDED_TO = []
count = 0

def bump():
    global count
    count = 1

def register(name):
    ADDED_TO.append(name)

class Mode(Enum):
    SLOW = 1
    FAST = 2

class Parallel:
    size: int = 1
    backend: str | None = None
    wide: bool
    kind: str | None = None

    def __post_init__(self):
        if self.kind is None:
            self.kind = "plain" if self.size == 1 else elsewhere.guess()

class ModelConfig:
    pass

class Settings:
    model_config: ModelConfig = None
    parallel: Parallel = field(default_factory=Parallel)
    extra: Parallel | None = None
    mode: Mode = Mode.SLOW

    def wrong(self) -> list[str]:
        found: list[str] = []
        if self.parallel.size > 1:
            found.append("size")
        if self.extra is not None:
            found.append(f"extra {self.extra}")
        elif self.parallel.backend in ("ray", "mp"):
            found.append("backend")
        return found

    @property
    def modern(self) -> bool:
"""
KNOBS = """
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    NEVER: bool = False
    MAYBE: bool | None = None
    ALWAYS: bool = True
    LATER: bool = False

def as_bool(text):
    if text is None:
        return None
    return bool(int(text))

table = {
    "NEVER": lambda: bool(int(os.getenv("NEVER", "0"))),
    "MAYBE": lambda: as_bool(os.environ.get("MAYBE", None)),
    "ALWAYS": lambda: os.getenv("ALWAYS", "Yes").lower() in ("1", "yes"),
    "LATER": lambda: mystery(),
}

def __getattr__(name):
    if name in table:
        return table[name]()
    raise AttributeError(name)
"""


class Written:
    """A release that a test writes."""

    release = "1"
    origin = "a test"

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files

    def read(self, path: str) -> str | None:
        return self.files.get(path)

    def paths(self) -> Collection[str]:
        return self.files


def package(modern: str = "return False", **others: str) -> dict[str, str]:
    files = {
        "runners": "class Runner:\n    pass\n\nclass Special(Runner):\n    pass\n",
        "later/__init__": "",
        "later/runners": "class Runner:\n    pass\n",
        "worker": WORKER,
        "settings": SETTINGS + textwrap.indent(textwrap.dedent(modern), " " * 8),
        "knobs": KNOBS,
        "__init__": "",
        **{name.replace("__", "/"): text for name, text in others.items()},
    }
    return {f"kit/{name}.py": text for name, text in files.items()}


def ask(
    files: Mapping[str, str], architecture: str = "LlamaForCausalLM", device: str = "cuda", by: str = BY
) -> Selection | None:
    universe = Universe(Package(Written(files), "kit"))
    assert device in ("cuda", "cpu")
    return selected(universe, Inference(universe), OLD, by, Circumstances(architecture, device))  # type: ignore[arg-type]


def outcome(modern: str, **circumstances: str) -> str:
    found = ask(package(modern), **circumstances)
    assert found is not None
    if len(found.chosen) > 1:
        assert set(found.chosen) == {OLD, NEW} and found.guessed
        return "both"
    return "new" if found.chosen == (NEW,) else "old"


RULES = {
    "return True": "new",
    "return not True": "old",
    "pass": "old",
    # The model.
    "return any(name in NAMES for name in self.model_config.architectures)": "new",
    "return 'MistralForCausalLM' in self.model_config.architectures": "old",
    "return self.model_config.architecture in GROWN": "new",
    "return bool(NAMES & set(self.model_config.architectures))": "new",
    "return self.model_config.is_moe or self.model_config.runner_type == 'generate'": "new",
    "return getattr(self.model_config, 'is_hybrid', True)": "old",
    "names = getattr(self.model_config, 'architectures', [])\nfor name in names:\n    if name in NAMES:\n"
    "        break\nelse:\n    return False\nreturn True": "new",
    # The device.
    "return HAS_TRITON": "new",
    "return current_platform.is_rocm() or not current_platform.is_cuda_alike()": "old",
    "from elsewhere import current_platform\nreturn current_platform.is_cuda()": "new",
    "return current_platform.device_type == 'cuda'": "new",
    "return current_platform.can_do_more()": "both",
    # The environment.
    "return knobs.NEVER": "old",
    "return knobs.MAYBE is not None": "old",
    "return knobs.ALWAYS": "new",
    "return knobs.LATER": "old",
    "return 'ANY' in os.environ": "old",
    "return bool(os.environ.get('ANY'))": "old",
    "return os.getenv('ANY', default='1') == '1'": "new",
    # Settings.
    "return self.parallel.size > 1": "old",
    "return self.extra is None": "new",
    "return self.mode == Mode.FAST": "old",
    "return self.mode != Mode.FAST": "new",
    "return getattr(self, 'nowhere', None) is None": "new",
    "return hasattr(self, 'nowhere')": "old",
    "return not self.wrong()": "new",
    "return self.parallel.kind == 'plain'": "new",
    "return isinstance(self.parallel, Parallel)": "new",
    # What is not known.
    "return elsewhere.flag": "both",
    "return elsewhere.flag and False": "old",
    "return elsewhere.flag or True": "new",
    "return self.parallel.size > elsewhere.most()": "both",
    "if elsewhere.flag:\n    return True\nreturn True": "new",
    "if elsewhere.flag:\n    raise ValueError\nreturn True": "new",
    "return count == 0": "both",
    "if elsewhere.flag:\n    found = [1]\nelse:\n    found = [2, 3]\nreturn bool(found)": "new",
    "found = []\nfor each in elsewhere.things:\n    found.append(each)\nreturn not found": "both",
    "found = []\nelsewhere.fill(found)\nreturn not found": "both",
    "found = []\nother = found\nother.append(1)\nreturn not found": "both",
    "found = []\ndef more():\n    found.append(1)\nmore()\nreturn not found": "both",
    "try:\n    elsewhere.flag()\n    answer = True\nexcept ValueError:\n    answer = False\nreturn answer": "both",
    "found = []\nelsewhere.flag() and found.append(1)\nreturn not found": "both",
    "found = []\nfound.append(1) if elsewhere.flag() else None\nreturn not found": "both",
    "n = 0\ntry:\n    n = 1\n    elsewhere.flag()\n    n = 0\nexcept ValueError:\n    pass\nreturn n == 0": "both",
    "for a in (1, 2):\n    for b in (3,):\n        pass\n    else:\n        break\n    return False\nreturn True": "new",
    "while elsewhere.flag():\n    return True\nreturn False": "both",
    "match elsewhere.flag():\n    case 1:\n        return True\n    case _:\n        return False": "both",
    "KNOWN = NAMES\nreturn 'LlamaForCausalLM' in KNOWN": "new",
    "return 'LlamaForCausalLM' in ADDED_TO": "both",
    "yield True": "both",
    "return self.modern": "both",
    "return (lambda: self.modern)()": "both",
    # Ways to write it.
    "answer = self.parallel.size == 1\nanswer &= True\nreturn answer": "both",
    "if (size := self.parallel.size) == 1:\n    return size\nreturn 0": "new",
    "def inner(size, limit=1):\n    return size <= limit\nreturn inner(self.parallel.size)": "new",
    "return {'a': True}.get('a') if self.extra else [False, True][1]": "new",
    "first, second = (False, True)\nreturn second": "new",
    "total = 0\nfor n in (1, 2, 3):\n    if n == 2:\n        continue\n    total += n\nreturn total == 4": "new",
    "return 0 < self.parallel.size < 2": "new",
    "with elsewhere.something() as thing:\n    return True": "new",
}


@pytest.mark.parametrize(("rule", "expected"), RULES.items(), ids=[rule[:60] for rule in RULES])
def test_rules(rule: str, expected: str) -> None:
    assert outcome(rule) == expected


def test_the_model_and_the_device_decide() -> None:
    by_name = "return any(name in NAMES for name in self.model_config.architectures)"
    assert outcome(by_name, architecture="Qwen2ForCausalLM") == "old"
    assert outcome("return HAS_TRITON", device="cpu") == "old"
    assert outcome("return current_platform.is_cpu()", device="cpu") == "new"


def test_settings_that_are_not_known_are_taken_as_off_and_said() -> None:
    found = ask(package("return not self.parallel.wide and not bool(entry_points(group='x'))"))
    assert found is not None and found.chosen == (NEW,)
    assert [line.partition(" (")[0] for line in found.guessed] == ["Parallel.wide", "entry_points(group='x')"]
    assert all(line.endswith("not known, taken as off") for line in found.guessed)


def test_settings_that_do_not_matter_are_not_said() -> None:
    found = ask(package("return self.parallel.wide or True"))
    assert found is not None and found.chosen == (NEW,) and found.guessed == ()


def test_the_rule_names_what_decided_and_where() -> None:
    body = """\
    wanted = knobs.MAYBE
    if wanted is not None:
        return wanted
    if self.model_config.is_moe:
        return False
    if not HAS_TRITON:
        return False
    return any(name in NAMES for name in self.model_config.architectures)
    """
    found = ask(package(body), architecture="Qwen2ForCausalLM")
    line = SETTINGS.count("\n") + 1
    assert found is not None
    assert found.rule == (
        "self.modern is false (worker.py:11)",
        f"wanted is None (settings.py:{line + 1}): MAYBE is not set",
        f"HAS_TRITON is true (settings.py:{line + 5}): Triton is there",
        f"any(name in NAMES for name in self.model_config.architectures) is false (settings.py:{line + 7}): "
        "the model is Qwen2ForCausalLM",
    )
    assert found.place == "worker.py:15"


WORKERS = {
    "by a method that another may replace": (
        """
        from kit.runners import Runner
        class Base:
            def start(self):
                if self.ready():
                    self.prepare()
            def ready(self):
                return True
            def prepare(self):
                self.runner: "Runner" = self.make()
            def make(self):
                return Runner()
        class Worker(Base):
            def make(self):
                from .later.runners import Runner as Late
                return Late()
        """,
        (NEW,),
    ),
    "a subclass": (
        """
        from kit.runners import Special
        class Worker:
            def start(self):
                self.runner = Special()
        """,
        ("kit.runners.Special",),
    ),
    "a class in a variable": (
        """
        import kit.runners, kit.later.runners as late
        class Worker:
            def __init__(self):
                self.modern = True
            def start(self):
                kind = late.Runner if self.modern else kit.runners.Runner
                self.runner = kind(self)
        """,
        (NEW,),
    ),
    "set above the call of the base class": (
        """
        from kit.runners import Runner
        from kit.later.runners import Runner as Late
        class Base:
            def __init__(self):
                self.modern = False
        class Worker(Base):
            def __init__(self):
                super().__init__()
                self.modern = True
            def start(self):
                self.runner = Late() if self.modern else Runner()
        """,
        (NEW,),
    ),
    "set by the base class": (
        """
        from kit.runners import Runner
        from kit.later.runners import Runner as Late
        class Base:
            def __init__(self):
                self.modern = True
        class Worker(Base):
            def __init__(self):
                self.modern = False
                super().__init__()
            def start(self):
                self.runner = Late() if self.modern else Runner()
        """,
        (NEW,),
    ),
    "set again later": (
        """
        from kit.runners import Runner
        from kit.later.runners import Runner as Late
        class Worker:
            def __init__(self):
                self.modern = False
            def change(self):
                self.modern = True
            def start(self):
                self.runner = Late() if self.modern else Runner()
        """,
        (NEW, OLD),
    ),
    "by a property that rests on what was just set": (
        """
        from kit.runners import Runner
        from kit.later.runners import Runner as Late
        class Worker:
            def __init__(self):
                self.modern = False
            @property
            def kind(self):
                return Late if self.modern else Runner
            def start(self):
                setattr(self, "modern", True)
                self.runner = self.kind()
        """,
        (NEW,),
    ),
    "put first and then replaced": (
        """
        from kit.runners import Runner
        from kit.later.runners import Runner as Late
        class Worker:
            def start(self):
                self.runner = Runner()
                if self.check():
                    self.runner = Late()
            def check(self):
                return len([1]) == 1
        """,
        (NEW,),
    ),
    "under conditions that the module itself decides": (
        """
        from typing import TYPE_CHECKING
        import os
        if TYPE_CHECKING:
            from kit.runners import Runner as Chosen
        elif os.getenv("X"):
            from kit.runners import Runner as Chosen
        else:
            from kit.later.runners import Runner as Chosen
        class Worker:
            def start(self):
                self.runner = Chosen()
        """,
        (NEW,),
    ),
    "where the other way raises": (
        """
        from kit.runners import Runner
        class DeviceConfig:
            device_type: str
        class Worker:
            def __init__(self, device: DeviceConfig):
                self.device = device
            def start(self):
                if self.device.device_type == "cuda":
                    self.runner = Runner()
                else:
                    raise RuntimeError
        """,
        (OLD,),
    ),
    "never, as every way raises": (
        """
        from kit.runners import Runner
        class Worker:
            def start(self):
                self.runner = Runner()
                raise RuntimeError
        """,
        None,
    ),
    "another thing": (
        """
        class Walker:
            pass
        class Worker:
            def start(self):
                self.runner = Walker()
        """,
        None,
    ),
}


@pytest.mark.parametrize(("worker", "expected"), WORKERS.values(), ids=WORKERS)
def test_ways_to_instantiate(worker: str, expected: tuple[str, ...] | None) -> None:
    found = ask(package(worker=textwrap.dedent(worker)))
    assert (found.chosen if found else None) == expected


def test_a_function_that_returns_it() -> None:
    made = "from kit.runners import Runner\ndef make():\n    return Runner()\n"
    found = ask(package(worker=made), by="kit.worker.make")
    assert found is not None and (found.chosen, found.place) == ((OLD,), "worker.py:3")


@pytest.mark.parametrize("by", ["kit.worker.Worker.stop", "kit.nowhere.Worker.start", "kit.worker.Worker", "kit", ""])
def test_no_such_method(by: str) -> None:
    assert ask(package(), by=by) is None


@pytest.mark.parametrize(
    "body",
    [
        "return " + " + ".join(["1"] * 900),
        "return " + "not " * 190 + "True",
        "x = 'a'\n" + "x = x + x\n" * 200 + "return x",
        "x = [1]\n" + "x = x + x\n" * 200 + "return x",
        "\n".join(f"{'    ' * depth}if elsewhere.f({depth}):" for depth in range(80))
        + "\n"
        + " " * 320
        + "return True",
        "\n".join(f"{'    ' * depth}for a{depth} in range(9):" for depth in range(15))
        + "\n"
        + " " * 60
        + "return True",
        "\n".join(f"if elsewhere.f{n}:\n    x{n} = {n}" for n in range(200)) + "\nreturn x1",
        "a = 9 ** 9 ** 9 ** 9\nreturn a",
        "return int('9' * 100000) > 1",
        "def f(n):\n    return f(n + 1) or f(n - 1)\nreturn f(0)",
        "f = lambda g: g(g)\nreturn f(f)",
        "return [[[a for a in range(9)] for b in range(9)] for c in range(9)]",
        "for a in " + repr(list(range(64))) + ":\n    for b in " + repr(list(range(64))) + ":\n        pass\nreturn a",
    ],
)
def test_nothing_takes_long(body: str) -> None:
    start = time.process_time()
    found = ask(package(body))
    assert found is not None and found.chosen
    assert time.process_time() - start < 2


PIECES = [line for text in (WORKER, SETTINGS, KNOBS) for line in text.split("\n")] + [
    f"        {rule_line}" for rule in RULES for rule_line in rule.split("\n")
]


def is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_garbage_never_raises(seed: int) -> None:
    """Lines of all bodies, dropped, doubled, moved about and cut, as far as that is still Python."""
    dice = random.Random(seed)
    files = package(dice.choice(list(RULES)))
    for path in ("kit/worker.py", "kit/settings.py", "kit/knobs.py"):
        lines = files[path].split("\n")
        for _ in range(dice.randrange(4)):
            at = dice.randrange(len(lines))
            line = lines[at]
            words = line.split(" ")
            dice.shuffle(words)
            piece = dice.choice(PIECES)
            lines[at : at + 1] = dice.choice([[], [line, line], [piece], [line, piece], [line[:-1]], [" ".join(words)]])
        files[path] = "\n".join(lines)
        assume(is_python(files[path]))
    found = ask(files)
    assert found is None or set(found.chosen) <= {OLD, NEW, "kit.runners.Special"}


TESTS = """\
a; b; not a; a == b; a is None; b is not None; a in xs; len(xs) > 1; xs; not ys; a != 1; xs == ys; a in (0, None); \
any(x == a for x in xs); all(xs); elsewhere.flag(); elsewhere.flag(); bool(b); isinstance(a, int); b is True; \
(b or a) == 1; (a and b) is None; 0 in ys"""


class Bodies:
    """Random function bodies that Python can run, with calls of ``elsewhere.flag()`` that nobody can foresee."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.left = 20
        self.inner = [name for name in INNER if self.dice.random() < 0.15]

    def test(self, depth: int = 0) -> str:
        plain = TESTS.split("; ")
        if depth > 1 or self.dice.random() < 0.6:
            return self.dice.choice(plain)
        return f"({self.test(depth + 1)} {self.dice.choice(['and', 'or'])} {self.test(depth + 1)})"

    def simple(self, looping: bool) -> str:
        constants = [
            "0",
            "1",
            "True",
            "None",
            "b",
            "a",
            "[]",
            "len(xs)",
            "xs",
            "(a or b)",
            "a if b else xs",
            "ys or xs",
        ]
        lists = ["[]", "[0, 1]", "[a]", "list(xs)", "ys", "sorted([1])", "[x for x in xs if x]"]
        kinds = [
            f"a = {self.dice.choice(constants)}",
            f"b = {self.test()}",
            f"xs = {self.dice.choice(lists)}",
            f"ys = {self.dice.choice(['xs', '[1]', '[]', 'list(xs)'])}",
            f"xs.append({self.dice.choice(['a', '1', 'None'])})",
            "ys.append(b)",
            "xs.extend(ys[:0])",
            "xs.clear()",
            "xs = xs + [b]",
            "xs += [0]",
            "a = f(a)",
            "a, b = b, a",
            f"return {self.test()}",
            f"return {self.dice.choice(constants)}",
            "raise ValueError",
            "elsewhere.note(xs)",
            "elsewhere.flag() and xs.append(1)",
            "[xs.append(y) for y in ys[:1]]",
            "(xs or ys).append(0)",
            "xs = [ys]",
            "xs[:] = [a]",
            "del xs[:1]",
            "a = xs.pop() if xs else 0",
            "zs = (xs, ys)",
            "zs[0].append(1)",
            "zs[len(xs) and 1].append(1)",
            "[xs, ys][elsewhere.some() == [0]].append(1)",
            "{'a': xs}['a'].append(1)",
            "elsewhere.kept = xs",
            "elsewhere.poke()",
            "a, *b = xs, ys",
            "a = [*xs, *ys]",
            "xs.insert(0, a)",
            "(xs if elsewhere.flag() else ys).append(0)",
            "a = (lambda x=1: x + len(ys))()",
            "a = xs and elsewhere.note(xs)",
            "(b := not a)",
            "pass",
        ] + (["break", "continue"] * 3 if looping else [])
        return self.dice.choice(kinds + [use for name in self.inner for use in INNER[name][1]] * 3)

    def block(self, depth: int = 0, looping: bool = False) -> list[str]:
        lines: list[str] = []
        for _ in range(self.dice.randrange(1, 5)):
            self.left -= 1
            kind = self.dice.random()
            if depth > 2 or self.left < 0 or kind < 0.5:
                lines.append(self.simple(looping))
            elif kind < 0.8:
                lines += [f"if {self.test()}:", *self._inside(depth, looping)]
                if self.dice.random() < 0.5:
                    lines += ["else:", *self._inside(depth, looping)]
            elif kind < 0.93:
                over = self.dice.choice(["[0, 1, None]", "xs[:]", "(1,)", "elsewhere.some()"])
                head = f"for a in {over}:" if self.dice.random() < 0.7 else f"while {self.test()}:"
                lines += [head, "    elsewhere.turn()", *self._inside(depth, True)]
                if self.dice.random() < 0.2:
                    lines += ["else:", *self._inside(depth, looping)]
            else:
                lines += ["try:", *self._inside(depth, looping), "except ValueError:", *self._inside(depth, looping)]
        return lines

    def whole(self) -> str:
        inner = [INNER[name][0] for name in self.inner]
        return START + "\n".join([*inner, *self.block(), *self.block(), f"return {self.test()}"])

    def _inside(self, depth: int, looping: bool) -> list[str]:
        return [f"    {line}" for line in self.block(depth + 1, looping)]


class Elsewhere:
    """What nobody can foresee: answers by the bits of a number, and an end to every loop."""

    def __init__(self, bits: int) -> None:
        self.bits, self.calls, self.turns = bits, 0, 0
        self.kept: list[object] = []

    def flag(self) -> bool:
        self.calls += 1
        return self.calls < 12 and bool(self.bits >> (self.calls % 4) & 1)

    def poke(self) -> None:
        self.kept.append(1)

    def turn(self) -> None:
        self.turns += 1
        if self.turns > 200:
            raise EndlessError

    def some(self) -> list[int]:
        return [0, 1][: self.bits & 3]

    def note(self, xs: list[object]) -> None:
        if self.bits & 1:
            xs.append(1)


class EndlessError(Exception):
    """A loop that Python would never leave."""


def really(body: str, bits: int) -> bool | None:
    """What Python makes of a body; None if it raises or does not end."""
    names: dict[str, object] = {"elsewhere": Elsewhere(bits)}
    exec(body, names)
    try:
        return bool(names["decide"]())  # type: ignore[operator]
    except Exception:
        return None


START = """\
a, b = 0, None
xs = []
ys = [1]
def f(x, y=2):
    if x:
        return y
    return elsewhere.flag()
zs = ([], [])
"""
INNER = {
    "g": ("def g():\n    return xs", ["a = g()", "g().append(2)"]),
    "h": ("def h(x):\n    xs.append(x)", ["h(a)", "b = h"]),
    "k": ("def k():\n    nonlocal b\n    b = not b", ["k()"]),
    "m": ("m = lambda: xs.append(b)", ["m()", "a = m() or a"]),
}
"""Functions inside the body, and what is done with them."""


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**40))
def test_what_python_does_is_always_among_what_is_said(seed: int) -> None:
    """Whatever the body does when it is run, for any answers from elsewhere, the class that it leads to is named."""
    body = Bodies(seed).whole()
    found = ask(package(body))
    real = {really("def decide():\n" + textwrap.indent(body, "    "), bits) for bits in range(16)} - {None}
    wanted = {NEW if answer else OLD for answer in real}
    assert found is None or wanted <= set(found.chosen), body


def test_the_search_says_more_than_both() -> None:
    """That "both" is not its answer to everything: most random bodies without surprises are decided."""
    decided = 0
    for seed in range(40):
        body = Bodies(seed).whole()
        found = ask(package(body.replace("elsewhere.flag()", "a").replace("elsewhere.some()", "[0]")))
        decided += found is not None and len(found.chosen) == 1
    assert decided > 12


def test_two_questions_to_one_release_do_not_mix() -> None:
    universe = Universe(
        Package(Written(package("return HAS_TRITON and 'Llama' in self.model_config.architecture")), "kit")
    )
    inference = Inference(universe)
    for device, architecture in product(("cpu", "cuda", "cpu"), ("LlamaForCausalLM", "Qwen2ForCausalLM")):
        found = selected(universe, inference, OLD, BY, Circumstances(architecture, device))  # type: ignore[arg-type]
        new = device == "cuda" and architecture == "LlamaForCausalLM"
        assert found is not None and found.chosen == ((NEW,) if new else (OLD,))


HOOKED = "vllm.v1.worker.gpu_model_runner.GPUModelRunner"
LATER = "vllm.v1.worker.gpu.model_runner.GPUModelRunner"
ON_CPU = "vllm.v1.worker.cpu_model_runner.CPUModelRunner"
REAL = {
    "0.22.0": (HOOKED, HOOKED, LATER),
    "0.25.0": (LATER, LATER, LATER),
}


@pytest.mark.parametrize("release", REAL)
def test_vllm_itself(release: str) -> None:
    """The releases at which another model takes to the second runner, where the package index can be read."""
    try:
        universe = Universe(Package(source_of(release), "vllm"))
        universe.find(HOOKED)
    except PatchkitError as error:
        pytest.skip(str(error))
    inference = Inference(universe)
    found = {
        (device, architecture): selected(universe, inference, HOOKED, by, Circumstances(architecture, device))  # type: ignore[arg-type]
        for device, by in (
            ("cuda", "vllm.v1.worker.gpu_worker.Worker.init_device"),
            ("cpu", "vllm.v1.worker.cpu_worker.CPUWorker.init_device"),
        )
        for architecture in ("LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
    }
    chosen = [answer.chosen for answer in found.values() if answer]
    assert chosen == [(name,) for name in (*REAL[release], ON_CPU, ON_CPU, ON_CPU)]
