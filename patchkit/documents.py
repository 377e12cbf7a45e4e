"""Documents that people write by hand in YAML, and what is said of a wrong one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor

from patchkit.errors import PatchkitError


class TextKeys(SafeConstructor):
    """Plain values only; but a key is a text, also ``off``, which YAML 1.1 takes for false."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        if isinstance(node, yaml.MappingNode):
            for key, _ in node.value:
                if key.tag == "tag:yaml.org,2002:bool":
                    key.tag = "tag:yaml.org,2002:str"
        return super().construct_mapping(node, deep=deep)


class PlainLoader(TextKeys, yaml.SafeLoader):
    """Written in Python; it says best what is wrong."""


class QuickLoader(TextKeys, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same values in an eighth of the time, where PyYAML was built with libyaml."""


def parse_yaml(text: str) -> Any:
    """The plain values in a text; a ``yaml.YAMLError`` if it is no YAML."""
    try:
        return yaml.load(text, Loader=QuickLoader)
    except yaml.YAMLError:
        return yaml.load(text, Loader=PlainLoader)


def read_yaml(path: Path) -> Any:
    """The plain values in a file; one that cannot be read, or is no YAML, is one line that names the place."""
    try:
        return parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        what = f"cannot read {path}: {error.strerror or error}"
        raise PatchkitError(what, "check the file and its permissions") from None
    except UnicodeDecodeError:
        raise PatchkitError(f"{path}: not a text file in UTF-8", "save the file as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        what = f"{path}: {line}{getattr(error, 'problem', None) or error}"
        raise PatchkitError(what, "write it as YAML") from None
    except (RecursionError, ValueError) as error:
        what = f"{path}: not YAML that can be read ({type(error).__name__}: {error})"
        raise PatchkitError(what, "write plain values") from None


def key_values(texts: Iterable[str], option: str, form: str = "KEY=VALUE") -> dict[str, Any]:
    """``key=value`` texts of an option as a mapping, values read as YAML; ``form`` is what the option takes.

    Raises:
        PatchkitError: a text has no key or no value, or its value is not YAML.
    """
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key.strip() or not equals:
            raise PatchkitError(f"{option}: {text!r} is not KEY=VALUE", f"write {option} {form}")
        try:
            found[key.strip()] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError):
            what = f"{option} {text}: {value!r} is not a value in YAML"
            raise PatchkitError(what, "put it in quotes if it is meant as it stands") from None
    return found


def field_first(message: str) -> str:
    """msgspec says ``what - at `$.field` ``; people look for the field first."""
    what, _, where = message.partition(" - at `$")
    field = where.rstrip("`").lstrip(".")
    return f"{field}: {what}" if field else what
