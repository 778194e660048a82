# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests/lab/wire.py takes for TLS, and what it does not: streams put together from segments in any order."""

from __future__ import annotations

import struct
import typing as t

import pytest
from wire import BEFORE_TLS, Stream, read_as_tls, tcp, told


def record(kind: int, content: bytes) -> bytes:
    return struct.pack("!BBBH", kind, 3, 3, len(content)) + content


HELLO, DATA = record(22, b"h" * 300), record(23, b"x" * 5000)


def stream(*segments: bytes, begins: int | None = 1000) -> Stream:
    parts, sequence = {}, 1000
    for segment in segments:
        parts[sequence] = segment
        sequence += len(segment)
    return Stream(begins, parts)


def seen(*segments: bytes, begins: int | None = 1000) -> tuple[t.Any, ...]:
    told = read_as_tls(stream(*segments, begins=begins))
    return told["clear"], told["handshake"], told["records"]


def test_a_chain_of_records_is_tls_however_it_was_cut() -> None:
    whole = HELLO + DATA + DATA
    assert seen(whole) == (0, True, 3)
    assert seen(whole[:7], whole[7:400], whole[400:]) == (0, True, 3)
    assert seen(whole[:-100]) == (0, True, 3), "the last one may be on its way still"
    assert seen(BEFORE_TLS[0], HELLO, DATA) == (0, True, 2), "PostgreSQL asks for TLS first"
    assert seen(BEFORE_TLS[1] + HELLO) == (0, True, 1)


def test_anything_else_is_clear() -> None:
    assert seen(b"SELECT 1" * 10) == (80, False, 0)
    assert seen(HELLO, b"GET / HTTP/1.1\r\n") == (16, True, 1), "also after a handshake"
    assert seen(DATA, b"\x17\x03\x03\xff\xff" + b"x" * 100)[0] == 105, "no record is that long"


def test_a_connection_that_was_there_before_is_read_from_a_record_on() -> None:
    assert seen(b"rest of a record", DATA, DATA, begins=None) == (0, False, 2)
    assert seen(b"no record at all" * 2000, begins=None) == (32000, False, 0)
    assert seen(b"z" * 40000, DATA, begins=None)[0] > 0, "no record has such a rest"


@pytest.mark.parametrize("cut", [0, 1, 700, 16000, 30000])
@pytest.mark.parametrize("size", [1448, 65160])
@pytest.mark.parametrize("begin", [5, 2**32 - 1_000_000])
def test_bulk_data_are_read_from_wherever_the_look_began(cut: int, size: int, begin: int) -> None:
    """Segments do not begin with records there, and their numbers may begin again."""
    bulk = (record(23, bytes(range(256)) * 64) * 150)[cut:]
    parts = {(begin + at) % 2**32: bulk[at : at + size] for at in range(0, len(bulk), size)}
    told = read_as_tls(Stream(None, parts))
    assert told["clear"] == 0 and told["records"] >= 147


def test_clear_words_are_no_rest_of_a_record() -> None:
    words = b"SELECT secret FROM orders;" * 100_000
    for begin in (b"", (DATA * 20)[700:]):
        assert seen(begin + words, begins=None)[0] >= len(words) - 20_000


def test_a_segment_that_was_late_is_put_before_the_first_one_seen() -> None:
    whole = DATA + DATA
    assert read_as_tls(Stream(None, {2000: whole[1000:], 1000: whole[:1000]}))["clear"] == 0


def test_segments_come_in_any_order_and_more_than_once() -> None:
    whole = HELLO + DATA
    parts = {1000 + 200: whole[200:], 1000: whole[:300]}
    assert read_as_tls(Stream(1000, parts)) == {"bytes": len(whole), "clear": 0, "handshake": True, "records": 2}
    around = {2**32 - 10: whole[:10], 0: whole[10:]}
    assert read_as_tls(Stream(2**32 - 10, around))["clear"] == 0, "sequence numbers begin anew"


def test_words_are_found_across_segments() -> None:
    flow = ("198.18.1.11", 40000, "198.18.1.21", 8999)
    assert told(flow, stream(b"my mar", b"ker"), ["marker", "other"])["words"] == ["marker"]


@pytest.mark.parametrize("options", [b"", b"\x01" * 8])
def test_a_frame_is_taken_apart(options: bytes) -> None:
    payload = b"hello"
    segment = (
        struct.pack("!HHIIBBHHH", 40000, 5432, 77, 0, (20 + len(options)) // 4 << 4, 24, 0, 0, 0) + options + payload
    )
    packet = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 0, 0, 64, 6, 0, b"\xc6\x12\x01\x0b", b"\xc6\x12\x01\x0c"
    )
    frame = b"\0" * 12 + b"\x08\x00" + packet + segment + b"\0" * 6
    assert tcp(frame) == (("198.18.1.11", 40000, "198.18.1.12", 5432), 24, 77, payload), "padding is no payload"
    assert tcp(b"\0" * 12 + b"\x86\xdd" + b"\0" * 60) is None
