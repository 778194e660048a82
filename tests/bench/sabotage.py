# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many sabotages of a verification are found, each by the check for it?

The sabotages are the tests that carry ``@pytest.mark.sabotage``: each spoils one thing, in a real repository, a real
copy or in what a program says, and demands the name and the verdict of one check. They are run, not listed again here.
No lab is needed. One that is not caught, or could not be tried, ends the measurement.

    .venv/bin/python tests/bench/sabotage.py        once, on the terminal
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path
from xml.etree import ElementTree

TOP = Path(__file__).resolve().parents[2]
#: Seconds for all of them.
TIMEOUT = 1800.0
FIGURE = "verify_sabotage_caught"
#: The folder of a run keeps the names of those that were tried.
STATE = "sabotages.json"
#: What pytest puts into a case that did not pass.
MISSED = ("failure", "error", "skipped")


class Tried(t.NamedTuple):
    """One sabotage, and why it does not count as caught; empty where it was."""

    name: str
    missed: str


def tried(report: str) -> list[Tried]:
    """From pytest's report in JUnit's XML."""
    cases = ElementTree.fromstring(report).iter("testcase")
    return [Tried(case.get("name", ""), missed(case)) for case in cases]


def missed(case: ElementTree.Element) -> str:
    for word in MISSED:
        found = case.find(word)
        if found is not None:
            return f"{word}: {found.get('message', '').splitlines()[0] if found.get('message') else ''}"
    return ""


def demand_caught(found: t.Sequence[Tried]) -> None:
    """:raises AssertionError: one was not caught by its check; or there was none."""
    escaped = [f"{one.name} ({one.missed})" for one in found if one.missed]
    if escaped or not found:
        told = "; ".join(escaped) or "no sabotage was tried"
        raise AssertionError(f"{len(found) - len(escaped)} of {len(found)} sabotages were caught: {told}")


def run_all() -> list[Tried]:
    with tempfile.TemporaryDirectory(prefix="resilience-sabotage-") as folder:
        report = Path(folder) / "report.xml"
        argv = [sys.executable, "-m", "pytest", "-m", "sabotage", "-q", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*argv, f"--junitxml={report}", "tests/unit/plugins"],
            capture_output=True, text=True, timeout=TIMEOUT, cwd=TOP, check=False,
        )  # fmt: skip
        if not report.exists():
            raise AssertionError(f"pytest ended with {done.returncode}: {(done.stderr or done.stdout)[-1500:]}")
        return tried(report.read_text(encoding="utf-8"))


def caught(bench: t.Any) -> dict[str, float]:
    """One round: the sample by the id of its figure."""
    found = run_all()
    demand_caught(found)
    (bench.folder / STATE).write_text(json.dumps([one.name for one in found]), encoding="utf-8")
    return {FIGURE: sum(not one.missed for one in found)}


def total(bench: t.Any) -> dict[str, float]:
    """Beside it: how many were tried in this round."""
    return {FIGURE: len(json.loads((bench.folder / STATE).read_text(encoding="utf-8")))}


if __name__ == "__main__":
    for one in run_all():
        print(f"{'caught' if not one.missed else 'MISSED'}: {one.name} {one.missed}", flush=True)
