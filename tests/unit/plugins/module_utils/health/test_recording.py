# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a heartbeat's look means for the availability record, and that a full disk changes nothing but the record."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import journal
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.availability import Recorder, Transactions
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.recording import Recording, transaction
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.watch import Checker
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import (
    Finding,
    Look,
    Status,
    at_most,
)

LIMITS = (0.25, 2.0)


def look(finding: Finding | None = None, error: str | None = None) -> Look:
    return Look(0.0, "now", (finding,) if finding else (), error)


@pytest.mark.parametrize("seconds", [0.01, 0.5, 3.0])
def test_an_acknowledged_row_is_a_commit_however_slow_and_counts_from_its_acknowledgement(seconds: float) -> None:
    found = transaction(look(at_most("seconds", seconds, LIMITS, "s", "a row was written")), seconds, 100.0, 30.0)
    assert found == Transactions("committed", 100.0, 100.0, slowest=seconds, silence=30.0)


def test_a_failure_begins_where_the_transaction_did() -> None:
    found = transaction(look(Finding(Status.FAIL, "no row is written: refused", "seconds")), 2.0, 100.0, 30.0)
    assert found == Transactions("failed", 98.0, 100.0, slowest=2.0, reason="no row is written: refused", silence=30.0)


def test_a_check_that_could_not_look_knows_nothing() -> None:
    assert transaction(look(error="TypeError: x"), 0.1, 100.0, 30.0).outcome == "unknown"


def test_a_disk_that_takes_nothing_is_told_once_and_the_check_goes_on(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "record").write_text("in the way")
    record = Recording(Recorder(tmp_path / "record"), 10.0, said.append)
    checker = Checker("heartbeat", lambda: [at_most("seconds", 0.01, LIMITS, "s", "a row")], 1.0, record)
    for _turn in range(3):
        checker.step()
    assert len(said) == 1 and said[0].startswith("the availability record waits: ") and "cannot be written" in said[0]
    assert checker.latest is not None and checker.latest.findings[0].status is Status.PASS
    (tmp_path / "record").unlink()
    checker.step()
    assert sum(line["transactions"] for line in journal.read(tmp_path / "record").records) == 4
