# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests that measure: they are run by pytest, and its report in JUnit's XML is read."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path
from xml.etree import ElementTree

TOP = Path(__file__).resolve().parents[2]
#: What pytest puts into a case that did not pass.
MISSED = ("failure", "error", "skipped")


class Tried(t.NamedTuple):
    """One test, what it recorded, and why it does not count as passed; empty where it did."""

    name: str
    missed: str
    properties: dict[str, str]


def report(*arguments: str, timeout: float) -> str:
    """
    :raises AssertionError: pytest wrote no report.
    """
    with tempfile.TemporaryDirectory(prefix="resilience-report-") as folder:
        path = Path(folder) / "report.xml"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={path}", *arguments],
            capture_output=True, text=True, timeout=timeout, cwd=TOP, check=False,
        )  # fmt: skip
        if not path.exists():
            raise AssertionError(f"pytest ended with {done.returncode}: {(done.stderr or done.stdout)[-1500:]}")
        return path.read_text(encoding="utf-8")


def tried(text: str) -> list[Tried]:
    cases = ElementTree.fromstring(text).iter("testcase")
    return [Tried(case.get("name", ""), missed(case), properties(case)) for case in cases]


def missed(case: ElementTree.Element) -> str:
    for word in MISSED:
        found = case.find(word)
        if found is not None:
            return f"{word}: {found.get('message', '').splitlines()[0] if found.get('message') else ''}"
    return ""


def properties(case: ElementTree.Element) -> dict[str, str]:
    return {one.get("name", ""): one.get("value", "") for one in case.iter("property")}
