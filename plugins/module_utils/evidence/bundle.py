# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder that an operation leaves behind, from its opening to its seal.

    opened ──approval, mark, added, clock, failure …──> sealed
       └── joined ──…──> left ──┘                        an operation inside another one shares the folder

A folder that was never sealed belongs to an operation that was cut off: it proves nothing, but says how far it came.
"""

from __future__ import annotations

import os
import typing as t
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import signature
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.hash_chain import Event
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.timeline import Timeline

REPORT = "report.json"
PAGE = "report.html"
TIMELINE = "timeline.jsonl"
LEDGER = "ledger.jsonl"
JUNIT = "junit.xml"
SCHEMA = "report.schema.json"
#: Files that the evidence writes itself; nothing may be added under their names.
OWN = frozenset({
    REPORT, PAGE, TIMELINE, JUNIT, SCHEMA, signature.MANIFEST, signature.SIGNATURE, signature.ALLOWED_SIGNERS,
})  # fmt: skip


class Bundle:
    """One evidence folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.timeline = Timeline(path / TIMELINE)

    @classmethod
    def create(cls, directory: Path, operation: str, cluster: str, scenario: str | None, **fields: t.Any) -> Bundle:
        """A new folder, its name unlike any other's, whose timeline begins now.

        :raises InputError: the name cannot be that of a folder, or nothing can be written there.
        """
        for word in (operation, cluster):
            if not word or not all(letter.isalnum() or letter in "_-." for letter in word) or word.startswith("."):
                raise InputError(
                    "this cannot be part of a folder's name", given=repr(word), possible="letters, digits, _ - ."
                )
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        bundle = cls(_make_folder(directory, f"{stamp}-{operation}-{cluster}"))
        bundle.timeline.append("opened", operation=operation, cluster=cluster, scenario=scenario, **fields)
        return bundle

    @property
    def sealed(self) -> bool:
        return (self.path / signature.MANIFEST).exists()

    def events(self) -> tuple[Event, ...]:
        return self.timeline.read().events

    def opening(self) -> Event:
        """The event that the timeline begins with.

        :raises InputError: there is none, so this is no evidence.
        """
        events = self.events()
        if not events or events[0].get("kind") != "opened":
            raise InputError("this folder is no evidence: its timeline has no beginning", given=str(self.path))
        return events[0]

    def inside(self) -> list[str]:
        """The operations under way, the outermost first."""
        open_operations: list[str] = []
        for event in self.events():
            if event["kind"] in ("opened", "joined"):
                open_operations.append(event["operation"])
            elif event["kind"] == "left":
                # Operations inside that one, which never said that they had ended, have ended with it.
                while open_operations.pop() != event["operation"]:
                    pass
        return open_operations

    def reported_inside(self) -> list[dict[str, t.Any]]:
        """What the operations inside this one reported when they ended."""
        return [event["report"] for event in self.events() if event["kind"] == "left"]

    def approved(self) -> list[dict[str, t.Any]]:
        """Who approved the operation and those inside it, or that nobody did, in the order of time."""
        return [event["approval"] for event in self.events() if event["kind"] == "approval"]

    def add(self, name: str, content: bytes) -> Event:
        """Keep a file, and its hash in the timeline: from now on it cannot be exchanged unseen.

        :raises InputError: the name leads elsewhere, or is one of the evidence's own.
        :raises RefusedError: there is a file of that name with another content, or the folder is sealed.
        """
        self.refuse_if_sealed()
        target = self.path / name
        inside = self.path.resolve() in target.resolve().parents
        if target.name in OWN or not inside or target.is_dir():
            raise InputError("no file can be added under this name", given=name, possible=f"{LEDGER}, plan.json …")
        if target.exists() and target.read_bytes() != content:
            raise RefusedError("the evidence holds another file of this name, and keeps it", given=name)
        target.parent.mkdir(parents=True, exist_ok=True)
        write(target, content)
        return self.timeline.append("added", name=name, sha256=signature.digest(target), bytes=len(content))

    def refuse_if_sealed(self) -> None:
        if self.sealed:
            raise RefusedError("this evidence is sealed: nothing can be added to it", given=str(self.path))

    def seal(self, contents: t.Mapping[str, bytes], by: signature.Signer | None, run: Runner) -> None:
        """Write the last files, the manifest and its signature, and take the right to write from all of them.

        The manifest comes last but for the signature; without it a folder is not sealed.
        """
        for name, content in contents.items():
            write(self.path / name, content)
        if by is not None:
            write(self.path / signature.ALLOWED_SIGNERS, by.allowed_signers.encode("utf-8"))
        write(self.path / signature.MANIFEST, signature.manifest(self.path).encode("utf-8"))
        if by is not None:
            signature.sign(self.path, by, run)
        for path in self.path.rglob("*"):
            if path.is_file():
                path.chmod(0o444)


def _make_folder(directory: Path, name: str) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            path = directory / (name if number == 1 else f"{name}-{number}")
            try:
                path.mkdir()
            except FileExistsError:
                continue
            return path
    except OSError as error:
        raise InputError(
            f"no evidence can be written there: {error.strerror}",
            given=f"resilience_evidence_directory={directory}",
            next_step="name a folder on the control node that can be written to",
        ) from error
    raise InputError("there are a thousand folders of this second", given=str(directory / name))


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, and have it on disk on return."""
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
