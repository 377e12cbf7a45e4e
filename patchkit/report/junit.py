"""JUnit XML, which most CI systems read."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from patchkit.report import phrases
from patchkit.report.cases import Judged, JudgedCase, Suite

NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(judged: Judged) -> str:
    time = f"{judged.about.seconds:.3f}" if judged.about else "0"
    root = _element(None, "testsuites", name=judged.title, time=time)
    for suite in judged.suites:
        _add_suite(root, suite, judged)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _add_suite(root: ET.Element, suite: Suite, judged: Judged) -> None:
    failures = sum(not case.passed for case in suite.cases)
    counts = {"tests": str(len(suite.cases)), "failures": str(failures), "errors": "0", "skipped": "0"}
    began = {"timestamp": judged.about.began} if judged.about else {}
    made = _element(root, "testsuite", name=suite.name, **began, **counts)
    if judged.about:
        properties = _element(made, "properties")
        for key, value in phrases.circumstances(judged.about).items():
            _element(properties, "property", name=key, value=value)
    for case in suite.cases:
        _add_case(made, case)


def _add_case(suite: ET.Element, case: JudgedCase) -> None:
    made = _element(suite, "testcase", classname=case.group, name=case.name, time=f"{case.seconds:.3f}")
    if not case.passed:
        _element(made, "failure", message=case.message, type="red").text = _clean(case.details)


def _element(parent: ET.Element | None, tag: str, **attributes: str) -> ET.Element:
    """An element whose attributes hold only what XML can."""
    attributes = {name: _clean(value) for name, value in attributes.items()}
    return ET.Element(tag, attributes) if parent is None else ET.SubElement(parent, tag, attributes)


def _clean(text: str) -> str:
    return NOT_IN_XML.sub("\ufffd", text)
