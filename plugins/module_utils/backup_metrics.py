# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects what a scraper is to see, once a minute, and writes it; archives are looked at as often as that may cost."""

from __future__ import annotations

import json
import os
import time
import typing as t
from dataclasses import asdict, replace
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils import backup, command, prometheus
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import archive, members
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import lsn_number
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandError, ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import catalogue
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import archived, backup_metrics
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_metrics import Seen
from ansible_collections.fraiseql.resilience.plugins.module_utils.scheduled_backup import Host

FILE = "resilience_backup.prom"
#: A look at a repository is repeated after so many times what it costs, in seconds, and not before a minute.
SPARING, MINUTE = 60.0, 55.0
#: Positions of the primary that are kept: a day of minutes.
KEPT = 1440
#: Where the primary is, and whether transactions are under way. Asking writes nothing, else no database were idle.
POSITION = """
SELECT json_build_object('timeline', ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int,
  'lsn', pg_current_wal_flush_lsn(), 'snapshot', pg_current_snapshot()::text)
"""


def pause(costs: t.Sequence[float]) -> float:
    """Seconds until a repository is looked at again, after looks that took so long, in seconds.

    The lesser of the last two counts: one that waited for a region which was cut off must not blind the next half hour.
    """
    return max(MINUTE, SPARING * min(costs, default=0.0))


class State(t.TypedDict):
    """What is remembered from one minute to the next."""

    positions: list[dict[str, t.Any]]
    looks: dict[str, dict[str, t.Any]]


class Collector:
    def __init__(self, host: Host) -> None:
        self.host = host
        self.directory = host.catalogue.directory
        self.path = self.directory / "metrics-state.json"
        self.state: State = {"positions": [], "looks": {}}
        try:
            self.state.update(json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            pass

    def collect(self) -> Path:
        """Write what is cheap to know at once, then look at each repository whose turn it is, and write again.

        :raises OSError: the file cannot be written; the old one is still there.
        """
        written = self.write()
        position = self.position()
        if position is not None:
            self.state["positions"] = [*self.state["positions"], asdict(position)][-KEPT:]
        for repo in self.host.descriptor["repos"]:
            self.look(repo)
        catalogue.replace(self.path, json.dumps(self.state))
        self.write()
        return written

    def position(self) -> archived.Position | None:
        """What the primary says of itself, whoever that is; None where nobody answers, or nobody may ask."""
        user, known = self.host.settings["monitor_user"], self.host.descriptor["members"]
        if not user:
            return None
        words = {
            "host": ",".join(str(one["address"]) for one in known), "port": ",".join(str(one["port"]) for one in known),
            "user": user, "dbname": "postgres", "sslmode": "verify-full", "sslrootcert": self.host.settings["ca"],
            "passfile": self.host.settings["pgpass"], "connect_timeout": 2, "target_session_attrs": "primary",
        }  # fmt: skip
        conninfo = " ".join(f"{key}='{value}'" for key, value in words.items())
        at = time.time()
        try:
            argv = [members.psql(), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", conninfo, "-c", POSITION]
            said = json.loads(command.run(argv, timeout=5.0 * len(known)).stdout)
        except (CommandError, ValueError):
            return None
        return archived.Position(at, said["timeline"], lsn_number(said["lsn"]), said["snapshot"])

    def look(self, repo: int) -> None:
        """Walk a repository's archive, unless that was costly and has just been done."""
        before = self.state["looks"].get(str(repo), {})
        begin = time.time()
        if 0 <= begin - before.get("at", 0) < pause(before.get("costs", [])):
            return
        look: dict[str, t.Any] = {"at": begin, "safe": before.get("safe")}
        try:
            stanza = backup.seen(self.host.client, repo)
            reach = archived.archived(archive.holdings(self.host.client, stanza, repo, None))
            look["archived"] = asdict(reach)
            known = [archived.Position(**one) for one in self.state["positions"]]
            old = archived.Position(**look["safe"]) if look["safe"] else None
            safe = archived.safe_until(known, reach, old)
            look["safe"] = asdict(safe) if safe is not None else None
        except ResilienceError as error:
            self.host.tell(f"repository {repo} cannot be looked at: {error}")
        look["costs"] = [*before.get("costs", []), time.time() - begin][-2:]
        self.state["looks"][str(repo)] = look

    def write(self) -> Path:
        path = Path(self.host.settings["metrics"]) / FILE
        catalogue.replace(path, prometheus.exposition(backup_metrics.metrics(self.facts())))
        return path

    def facts(self) -> backup_metrics.Facts:
        host = self.host
        top = Path(host.settings["directory"])
        results = top / "verifications" / host.stanza / catalogue.NAMES[catalogue.VERIFICATION]
        return backup_metrics.Facts(
            stanza=host.stanza,
            now=time.time(),
            backups=host.catalogue.lines(),
            verifications=catalogue.read(results, catalogue.VERIFICATION),
            forecast=_json(top / "forecasts" / host.stanza / "forecast.json"),
            repositories={repo: self.seen(repo) for repo in host.descriptor["repos"]},
        )

    def seen(self, repo: int) -> Seen:
        look = self.state["looks"].get(str(repo), {})
        copied = _json(self.directory / f"copied-repo{repo}.json") or {}
        seen = Seen(copied=copied.get("at"))
        if look.get("safe"):
            # Still true when the repository cannot be reached: what was safe stays so.
            seen = replace(seen, safe=archived.Position(**look["safe"]))
        if look.get("archived"):
            told = {**look["archived"], "path": tuple(tuple(step) for step in look["archived"]["path"])}
            seen = replace(seen, looked=look["at"], archived=archived.Archived(**told))
        if repo == 1:
            try:
                room = os.statvfs(self.host.descriptor["repo1_path"])
                seen = replace(seen, size=room.f_blocks * room.f_frsize, free=room.f_bavail * room.f_frsize)
            except OSError as error:
                self.host.tell(f"the room of repository 1 cannot be seen: {error}")
        return seen


def _json(path: Path) -> dict[str, t.Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
