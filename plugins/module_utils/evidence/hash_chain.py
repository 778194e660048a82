# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON lines that each carry the SHA-256 of the line before, so that none can be changed, moved or taken out.

The hash is over the line's bytes as they stand in the file, without the newline, so ``sha256sum`` can follow the chain.
A process that is killed may leave a torn last line. It is kept, and the line after it (``kind: torn``) says so.
"""

from __future__ import annotations

import hashlib
import json
import typing as t
from dataclasses import dataclass

Event = dict[str, t.Any]

#: What the first line carries, since no line stands before it.
GENESIS = "0" * 64
TORN = "torn"


def canonical(record: t.Mapping[str, t.Any]) -> bytes:
    """The one way to write a record: keys sorted, no blanks, ASCII, on one line.

    :raises TypeError: a value is not JSON.
    """
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def link(line: bytes) -> str:
    """What the next line has to carry in ``previous``."""
    return hashlib.sha256(line).hexdigest()


@dataclass(frozen=True)
class Chain:
    """A file of chained lines, read.

    ``events``: the lines that are whole; ``problems``: why the chain proves nothing, line by line, empty when it is
    whole; ``head``: the hash of the last line; ``torn``: bytes of an unfinished last line that nothing follows yet.
    """

    events: tuple[Event, ...]
    problems: tuple[str, ...]
    head: str
    torn: bytes = b""


def read(data: bytes) -> Chain:
    """Follow the chain from the first line to the last. Never raises: whatever is wrong is in ``problems``."""
    *lines, torn = data.split(b"\n")
    events: list[Event] = []
    problems: list[str] = []
    head, unread = GENESIS, 0
    for number, line in enumerate(lines, start=1):
        event = _parse(line)
        if event is None:
            unread = number
        else:
            problems += _what_is_wrong(event, number, head, unread)
            unread = 0
            events.append(event)
        head = link(line)
    if unread:
        problems.append(f"line {unread} is not JSON")
    if torn:
        problems.append(f"line {len(lines) + 1} is torn: it has no end")
    return Chain(tuple(events), tuple(problems), head, torn)


def _parse(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _what_is_wrong(event: Event, number: int, head: str, unread: int) -> t.Iterator[str]:
    if event.get("previous") != head:
        yield f"line {number} does not follow from line {number - 1}: one of them was changed, moved or taken out"
    if event.get("n") != number:
        yield f"line {number} says that it is line {event.get('n')}"
    if unread and event.get("kind") != TORN:
        yield f"line {unread} is not JSON, and line {number} does not say that it was torn"
