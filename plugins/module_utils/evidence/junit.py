# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""junit.xml: the checks as tests, for what shows test results. Unknown is an error there: it must never look green."""

from __future__ import annotations

import typing as t
from xml.etree import ElementTree  # it only writes here; nothing foreign is parsed


def junit(report: t.Mapping[str, t.Any]) -> bytes:
    """One suite a report, one case a check."""
    checks = report["checks"]
    subject = report["scenario"] or report["operation"]
    counts = {
        "tests": str(len(checks)),
        "failures": str(sum(check["verdict"] == "failed" for check in checks)),
        "errors": str(sum(check["verdict"] == "unknown" for check in checks)),
        "skipped": "0",
        "time": f"{report['duration_seconds']:.3f}",
    }
    top = ElementTree.Element("testsuites", {"name": "fraiseql.resilience", **counts})
    attributes = {
        "name": f"{subject} on {report['cluster']}",
        "timestamp": report["began_utc"].split(".")[0].rstrip("Z"),
    }
    suite = ElementTree.SubElement(top, "testsuite", {**attributes, **counts})
    for check in checks:
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": f"{report['operation']}.{subject}", "name": check["name"], "time": "0"}
        )
        _outcome(case, check)
    ElementTree.indent(top)
    text: bytes = ElementTree.tostring(top, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _outcome(case: ElementTree.Element, check: t.Mapping[str, str]) -> None:
    reason = _printable(check["reason"])
    if check["verdict"] == "failed":
        ElementTree.SubElement(case, "failure", {"message": reason, "type": "failed"})
    elif check["verdict"] == "unknown":
        ElementTree.SubElement(case, "error", {"message": reason, "type": "unknown"})
    else:
        ElementTree.SubElement(case, "system-out").text = reason


def _printable(text: str) -> str:
    """XML 1.0 has no place for control characters."""
    return "".join(letter if letter in "\n\t" or ord(letter) >= 32 else "\N{REPLACEMENT CHARACTER}" for letter in text)
