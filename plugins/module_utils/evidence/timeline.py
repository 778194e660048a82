# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""timeline.jsonl: what happened in an operation, in order, each event on disk before the operation goes on."""

from __future__ import annotations

import fcntl
import os
import typing as t
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import monotonic_ns, utc_now
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import hash_chain
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.hash_chain import Chain, Event

#: The name of the control node's own monotonic clock in the timeline.
CONTROL = "control"


class Timeline:
    """The file. Several processes of one run append to it; a lock on the file makes their lines one chain."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Chain:
        return hash_chain.read(self.path.read_bytes() if self.path.exists() else b"")

    def append(self, kind: str, **fields: t.Any) -> Event:
        """Add one event, stamped with the control node's clocks unless ``fields`` say otherwise, and sync it to disk.

        A torn line of an earlier, killed process is ended and followed by an event that says so.
        """
        with self._locked() as descriptor:
            chain = self.read()
            number = self.path.read_bytes().count(b"\n") + 1
            head, written = chain.head, b""
            if chain.torn:
                head, number, written = hash_chain.link(chain.torn), number + 1, b"\n"
                if hash_chain.read(chain.torn + b"\n").events == ():
                    said = self._event(hash_chain.TORN, number, head, {"detail": f"line {number - 1} was cut off"})
                    line = hash_chain.canonical(said)
                    head, number, written = hash_chain.link(line), number + 1, b"\n" + line + b"\n"
            event = self._event(kind, number, head, fields)
            _write(descriptor, written + hash_chain.canonical(event) + b"\n")
        return event

    @staticmethod
    def _event(kind: str, number: int, head: str, fields: t.Mapping[str, t.Any]) -> Event:
        stamp = {"clock": CONTROL, "monotonic_ns": monotonic_ns(), "error_ns": 0, "utc": utc_now()}
        return {**stamp, **fields, "kind": kind, "n": number, "previous": head}

    @contextmanager
    def _locked(self) -> t.Iterator[int]:
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)
