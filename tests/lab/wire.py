# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes over the wire, seen by a packet socket on this machine: root's, and nothing but the standard library.

    python3 wire.py <seconds> <address,…>    JSON on standard output

The first line of its standard input is a JSON list of words to look for. It says "ready" on standard error once it
looks, and ends when its input does, or after so many seconds. Each direction of each TCP connection is put together
by its sequence numbers (a frame is seen once on each virtual interface that it passes) and read as TLS: a chain of
records from its first byte, or, of a connection that was there before, from the first segment that begins like a
record.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time
import typing as t
from dataclasses import dataclass, field

ETH_P_ALL, SOL_PACKET, PACKET_STATISTICS, SO_RCVBUFFORCE = 3, 263, 6, 33
BUFFER = 128 * 1024 * 1024
#: Seconds for which it looks on once it is asked to end: a busy machine is behind with what was sent by then.
LAST_SECONDS = 5
#: Record types of TLS: change cipher spec, alert, handshake, application data.
TYPES, HANDSHAKE, LONGEST = range(20, 24), 22, 16384 + 2048
#: Records one after the other that are there by chance nowhere.
CHAIN = 3
#: What PostgreSQL's clients and servers say before TLS begins.
BEFORE_TLS = (struct.pack("!ii", 8, 80877103), b"S")
#: What may follow it: a record, or nothing yet.
ALLOWED_NEXT = {b"", *(bytes([kind]) for kind in TYPES)}
Flow = tuple[str, int, str, int]


@dataclass
class Stream:
    """One direction. ``begins`` is the sequence number of its first byte, where its SYN was seen."""

    begins: int | None = None
    parts: dict[int, bytes] = field(default_factory=dict)

    def pieces(self) -> list[tuple[bool, list[bytes]]]:
        """Unbroken runs of segments in order; whether each is the begin of the connection."""
        first = self.begins if self.begins is not None else next(iter(self.parts), 0)
        found: list[tuple[bool, list[bytes]]] = []
        end: int | None = None
        # From the first one seen, in both directions: numbers begin again at 2**32, and one that was late is before it.
        for at, content in sorted(((seq - first + 2**31) % 2**32 - 2**31, part) for seq, part in self.parts.items()):
            offset, part = (at, content) if end is None else (max(at, end), content[max(0, end - at) :])
            if not part:
                continue
            if offset != end:
                found.append((self.begins is not None and offset == 0, []))
            found[-1][1].append(part)
            end = offset + len(part)
        return found


def tcp(frame: bytes) -> tuple[Flow, int, int, bytes] | None:
    """Flow, flags, sequence number and payload of an IPv4 frame; None for anything else."""
    if frame[12:14] != b"\x08\x00" or len(frame) < 54 or frame[23] != socket.IPPROTO_TCP:
        return None
    packet = frame[14:]
    begin = (packet[0] & 15) * 4
    end = struct.unpack("!H", packet[2:4])[0] or len(packet)
    source, target = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
    from_port, to_port, sequence = struct.unpack("!HHI", packet[begin : begin + 8])
    payload = packet[begin + (packet[begin + 12] >> 4) * 4 : end]
    return (source, from_port, target, to_port), packet[begin + 13], sequence, payload


def records(data: bytes) -> tuple[int, bool, int]:
    """Bytes at the begin that are a chain of TLS records, whether one is a handshake, and how many there are.

    The last record may be cut off by the end of the capture.
    """
    offset, handshake, count = 0, False, 0
    while offset + 5 <= len(data):
        kind, major, _minor, length = struct.unpack("!BBBH", data[offset : offset + 5])
        if kind not in TYPES or major != 3 or not 0 < length <= LONGEST:
            return offset, handshake, count
        handshake, count = handshake or kind == HANDSHAKE, count + 1
        offset += 5 + length
    return len(data) if count else 0, handshake, count


def rest_of_a_record(data: bytes, segments: list[bytes]) -> int:
    """Bytes before the first record: a segment begins with it, or, in the midst of bulk data, a chain of them begins
    there. All of them where there is none."""
    skipped = 0
    for segment in segments:
        if segment[0] in TYPES and segment[1:2] == b"\x03":
            return skipped
        skipped += len(segment)
        if skipped > LONGEST:
            break
    for offset in range(min(len(data), LONGEST)):
        if data[offset] in TYPES and records(data[offset : offset + CHAIN * (LONGEST + 5)])[2] >= CHAIN:
            return offset
    return len(data)


def read_as_tls(stream: Stream) -> dict[str, t.Any]:
    """How many bytes are TLS and how many are not."""
    clear = total = count = 0
    handshake = False
    for begins, segments in stream.pieces():
        data = b"".join(segments)
        total += len(data)
        skipped = 0
        if begins:
            asked = [len(word) for word in BEFORE_TLS if data.startswith(word)]
            skipped = next((length for length in asked if data[length : length + 1] in ALLOWED_NEXT), 0)
        else:
            # A connection that was there before: what precedes the first whole record may be the rest of one.
            skipped = rest_of_a_record(data, segments)
            if skipped == len(data) or skipped > LONGEST:
                clear += len(data)
                continue
        good, shook, some = records(data[skipped:])
        handshake, count = handshake or shook, count + some
        clear += len(data) - skipped - min(good, len(data) - skipped)
    return {"bytes": total, "clear": clear, "handshake": handshake, "records": count}


def capture(seconds: float, addresses: set[str], words: list[str]) -> dict[str, t.Any]:
    """Everything that the hosts with these addresses say and hear."""
    streams: dict[Flow, Stream] = {}
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as packets:
        packets.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        packets.settimeout(0.2)
        print("ready", file=sys.stderr, flush=True)
        end = time.monotonic() + seconds
        asked = False
        while time.monotonic() < end:
            if not asked and asked_to_end():
                # What was sent until now is on its way still, and may have to wait for its turn to be read.
                asked, end = True, min(end, time.monotonic() + LAST_SECONDS)
            try:
                found = tcp(packets.recv(262144))
            except TimeoutError:
                continue
            if found is None or addresses.isdisjoint(found[0]):
                continue
            flow, flags, sequence, payload = found
            stream = streams.setdefault(flow, Stream())
            if flags & 2:
                stream.begins = (sequence + 1) % 2**32
            elif payload and len(stream.parts.get(sequence, b"")) < len(payload):
                stream.parts[sequence] = payload
        _seen, dropped = struct.unpack("II", packets.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    return {"dropped": dropped, "flows": [told(flow, stream, words) for flow, stream in streams.items()]}


def asked_to_end() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0])


def told(flow: Flow, stream: Stream, words: list[str]) -> dict[str, t.Any]:
    whole = b"\0".join(b"".join(segments) for _begins, segments in stream.pieces())
    seen = [word for word in words if word.encode() in whole]
    return {"flow": list(flow), "words": seen, "whole": stream.begins is not None, **read_as_tls(stream)}


if __name__ == "__main__":
    print(json.dumps(capture(float(sys.argv[1]), set(sys.argv[2].split(",")), json.loads(sys.stdin.readline()))))
