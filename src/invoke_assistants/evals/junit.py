"""Evaluations as a JUnit file, which CI shows case by case; its failures and errors are those of the verdict."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from ..text import printable
from ..types import EvalCase
from .evaluation import Evaluation
from .report import Compared, EvalReport, describe_rate
from .verdict import passes

__all__ = ["junit_error", "junit_xml"]

DECLARATION = '<?xml version="1.0" encoding="utf-8"?>'


def junit_xml(report: EvalReport) -> bytes:
    """The report as XML: a suite for each assistant, a test for each case.

    A case that failed where its assistant passed all the same is a skipped test: the file fails if and only if the command does.
    """
    suites = ET.Element("testsuites", name="evals")
    for each in report.evaluations:
        suite = ET.SubElement(suites, "testsuite", name=printable(each.title))
        for case in each.result.cases:
            _add_case(suite, each, case)
        for compared in report.compared:
            if compared.here is each:
                _add_comparison(suite, compared)
    return _document(suites)


def junit_error(message: str) -> bytes:
    """The XML of a command that came to no report: one test, which is an error."""
    suites = ET.Element("testsuites", name="evals")
    suite = ET.SubElement(suites, "testsuite", name="inv asst.eval")
    test = ET.SubElement(suite, "testcase", classname="inv asst.eval", name="it comes to its end")
    ET.SubElement(test, "error", message=printable(message))
    return _document(suites)


def _document(suites: ET.Element) -> bytes:
    for element in (*suites, suites):
        for attribute, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            element.set(attribute, str(sum(1 for _ in element.iter(tag))))
    ET.indent(suites)
    return f"{DECLARATION}\n{ET.tostring(suites, 'unicode')}\n".encode()


def _add_case(suite: ET.Element, each: Evaluation, case: EvalCase) -> None:
    test = ET.SubElement(suite, "testcase", classname=printable(each.title), name=printable(case.name))
    if passes(case, each.rule):
        return
    kind = "error" if case.label == "error" else "skipped" if each.result.passed else "failure"
    message = f"{case.label}: {describe_rate(each)}" if kind == "skipped" else case.label
    found = ET.SubElement(test, kind, message=printable(message))
    found.text = printable("\n".join(each.reasons.get(case.name, ("known from an earlier run",))), prose=True)


def _add_comparison(suite: ET.Element, compared: Compared) -> None:
    name = f"no worse than {compared.there.target.environment.name}"
    test = ET.SubElement(suite, "testcase", classname=printable(compared.here.title), name=printable(name))
    if compared.problem:
        ET.SubElement(test, "error" if compared.there.errors else "failure", message=printable(compared.problem))
