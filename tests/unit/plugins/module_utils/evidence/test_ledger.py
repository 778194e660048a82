# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import ledger as ledgers

NANO = 1_000_000_000


def report(zero: int | None, t1: float | None) -> dict[str, t.Any]:
    return {"zero": None if zero is None else {"monotonic_ns": zero}, "chain": {"t1": t1}}


def test_attempts_stand_on_the_scale_of_the_chain(ledger: bytes) -> None:
    found = ledgers.attempts(ledger, 5_000 * NANO)
    assert found[0].begin == -5.0
    assert [attempt.end for attempt in found] == sorted(attempt.end for attempt in found)
    assert {attempt.outcome for attempt in found} == {"acked", "failed", "unknown"}


def test_lines_that_are_no_attempts_are_left_out() -> None:
    attempt = {"client": 0, "seq": 1, "begin_ns": 0, "end_ns": NANO, "outcome": "acked"}
    lines = [{"type": "header"}, attempt, {"type": "outage", "t1_ns": 5}, [], {"type": "footer"}]
    text = b"".join(json.dumps(line).encode() + b"\n" for line in lines) + b'{"client": 1, "se'
    assert ledgers.attempts(text, 0) == [ledgers.Attempt(0, 0.0, 1.0, "acked")]


def test_the_report_says_where_the_scale_begins() -> None:
    assert ledgers.zero_ns(report(42, 1.0), b'{"type": "outage", "t1_ns": 7}') == 42


def test_else_the_first_outage_does() -> None:
    text = b'{"type": "outage", "t1_ns": 7000000000}\n{"type": "outage", "t1_ns": 9000000000}\n'
    assert ledgers.zero_ns(report(None, 0.5), text) == 6_500_000_000
    assert ledgers.zero_ns(report(None, None), text) is None
    assert ledgers.zero_ns(report(None, 0.5), b"") is None


def test_else_the_ledger_begins_its_own_scale(ledger: bytes) -> None:
    assert ledgers.zero_ns(report(None, None), ledger) == 4_995 * NANO


def test_the_longest_wait_is_that_of_all_clients_together(ledger: bytes) -> None:
    begin, end = ledgers.longest_wait(ledgers.attempts(ledger, 5_000 * NANO)) or (0.0, 0.0)
    assert (begin, end) == (pytest.approx(0.021, abs=0.05), pytest.approx(4.333, abs=0.06))
    assert ledgers.longest_wait([]) is None


def test_an_acknowledgement_is_one_even_if_it_was_not_safe() -> None:
    assert [ledgers.Attempt(0, 0, 1, outcome).acked for outcome in ("acked", "acked_unsafe", "failed", "unknown")] == [
        True,
        True,
        False,
        False,
    ]
