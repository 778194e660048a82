# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judgements of what a restored copy showed."""

from __future__ import annotations

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import verification as judge

CHECKED = "Checksum operation completed\nFiles scanned:   953\nBlocks scanned:  3444\nBad checksums:  {bad}\n"
PAGE = 'pg_checksums: error: checksum verification failed in file "base/5/1", block 3: calculated checksum 1'


@pytest.mark.parametrize(
    ("rc", "text", "enabled", "verdict", "reason"),
    [
        (0, CHECKED.format(bad=0), True, "passed", "3444 pages of 953 files"),
        (1, f"{PAGE}\n{CHECKED.format(bad=1)}", True, "failed", 'in file "base/5/1", block 3'),
        (0, CHECKED.format(bad=0).replace("3444", "0"), True, "unknown", "ended with 0"),
        (1, "pg_checksums: error: cluster must be shut down", True, "unknown", "must be shut down"),
        (1, "pg_checksums: error: data checksums are not enabled in cluster", False, "unknown", "no data checksums"),
        (0, "", True, "unknown", "it said nothing"),
    ],
)
def test_pages(rc: int, text: str, enabled: bool, verdict: str, reason: str) -> None:
    check = judge.pages(rc, text, enabled)
    assert (check.verdict.value, reason in check.reason) == (verdict, True), check


@pytest.mark.parametrize(
    ("rc", "verdict"), [(0, "passed"), (2, "failed"), (1, "unknown"), (127, "unknown"), (-15, "unknown")]
)
def test_structure_that_could_not_be_looked_at_is_unknown(rc: int, verdict: str) -> None:
    check = judge.structure(rc, "heap table is broken\n", thorough=False)
    assert check.verdict.value == verdict
    assert rc == 0 or "heap table is broken" in check.reason


@pytest.mark.parametrize(
    ("lsn", "verdict"), [("0/5000148", "passed"), ("0/5000100", "failed"), ("0/5000190", "failed"), (None, "failed")]
)
def test_a_recovery_has_to_end_exactly_at_its_target(lsn: str | None, verdict: str) -> None:
    assert judge.reached(0x5000148, lsn, "before LSN 0/5000148").verdict.value == verdict


def test_a_recovery_whose_time_was_up_says_nothing_of_the_backup() -> None:
    assert judge.reached(0x5000148, None, "waited 60 s in vain", died=False).verdict.value == "unknown"


@pytest.mark.sabotage
def test_the_copys_own_history_in_the_archive_fails_and_somebody_elses_is_unknown() -> None:
    own = ("00000002.history", "1\t0/5\tbefore LSN 0/5")
    same, others = {"00000002.history": own[1]}, {"00000002.history": "1\t0/9\tno recovery target specified"}
    assert judge.untouched({}, {}, own).verdict.value == "passed"
    assert judge.untouched(others, others, own).verdict.value == "passed"
    assert judge.untouched({}, same, own).verdict.value == "failed"
    assert judge.untouched({}, others, own).verdict.value == "unknown"
    assert judge.untouched(others, {}, None).verdict.value == "unknown"


def test_markers_count_from_both_sides() -> None:
    there = {"n": True, "n+1": False}
    assert judge.markers({}, [], []) is None
    assert judge.markers(there, ["n"], ["n+1"]).verdict.value == "passed"  # type: ignore[union-attr]
    assert judge.markers(there, ["n"], []).verdict.value == "unknown"  # type: ignore[union-attr]
    assert judge.markers(there, ["n+1"], ["n"]).verdict.value == "failed"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("seconds", "rto", "verdict"),
    [
        (10.0, 60.0, "passed"),
        pytest.param(61.0, 60.0, "failed", marks=pytest.mark.sabotage),
        (None, 60.0, "unknown"),
        (10.0, None, None),
    ],
)
def test_time(seconds: float | None, rto: float | None, verdict: str | None) -> None:
    check = judge.in_time(seconds, rto)
    assert (None if check is None else check.verdict.value) == verdict


def test_a_configuration_is_unknown_without_a_copy_and_failed_with_a_bad_one() -> None:
    files = {name: {"sha256": "", "text": ""} for name in judge.CONFIGURATION}
    assert judge.configuration(None, [], None).verdict.value == "unknown"
    assert judge.configuration({"postgresql.conf": {}}, [], "").verdict.value == "unknown"
    assert judge.configuration(files, ["pg_hba.conf"], "").verdict.value == "failed"
    assert judge.configuration(files, [], None).verdict.value == "unknown"
    assert judge.configuration(files, [], 'FATAL: unrecognized parameter "x"').verdict.value == "failed"
    assert judge.configuration(files, [], "").verdict.value == "passed"


def test_a_restore_that_could_not_be_tried_says_nothing_of_the_backup() -> None:
    assert (
        judge.restored("20261126-121216F", "restore ended with 49: a host cannot be reached").verdict.value == "unknown"
    )
    assert judge.restored("20261126-121216F", "unable to restore file: checksum").verdict.value == "failed"
    assert judge.readable(1, "the repository's key is wrong").verdict.value == "failed"
    assert judge.readable(1, "a host cannot be reached").verdict.value == "unknown"


def test_the_catalogues_newest_good_backup_has_to_be_there() -> None:
    entries = [
        {"repo": 1, "verdict": "passed", "label": "20261125-010000F"},
        {"repo": 1, "verdict": "failed", "label": "20261126-010000F"},
        {"repo": 2, "verdict": "passed", "label": "20261127-010000F"},
        {"repo": 1, "verdict": "unknown", "label": None},
    ]
    assert judge.catalogued(1, [], {"20261125-010000F"}) is None
    assert judge.catalogued(1, entries, {"20261125-010000F"}).verdict.value == "passed"  # type: ignore[union-attr]
    assert judge.catalogued(2, entries, {"20261125-010000F"}).verdict.value == "failed"  # type: ignore[union-attr]
