#!/usr/bin/python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Receive WAL from whoever is primary, flushed before it is acknowledged (pg_receivewal --synchronous).

It asks each member's health agent who is primary, follows a new primary within a fraction of a second, and keeps the
directory bounded. ``receiver.json`` in that directory says what it does; pg_receivewal passes over such a file.
"""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
import typing as t
from datetime import datetime, timezone
from pathlib import Path

DESCRIPTOR = "/etc/fraiseql-resilience/repository.json"
#: Seconds that a health agent has to answer.
ASK_TIMEOUT = 0.3
#: Seconds that the primary has to make the receiver's slot.
SLOT_TIMEOUT = 5.0
#: Seconds between two looks for a primary while there is none, and after pg_receivewal ended.
RETRY = 0.1
#: The same while the primary refuses what we ask for: no use in hurrying.
RETRY_REFUSED = 1.0
#: Seconds between two looks whether the member we stream from is still the primary.
WATCH = 0.5
#: Looks in a row that must name another primary before the stream is given up.
LOOKS = 2
#: Seconds between two clean-ups of the directory.
PRUNE = 30.0
#: A pg_receivewal that lived shorter than this was refused.
REFUSED_WITHIN = 2.0
MB = 1024 * 1024

SEGMENT = re.compile(r"[0-9A-F]{24}\Z")
#: While pgBackRest still writes it, or was killed over it, a file of the archive has a longer name.
ARCHIVED = re.compile(r"[0-9A-F]{24}-[0-9a-f]{40}(\.[a-z0-9]+)?\Z")


class Receiver:
    def __init__(self, descriptor: dict[str, t.Any]) -> None:
        self.settings: dict[str, t.Any] = descriptor["receiver"]
        self.members: list[dict[str, t.Any]] = descriptor["members"]
        self.stanza: str = descriptor["stanza"]
        # Of each key that is in use: what an earlier one holds need not be kept here either.
        paths = [one["repo1_path"] for one in descriptor.get("generations", [])] or [descriptor["repo1_path"]]
        self.archives = [Path(path) / "archive" / self.stanza for path in paths]
        self.program = str(Path(descriptor["bin_dir"]) / "pg_receivewal")
        self.directory = Path(self.settings["directory"])
        self.child: subprocess.Popen[bytes] | None = None
        self.pruned = 0.0
        #: Streams in a row that were refused.
        self.refused = 0
        self.told: tuple[str, str | None] = ("", None)
        self.pool = concurrent.futures.ThreadPoolExecutor(max_workers=max(1, len(self.members)))

    def run_forever(self) -> t.NoReturn:
        while True:
            primary = self.primary()
            if primary is None:
                self.tell("searching", None, "no member answers as primary")
                time.sleep(RETRY)
                continue
            self.stream_from(primary)

    def primary(self) -> dict[str, t.Any] | None:
        """The one member whose agent says that it is primary; None for none, and for two: not ours to settle."""
        answers = self.pool.map(self.is_primary, self.members)
        found = [member for member, says in zip(self.members, answers, strict=True) if says]
        return found[0] if len(found) == 1 else None

    def is_primary(self, member: dict[str, t.Any]) -> bool:
        connection = http.client.HTTPConnection(member["address"], self.settings["health_port"], timeout=ASK_TIMEOUT)
        try:
            connection.request("HEAD", "/primary")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stream_from(self, primary: dict[str, t.Any]) -> None:
        """Stream until it ends, or until another member is primary."""
        connection = self.connection(primary)
        slot = [f"--slot={self.settings['slot']}", f"--dbname={connection}"]
        begin = time.monotonic()
        self.child = subprocess.Popen(
            [self.program, *slot, f"--directory={self.directory}", "--synchronous", "--no-loop", "--no-password"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self.tell("streaming", primary["name"], "")
        self.watch(primary)
        complaint = self.child.communicate()[1].decode(errors="replace").strip()
        code, self.child = self.child.returncode, None
        print(f"stream from {primary['name']} ended with exit code {code}: {complaint}", flush=True)
        if time.monotonic() - begin < REFUSED_WITHIN and code > 0:
            # Members make the slot before they promote; asking for it first would keep commits waiting.
            self.make_slot(slot)
            self.refused += 1
            self.tell("refused", primary["name"], complaint)
            time.sleep(RETRY if self.refused == 1 else RETRY_REFUSED)
        else:
            self.refused = 0
            self.tell("searching", None, complaint)
            time.sleep(RETRY)

    def make_slot(self, slot: list[str]) -> None:
        """Make the slot where there is none. A primary that does not answer is waited for shortly."""
        argv = [self.program, *slot, "--create-slot", "--if-not-exists", "--no-password"]
        try:
            subprocess.run(argv, stdin=subprocess.DEVNULL, timeout=SLOT_TIMEOUT, check=False)
        except subprocess.TimeoutExpired:
            print(f"the slot could not be made within {SLOT_TIMEOUT:g} s", flush=True)

    def connection(self, primary: dict[str, t.Any]) -> str:
        """A libpq connection string. A host that vanishes is noticed by TCP: pg_receivewal itself has no time limit."""
        settings = {
            "host": primary["address"],
            "port": primary["port"],
            "user": self.settings["user"],
            "passfile": self.settings["passfile"],
            "application_name": self.settings["name"],
            "sslmode": "verify-full",
            "sslrootcert": self.settings["ca"],
            "connect_timeout": 2,
            "keepalives_idle": 1,
            "keepalives_interval": 1,
            "keepalives_count": 2,
            "tcp_user_timeout": 3000,
        }
        return " ".join(f"{key}={quoted(str(value))}" for key, value in settings.items())

    def watch(self, primary: dict[str, t.Any]) -> None:
        """Return once the stream ended by itself, or was given up because another member is primary."""
        child = self.child
        if child is None:
            return
        others = 0
        while child.poll() is None:
            try:
                child.wait(WATCH)
            except subprocess.TimeoutExpired:
                pass
            else:
                return
            now = self.primary()
            others = others + 1 if now is not None and now["name"] != primary["name"] else 0
            if others >= LOOKS:
                print(f"{primary['name']} is no longer primary", flush=True)
                child.terminate()
                try:
                    child.wait(1)
                except subprocess.TimeoutExpired:
                    child.kill()
                return
            if time.monotonic() - self.pruned > PRUNE:
                self.pruned = time.monotonic()
                self.prune()

    def prune(self) -> None:
        """Keep ``keep_mb``; what is older goes once repository 1 has it, and anyhow above ``limit_mb``."""
        whole = sorted(path for path in self.directory.iterdir() if SEGMENT.match(path.name))
        if not whole:
            return
        size = whole[0].stat().st_size
        over = len(whole) - self.settings["keep_mb"] * MB // size
        far_over = len(whole) - self.settings["limit_mb"] * MB // size
        # The last one is where the next stream begins.
        for number, path in enumerate(whole[:-1]):
            if number >= over:
                break
            if self.archived(path.name):
                path.unlink()
            elif number < far_over:
                print(f"{path.name} is removed, else the disk fills; repository 1 does not have it", flush=True)
                path.unlink()

    def archived(self, segment: str) -> bool:
        return any(
            ARCHIVED.match(found.name)
            for archive in self.archives
            for found in archive.glob(f"*/{segment[:16]}/{segment}-*")
        )

    def tell(self, state: str, source: str | None, reason: str) -> None:
        if self.told == (state, source):
            return
        self.told = (state, source)
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        print(f"{state} {source or ''} {reason}".rstrip(), flush=True)
        temporary = self.directory / "receiver.json.new"
        temporary.write_text(
            json.dumps({"state": state, "source": source, "since": now, "reason": reason}), encoding="utf-8"
        )
        temporary.rename(self.directory / "receiver.json")

    def stop(self, _number: int, _frame: object) -> t.NoReturn:
        if self.child is not None and self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(2)
            except subprocess.TimeoutExpired:
                self.child.kill()
        os._exit(0)


def quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def main() -> int:
    path = sys.argv[1] if len(sys.argv) > 1 else DESCRIPTOR
    receiver = Receiver(json.loads(Path(path).read_text(encoding="utf-8")))
    signal.signal(signal.SIGTERM, receiver.stop)
    signal.signal(signal.SIGINT, receiver.stop)
    receiver.run_forever()


if __name__ == "__main__":
    sys.exit(main())
