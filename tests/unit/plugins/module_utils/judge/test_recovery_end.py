# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a recovery ended, as PostgreSQL itself wrote it down."""

from __future__ import annotations

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import recovery_end

HISTORY = """\
1\t0/3000060\tno recovery target specified

# a comment
2\t16/B374D848\tbefore LSN 16/B374D850
"""


def test_history_is_read_oldest_first() -> None:
    first, last = recovery_end.parse_history(HISTORY)
    assert (first.parent, first.lsn, first.reason) == (1, "0/3000060", "no recovery target specified")
    assert (last.parent, last.lsn, last.reason) == (2, "16/B374D848", "before LSN 16/B374D850")
    assert recovery_end.last_switch(HISTORY) == last


def test_a_line_without_a_reason_is_read() -> None:
    assert recovery_end.last_switch("1\t0/3000060\n").reason == ""


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n"])
def test_an_empty_history_proves_nothing(text: str) -> None:
    with pytest.raises(UnknownError):
        recovery_end.last_switch(text)


@pytest.mark.parametrize(
    ("target", "reached"),
    [(None, True), ("16/B374D848", True), ("16/B374D849", False), ("9/FFFFFFFF", True), ("17/0", False)],
)
def test_a_target_is_reached_or_not(target: str | None, reached: bool) -> None:
    assert recovery_end.reached(recovery_end.last_switch(HISTORY), target_lsn=target) is reached


def test_the_last_words_of_a_server_are_its_fatal_ones() -> None:
    log = "\n".join(
        [
            "LOG:  starting point-in-time recovery",
            *(f"FATAL:  early {i}" for i in range(9)),
            "FATAL:  recovery ended before configured recovery target was reached",
            "HINT:  look",
            "LOG:  shutting down",
        ]
    )
    lines = recovery_end.fatal_lines(log)
    assert len(lines) == 5
    assert lines[-2:] == ["FATAL:  recovery ended before configured recovery target was reached", "HINT:  look"]
    assert recovery_end.fatal_lines("LOG:  all is well") == []


@pytest.mark.parametrize(
    "unread",
    [
        "LOG:  incorrect resource manager data checksum in record at 0/6001234",
        "LOG:  invalid record length at 0/6001234: wanted 24, got 0",
        "LOG:  unexpected pageaddr 0/4000000 in log segment 000000010000000000000006, offset 0",
        "2026-01-01 00:00:00 UTC LOG:  record with incorrect prev-link 0/0 at 0/6001234",
    ],
)
def test_where_wal_could_not_be_read_on_comes_first_and_refused_clients_do_not_count(unread: str) -> None:
    died = "FATAL:  recovery ended before configured recovery target was reached"
    states = ("starting up", "not accepting connections", "shutting down", "not yet accepting connections")
    clients = [f"FATAL:  the database system is {state}" for state in states]
    log = "\n".join(["LOG:  redo starts at 0/6000028", clients[0], unread, *clients, died, *clients])
    assert recovery_end.fatal_lines(log) == [unread, died]


def test_a_history_file_is_named_in_hexadecimal() -> None:
    assert recovery_end.history_file_name(26) == "0000001A.history"


@pytest.mark.parametrize("text", ["0/0", "16/B374D848", "ffffffff/FFFFFFFF"])
def test_a_position_is_taken(text: str) -> None:
    assert recovery_end.checked_lsn(text) == text


@pytest.mark.parametrize("text", ["", "16", "16/", "G/0", "0/0'; DROP TABLE x", "0/0\n", "123456789/0"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no WAL position"):
        recovery_end.checked_lsn(text)
