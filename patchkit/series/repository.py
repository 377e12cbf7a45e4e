"""git, through GitPython, isolated from the user's settings, hooks and keys; failures become one line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from git.cmd import Git
from git.exc import GitCommandError, GitCommandNotFound

from patchkit.errors import PatchkitError

SETTINGS = {
    "gc.auto": "0",
    "core.hooksPath": os.devnull,
    "commit.gpgSign": "false",
    "core.autocrlf": "false",
    "core.fsync": "none",  # a tree can be laid out again, and waiting for the disk takes most of the time
}
COMMITTER = {"NAME": "patchkit", "EMAIL": "patchkit@localhost", "DATE": "2025-01-01T00:00:00+0000"}


def isolated_git(folder: Path) -> Git:
    """git on the repository in ``folder`` alone; commits made through it depend on nothing but their content."""
    environment = {
        "GIT_DIR": str(folder / ".git"),
        "GIT_WORK_TREE": str(folder),
        "GIT_INDEX_FILE": str(folder / ".git" / "index"),
        "GIT_OBJECT_DIRECTORY": str(folder / ".git" / "objects"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_PARAMETERS": "",
        "GIT_CONFIG_COUNT": str(len(SETTINGS)),
        "GIT_NAMESPACE": "",
        "GIT_TERMINAL_PROMPT": "0",
    }
    for at, (key, value) in enumerate(SETTINGS.items()):
        environment |= {f"GIT_CONFIG_KEY_{at}": key, f"GIT_CONFIG_VALUE_{at}": value}
    for role in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{role}_{key}": value for key, value in COMMITTER.items()}
    git = Git(folder)
    git.update_environment(**environment)
    return git


def complaints(error: GitCommandError) -> list[str]:
    """git's output when it failed, lines that name a cause first."""
    said = re.sub(r"^\s*std(err|out): '|'\s*$", "", str(error.stderr or error.stdout))
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return sorted(lines, key=lambda line: not line.startswith(("fatal:", "error:")))


def last_words(error: GitCommandError) -> str:
    if isinstance(error.status, int) and error.status < 0:
        return f"git died of signal {-error.status}"
    return next(iter(complaints(error)), f"git ended with {error.status}")


@contextmanager
def one_line_errors(what: str, fix: str = "check free space and permissions there") -> Iterator[None]:
    """Turn what git and the file system complain of while doing ``what`` into a :class:`PatchkitError`."""
    try:
        yield
    except GitCommandNotFound as error:
        raise PatchkitError(f"{what}: git is not there", "install git 2.32 or newer") from error
    except GitCommandError as error:
        raise PatchkitError(f"{what}: {last_words(error)}", fix) from error
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise PatchkitError(f"{what}: {error.strerror or error}{place}", fix) from error
