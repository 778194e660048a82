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
import typing as t

from pytest_run import Tried, report, tried

#: Seconds for all of them.
TIMEOUT = 1800.0
FIGURE = "verify_sabotage_caught"
#: The folder of a run keeps the names of those that were tried.
STATE = "sabotages.json"


def demand_caught(found: t.Sequence[Tried]) -> None:
    """:raises AssertionError: one was not caught by its check; or there was none."""
    escaped = [f"{one.name} ({one.missed})" for one in found if one.missed]
    if escaped or not found:
        told = "; ".join(escaped) or "no sabotage was tried"
        raise AssertionError(f"{len(found) - len(escaped)} of {len(found)} sabotages were caught: {told}")


def run_all() -> list[Tried]:
    return tried(report("-m", "sabotage", "tests/unit/plugins", timeout=TIMEOUT))


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
