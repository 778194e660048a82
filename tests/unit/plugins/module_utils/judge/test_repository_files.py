# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``pgbackrest verify`` says, in the words of pgBackRest 2.45 and 2.55."""

from __future__ import annotations

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.repository_files import judge
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Verdict

GOOD = """\
stanza: lab
status: ok
  archiveId: 15-1, total WAL checked: 12, total valid WAL: 12
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: 20261123-154349F, status: valid, total files checked: 1259, total valid files: 1259
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
"""
FAILED = {"missing": 0, "checksum invalid": 0, "size invalid": 0, "other": 0}


def test_a_whole_repository() -> None:
    checks = judge(1, GOOD)
    assert [(check.name, check.verdict) for check in checks] == [
        ("repository 1: files of WAL 15-1", Verdict.PASSED),
        ("repository 1: files of backup 20261123-154349F", Verdict.PASSED),
    ]
    assert checks[1].reason.startswith("1259 files")


@pytest.mark.sabotage
@pytest.mark.parametrize("fault", list(FAILED))
def test_each_kind_of_fault_fails_by_its_name(fault: str) -> None:
    wal, backup = judge(1, GOOD.replace(f"{fault}: 0", f"{fault}: 1"))
    assert (wal.verdict, wal.reason) == (Verdict.FAILED, f"of 12 files: 1 {fault}")
    assert (backup.verdict, backup.reason) == (Verdict.FAILED, f"of 1259 files: 1 {fault}")


def test_files_that_are_not_valid_fail_though_no_fault_is_counted() -> None:
    assert judge(1, GOOD.replace("total valid WAL: 12", "total valid WAL: 11"))[0].verdict is Verdict.FAILED
    assert judge(1, GOOD.replace("status: valid", "status: invalid"))[1].verdict is Verdict.FAILED


def test_a_backup_that_is_being_taken_is_unknown() -> None:
    assert judge(1, GOOD.replace("status: valid", "status: in-progress"))[1].verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("text", ["", "stanza: lab\nstatus: error\n", GOOD.replace("1259", "0").replace("12", "0")])
def test_nothing_that_was_read_proves_nothing(text: str) -> None:
    assert {check.verdict for check in judge(2, text)} == {Verdict.UNKNOWN}
