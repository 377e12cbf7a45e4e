"""Documents that people write by hand in YAML, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from patchkit.errors import PatchkitError


def read_yaml(path: Path) -> Any:
    """The plain values in a file; one that cannot be read, or is no YAML, is one line that names the place."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PatchkitError(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise PatchkitError(f"{path}: not a text file in UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise PatchkitError(f"{path}: {where}{getattr(error, 'problem', None) or error}") from None
    except (RecursionError, ValueError) as error:
        raise PatchkitError(f"{path}: not YAML that can be read ({type(error).__name__}: {error})") from None


def field_first(message: str) -> str:
    """msgspec says ``what - at `$.field` ``; people look for the field first."""
    what, _, where = message.partition(" - at `$")
    field = where.rstrip("`").lstrip(".")
    return f"{field}: {what}" if field else what
