# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many of the faults that pg_isready or SELECT 1 do not see does the health agent say?

The tests of tests/unit/roles/health are run: each makes one of them beside a real PostgreSQL. No lab is needed.

    .venv/bin/python tests/bench/green_faults.py        once, on the terminal
"""

from __future__ import annotations

import json
import typing as t

from pytest_run import Tried, report, tried

TESTS = ("tests/unit/roles/health/test_health_faults.py", "tests/unit/roles/health/test_green_faults.py")
#: Seconds for all of them.
TIMEOUT = 600.0
#: By the fault, the test that makes it.
FAULTS = {
    "postmaster frozen": "test_a_frozen_postmaster_lets_its_sessions_live_and_nobody_in",
    "all slots taken": "test_all_connection_slots_are_taken",
    "synchronous standby gone": "test_a_synchronous_standby_that_is_gone",
    "storage of WAL frozen": "test_wal_whose_storage_is_frozen",
    "input/output errors in a tablespace": "test_a_tablespace_whose_blocks_cannot_be_read",
    "page corrupt": "test_a_page_of_a_table_is_corrupt",
    "page corrupt, without checksums": "test_corruption_that_nobody_would_notice",
    "locked out by pg_hba.conf": "test_a_lock_out_by_pg_hba",
    "/dev/shm too small": "test_shared_memory_that_is_too_small",
    "queue behind a lock": "test_a_queue_behind_a_lock",
    "archive takes nothing": "test_an_archive_that_takes_nothing",
    "standby whose WAL is gone": "test_a_standby_whose_wal_is_gone",
    "two primaries": "test_two_primaries",
}


def seen(_bench: t.Any = None) -> dict[str, float]:
    """One round."""
    return samples(tried(report("-m", "slow", *TESTS, timeout=TIMEOUT)))


def total(_bench: t.Any = None) -> dict[str, float]:
    return {"green_faults_seen": len(FAULTS)}


def samples(found: t.Sequence[Tried]) -> dict[str, float]:
    """A fault whose test failed, was skipped or is not there was not seen."""
    passed = {one.name for one in found if not one.missed}
    return {"green_faults_seen": sum(test in passed for test in FAULTS.values())}


if __name__ == "__main__":
    print(json.dumps(seen()))
