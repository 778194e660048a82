# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far did a recovery get? Read from the timeline history file that PostgreSQL itself writes when it ends."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, UnknownError

LSN = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")

#: What a server says where a record does not follow the one before. Source: ``xlogreader.c`` in PostgreSQL's code.
UNREAD = re.compile(
    r"LOG: +(?:invalid (?:record|resource manager|contrecord|magic|info)|incorrect resource manager data checksum|"
    r"record (?:length|with)|there is no contrecord|unexpected pageaddr|out-of-sequence|WAL file is from different)"
)
#: To those who ask whether a recovery has ended: "starting up", "not accepting connections", "shutting down".
REFUSED = "FATAL:  the database system is "


@dataclass(frozen=True)
class TimelineSwitch:
    """One line of a ``.history`` file: ``parent`` was left at ``lsn`` because of ``reason``."""

    parent: int
    lsn: str
    reason: str


def parse_history(text: str) -> list[TimelineSwitch]:
    """The switches of a timeline's history, oldest first. Source: ``readTimeLineHistory`` in PostgreSQL's code."""
    switches = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parent, lsn, *reason = line.split(None, 2)
        switches.append(TimelineSwitch(int(parent), lsn, reason[0].strip() if reason else ""))
    return switches


def last_switch(text: str) -> TimelineSwitch:
    """Where and why the newest timeline began.

    :raises UnknownError: the history is empty, so nothing proves where the recovery ended.
    """
    switches = parse_history(text)
    if not switches:
        raise UnknownError("the timeline's history file is empty: where the recovery ended cannot be proven")
    return switches[-1]


def fatal_lines(log: str, *, most: int = 5) -> list[str]:
    """Why a recovery died: where the WAL could not be read on, then the last FATAL and PANIC lines with their hints."""
    telling = [
        line
        for line in log.splitlines()
        if any(word in line for word in ("FATAL:", "PANIC:", "HINT:")) and REFUSED not in line
    ]
    unread = [line for line in log.splitlines() if UNREAD.search(line)]
    return [*unread[-1:], *telling[-most:]]


def history_file_name(timeline: int) -> str:
    return f"{timeline:08X}.history"


def checked_lsn(text: str) -> str:
    """The text, which a user gave, if PostgreSQL would read it as an LSN.

    :raises InputError: it would not.
    """
    if LSN.fullmatch(text) is None:
        raise InputError("this is no WAL position", given=text, possible="a position such as 16/B374D848")
    return text


def lsn_to_int(lsn: str) -> int:
    """``16/B374D848`` as the number of bytes since the beginning of WAL."""
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def reached(switch: TimelineSwitch, *, target_lsn: str | None) -> bool:
    """Did the recovery end at or after the LSN that was asked for? Without an LSN there is nothing to compare."""
    return target_lsn is None or lsn_to_int(switch.lsn) >= lsn_to_int(target_lsn)
