"""The user's settings as passed to uv, and uv's failures as reported to the user."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchkit.environments.uv import environment_for_uv, failure, find_links_folders, pip_settings, uv
from patchkit.errors import PatchkitError


def settings_file(folder: Path, text: str) -> dict[str, str]:
    """An environment whose only pip configuration is ``text`` (besides the machine's, which it outranks)."""
    file = folder / "pip.conf"
    file.write_text(text)
    return {"PIP_CONFIG_FILE": str(file), "XDG_CONFIG_HOME": str(folder)}


def test_pip_settings_reach_uv(tmp_path: Path) -> None:
    environ = settings_file(tmp_path, "[global]\nindex-url = file:///a\nextra-index-url =\n  file:///b\n  file:///c\n")
    variables = environment_for_uv(environ)
    assert variables["UV_DEFAULT_INDEX"] == "file:///a"
    assert variables["UV_INDEX"] == "file:///b file:///c"
    assert variables["UV_INDEX_STRATEGY"] == "unsafe-best-match"


def test_variables_outrank_files_and_uv_outranks_pip(tmp_path: Path) -> None:
    environ = settings_file(tmp_path, "[install]\nindex-url = file:///a\n") | {"PIP_INDEX_URL": "file:///b"}
    assert pip_settings(environ)["index-url"] == "file:///b"
    assert environment_for_uv(environ | {"UV_DEFAULT_INDEX": "file:///c"})["UV_DEFAULT_INDEX"] == "file:///c"


def test_a_broken_pip_configuration_says_nothing(tmp_path: Path) -> None:
    assert "index-url" not in pip_settings(settings_file(tmp_path, "index-url = no section\n"))


def test_folders_of_wheels(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    assert find_links_folders({"PIP_FIND_LINKS": f"{wheels} {tmp_path / 'none'}"}) == [wheels]


def test_the_users_python_does_not_leak_into_uv() -> None:
    assert not {"VIRTUAL_ENV", "PYTHONPATH"} & environment_for_uv({"VIRTUAL_ENV": "x", "PYTHONPATH": "y"}).keys()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("error: failed to write\n  Caused by: No space left on device (os error 28)", "the disk is full"),
        ("  cause: dns error\n  cause: failed to lookup address", "the package index cannot be reached"),
        ("error: No interpreter found for Python 3.11", "no suitable Python"),
        (
            "  x No solution found\n  ╰─▶ Because torch==9 is not there and you require it",
            "Because torch==9 is not there",
        ),
        ("", "uv gave no reason"),
    ],
)
def test_a_failure_is_one_line(said: str, reason: str, tmp_path: Path) -> None:
    line = str(failure("cannot build it", said, tmp_path / "log"))
    assert line.startswith("cannot build it: ") and reason in line and str(tmp_path / "log") in line
    assert "\n" not in line


def test_a_log_that_cannot_be_written_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PatchkitError, match="cannot do it"):
        uv(["no-such-command"], "cannot do it", tmp_path / "file" / "log")
