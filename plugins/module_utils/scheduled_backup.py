# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup that nobody waits for: one run a repository, judged and put into the catalogue, whatever became of it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils import backup, command
from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import Deadline
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import archive, backups, members, pgbackrest
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandError,
    RefusedError,
    ResilienceError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.catalogue import Catalogue, Line, replace
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backups as judge
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.topology import Member
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.window import Holdings

#: The first version that takes what is healthy by itself: backup-standby=prefer.
PREFERS_STANDBY = (2, 54)
#: Seconds that a member has to say what it is, and a repository to take the catalogue.
LOOK_SECONDS, COPY_SECONDS = 5.0, 120.0
#: The part of a file system below which it is as good as full.
SCARCE = 0.05
#: Warnings that are kept of one backup.
WARNINGS = 10
#: Seconds after which a request of a person that no run took up is forgotten.
REQUEST_SECONDS = 600.0


class Host:
    """This repository host: what it was told, its catalogue, and pgBackRest."""

    def __init__(self, descriptor: Line, settings: Line, tell: t.Callable[[str], None]) -> None:
        """``descriptor`` and ``settings``: what roles pgbackrest and backup wrote; ``tell`` writes into the journal."""
        self.descriptor, self.settings, self.tell = descriptor, settings, tell
        self.stanza: str = descriptor["stanza"]
        directory = Path(settings["directory"]) / "backups" / self.stanza
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.catalogue = Catalogue(directory)
        self.client = pgbackrest.Client(
            command.run,
            self.stanza,
            user=descriptor["user"] if os.geteuid() == 0 else None,
            options=tuple(settings["options"]),
        )

    @contextlib.contextmanager
    def turn(self, repo: int, deadline: Deadline) -> t.Iterator[None]:
        """One run a repository; the lock goes with the process, however that ends.

        :raises RefusedError: another run still holds it at the deadline.
        """
        path = self.catalogue.directory / f"repo{repo}.lock"
        path.touch()
        with path.open(encoding="utf-8") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if deadline.expired():
                        raise RefusedError(f"another run of repository {repo} has its turn") from error
                    time.sleep(min(1.0, max(0.05, deadline.left())))
            yield

    # --- take -------------------------------------------------------------------------------------------------------

    def take(self, repo: int, wanted: str) -> Line:
        """Take one backup and write down what became of it, whatever did."""
        about = {"began_utc": judge.utc(time.time()), **self.request(repo, wanted)}
        deadline = Deadline(self.settings["wait_seconds"])
        try:
            with self.turn(repo, deadline):
                cut_off = self.settle(repo)
                self.adopt(repo)
                kind = judge.taken_up(wanted, cut_off)
                self.begin(repo, {**about, "wanted": kind, "takes_up": kind != wanted})
                line = self.run(repo, kind, about, deadline)
                self.append(line)
                self.catalogue.end(repo)
        except RefusedError as error:
            line = self.nothing(repo, wanted, about, Check("backup: its turn", Verdict.UNKNOWN, error.message))
            self.append(line)
        self.copy()
        return line

    def take_in(self) -> int:
        """Put what others have taken into the catalogue, without a backup of ours; how many lines that made.

        A repository that has a run is left to it: that one begins with the same.
        """
        before = len(self.catalogue.lines())
        for repo in self.descriptor["repos"]:
            with contextlib.suppress(RefusedError), self.turn(repo, Deadline(0.0)):
                self.adopt(repo)
        made = len(self.catalogue.lines()) - before
        if made:
            self.copy()
        return made

    def request(self, repo: int, wanted: str) -> Line:
        """Who wants this run: a person who has just asked for it, else the timer."""
        path = self.requested(repo, wanted)
        with contextlib.suppress(OSError, ValueError):
            asked = json.loads(path.read_text(encoding="utf-8"))
            path.unlink()
            if time.time() - asked["at"] < REQUEST_SECONDS:
                return {"by": "playbook", "asked": asked["token"]}
        return {"by": "timer"}

    def requested(self, repo: int, wanted: str) -> Path:
        return self.catalogue.directory / f"asked-{repo}-{wanted}.json"

    def begin(self, repo: int, what: Line) -> None:
        """A backup is worth more than the word that it began."""
        try:
            self.catalogue.begin(repo, what)
        except OSError as error:
            self.tell(f"the catalogue cannot be written: {error}")

    def append(self, line: Line) -> None:
        """Where the catalogue's disk is full, the journal at least has the line, and the unit fails."""
        self.tell(json.dumps(line))
        self.catalogue.append(line)

    def settle(self, repo: int) -> Line | None:
        """Write down a run that was killed, or that lost its host, and that left its marker alone."""
        marker = self.catalogue.began(repo)
        if marker is None:
            return None
        about = {"began_utc": marker.get("began_utc") or judge.utc(time.time()), "by": marker.get("by", "timer")}
        if marker.get("asked"):
            about["asked"] = marker["asked"]
        wanted = str(marker.get("wanted", "incr"))
        reason = "it was cut off: the run that began then was killed, or its host was lost"
        line = self.nothing(repo, wanted, about, Check("backup: it was taken", Verdict.FAILED, reason))
        self.append({**line, "seconds": None})
        self.catalogue.end(repo)
        return marker

    def adopt(self, repo: int) -> None:
        """Judge and write down the backups that others have taken."""
        try:
            stanza = backup.seen(self.client, repo)
            new = judge.unlisted(stanza.backups_of(repo), self.lines(repo))
            held = archive.holdings(self.client, stanza, repo, None) if new else None
            for one in new:
                facts = self.look(stanza, repo, one, one.type, held)
                checks = judge.judge(facts, self.trend)
                about = {"began_utc": judge.utc(one.started), "by": "playbook"}
                line = self.line(repo, one.type, about, checks, float(one.stopped - one.started), one.stopped)
                self.append({**line, **self.described(facts, repo), "adopted": True})
        except ResilienceError as error:
            self.tell(f"whether there are backups that the catalogue does not know: {error}")

    def run(self, repo: int, kind: str, about: Line, deadline: Deadline) -> Line:
        """One backup, judged."""
        begin = time.monotonic()
        try:
            taken, notes = self.backed_up(repo, kind, deadline)
            stanza = backup.seen(self.client, repo)
        except RefusedError:
            self.catalogue.end(repo)
            raise
        except ResilienceError as error:
            reason = " ".join(
                [error.message, *([f"Next: {error.next_step}."] if error.next_step else []), *self.room(repo)]
            )
            check = Check("backup: it was taken", Verdict.FAILED, reason)
            return self.nothing(repo, kind, about, check, time.monotonic() - begin)
        facts = self.look(stanza, repo, taken.backup, kind)
        line = self.line(repo, kind, about, judge.judge(facts, self.trend), taken.seconds)
        return {
            **line,
            **self.described(facts, repo),
            "from": backups.read_from(taken.said, self.descriptor["members"]),
            "warnings": [*notes, *taken.warnings][:WARNINGS],
            "waited_seconds": taken.waited,
        }

    def room(self, repo: int) -> list[str]:
        """That the file system of repository 1 is full, or nearly; pgBackRest may tell of any other error then."""
        if repo != 1:
            return []
        seen = os.statvfs(self.descriptor["repo1_path"])
        scarce = seen.f_bavail < SCARCE * seen.f_blocks
        return [f"Only {seen.f_bavail * seen.f_frsize} bytes are left in repository 1."] if scarce else []

    def backed_up(self, repo: int, kind: str, deadline: Deadline) -> tuple[backup.Taken, list[str]]:
        """A backup from a standby, and from the primary where that does not go; and why it had to."""
        ways, notes = self.ways()
        for number, options in enumerate(ways, start=1):
            try:
                taken = backup.take(
                    self.client, repo, kind, deadline=deadline, timeout=self.settings["timeout_seconds"],
                    options=options, level="detail",
                )  # fmt: skip
                return taken, notes
            except CommandError as error:
                if number == len(ways) or not judge.another_source_may_help(error.stderr_tail):
                    raise
                notes.append(f"not from a standby: {error.message}")
        raise AssertionError("there is always one way")

    def ways(self) -> tuple[list[list[str]], list[str]]:
        """pgBackRest's options for each way to read the pages, in the order to try, and why some are left out."""
        primary = [backup.FROM_PRIMARY]
        if not self.settings["from_standby"] or len(self.descriptor["members"]) < 2:
            return [primary], []
        prefers = self.client.version() >= PREFERS_STANDBY
        if self.settings["monitor_user"]:
            name, why = judge.standby(self.read_members())
            if name is None:
                return [primary], [f"not from a standby: {why}"]
        elif not prefers:
            return [primary], ["not from a standby: nobody may look whether one is healthy"]
        return [[] if prefers else ["--backup-standby"], primary], []

    def read_members(self) -> list[Member]:
        known = self.descriptor["members"]
        words = {name: self.settings[name] for name in ("monitor_user", "pgpass", "ca")}
        with ThreadPoolExecutor(max_workers=len(known)) as pool:
            asked = [
                pool.submit(members.read_member, one, words, timeout=LOOK_SECONDS, run=command.run) for one in known
            ]
            return [one.result() for one in asked]

    # --- the line ---------------------------------------------------------------------------------------------------

    @property
    def trend(self) -> judge.Trend:
        return judge.Trend(**self.settings["trend"])

    def lines(self, repo: int) -> list[Line]:
        return [line for line in self.catalogue.lines() if line["repo"] == repo]

    def look(
        self, stanza: pgbackrest.Stanza, repo: int, one: pgbackrest.Backup, wanted: str, held: Holdings | None = None
    ) -> judge.Facts:
        return backups.facts(self.client, stanza, repo, one, wanted=wanted, earlier=self.lines(repo), held=held)

    def described(self, facts: judge.Facts, repo: int) -> Line:
        key = backups.named_key(Path(self.settings["configuration"]), repo)
        return {**judge.described(facts), "key_id": key}

    def line(
        self, repo: int, wanted: str, about: Line, checks: list[Check], took: float, ended: float | None = None
    ) -> Line:
        made = judge.line(
            stanza=self.stanza, repo=repo, wanted=wanted, began_utc=about["began_utc"], by=about["by"],
            utc=judge.utc(time.time() if ended is None else ended), checks=checks, took=took,
        )  # fmt: skip
        return {**made, "asked": about["asked"]} if "asked" in about else made

    def nothing(self, repo: int, wanted: str, about: Line, check: Check, took: float = 0.0) -> Line:
        return self.line(repo, wanted, about, [check], took)

    def copy(self) -> None:
        """Put the catalogue into every repository; one that does not answer gets it with the next backup."""
        content = self.catalogue.path.read_text(encoding="ascii")
        client = pgbackrest.Client(
            self.client.run, self.stanza, user=self.client.user, options=self.client.options, timeout=COPY_SECONDS
        )
        for repo in self.descriptor["repos"]:
            try:
                backups.put_copy(client, repo, content)
                replace(self.catalogue.directory / f"copied-repo{repo}.json", json.dumps({"at": int(time.time())}))
            except (ResilienceError, OSError) as error:
                self.tell(f"repository {repo} has no copy of the catalogue: {error}")
