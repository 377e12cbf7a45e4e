"""JUnit XML, which most CI systems read."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from patchkit.gates.evidence import Circumstances, Evidence
from patchkit.report import patches_needed, phrases

NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def class_name(evidence: Circumstances) -> str:
    """``RUNTIME.vllm-0.20.0.cpu``, and ``.v2`` behind it for the second model runner, ``.graphs`` for graphs."""
    runner = "" if evidence.runner == "v1" else f".{evidence.runner}"
    mode = "" if evidence.mode == "eager" else f".{evidence.mode}"
    return f"{evidence.runtime.name}.vllm-{evidence.release}.{evidence.device}{runner}{mode}"


def render(evidence: Evidence) -> str:
    root = element(None, "testsuites", name=phrases.headline(evidence), time=f"{evidence.seconds:.3f}")
    place = class_name(evidence)
    if evidence.verdicts:
        found = [one.passed for one in evidence.verdicts]
        suite = new_suite(root, f"{evidence.kind} on {place}", found, evidence)
        for verdict in evidence.verdicts:
            message = None if verdict.passed else phrases.explained(verdict)
            details = "\n".join([*verdict.reasons, phrases.last_words(verdict)])
            add_case(suite, place, verdict.scenario, verdict.seconds, message, details)
    if evidence.knockouts:
        found = [one.caught for one in evidence.knockouts]
        suite = new_suite(root, f"knock-outs on {place}", found, evidence)
        for knocked in evidence.knockouts:
            message = None if knocked.caught else phrases.outcome(knocked)
            details = "\n".join(f"{gate}: {brief.reason or 'green'}" for gate, brief in knocked.verdicts.items())
            need = f"{knocked.need}: {knocked.need_why}" if knocked.need else ""
            details = "\n".join(filter(None, (details, need, patches_needed.advice(knocked))))
            add_case(suite, f"{place}.knockout", knocked.patch, knocked.seconds, message, details)
    return document(root)


def document(root: ET.Element) -> str:
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def new_suite(root: ET.Element, name: str, found: list[bool], evidence: Circumstances) -> ET.Element:
    counts = {"tests": str(len(found)), "failures": str(found.count(False)), "errors": "0", "skipped": "0"}
    suite = element(root, "testsuite", name=name, timestamp=evidence.began, **counts)
    properties = element(suite, "properties")
    for key, value in phrases.circumstances(evidence).items():
        element(properties, "property", name=key, value=value)
    return suite


def add_case(
    suite: ET.Element, classname: str, name: str, seconds: float, message: str | None, details: str
) -> ET.Element:
    """One test case; a ``message`` makes it a failure."""
    case = element(suite, "testcase", classname=classname, name=name, time=f"{seconds:.3f}")
    if message is not None:
        element(case, "failure", message=message, type="red").text = clean(details)
    return case


def element(parent: ET.Element | None, tag: str, **attributes: str) -> ET.Element:
    """An element whose attributes hold only what XML can."""
    attributes = {name: clean(value) for name, value in attributes.items()}
    return ET.Element(tag, attributes) if parent is None else ET.SubElement(parent, tag, attributes)


def clean(text: str) -> str:
    return NOT_IN_XML.sub("\ufffd", text)
