# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a member back that has data of its own: looks, and does what judge/rejoin.py decided.

While its data are changed the member is masked, and it is unmasked only when it can start as nothing but a standby.
What a cut-off run began stands in a state file, since a half-done rewind cannot be told from the data.
"""

from __future__ import annotations

import json
import re
import shutil
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import Deadline, poll
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import (
    controldata,
    demotion,
    diverged,
    fencing,
    restore,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.local_sql import LocalServer
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import Client
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandError,
    RefusedError,
    UnknownError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.recovery_end import (
    history_file_name,
    lsn_to_int,
    parse_history,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.rejoin import (
    NO_DATA,
    Decision,
    Method,
    Remains,
    Source,
    decide,
)

STATE = Path("/var/lib/fraiseql-resilience/rejoin.json")
#: Of a member whose descriptor was written before it named its authority.
CA = "/etc/fraiseql-resilience/tls/ca.crt"
PASSFILE = "/etc/fraiseql-resilience/replication.pgpass"
#: Seconds for one question to the primary, and for its checkpoint.
ASK_SECONDS, CHECKPOINT_SECONDS = 5.0, 120.0
POLL_SECONDS = 0.25
#: What a connection string takes as it is.
PLAIN = re.compile(r"[\w./:-]+")

#: The control file's words for a server that was a standby when it ended; any other may have written by itself.
STANDBY_STATES = ("in archive recovery", "shut down in recovery")

#: In recovery, streams, timeline, end of what is here.
RUNNING = """
SELECT pg_is_in_recovery() || '|' || EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming') || '|' ||
       greatest((SELECT received_tli FROM pg_stat_wal_receiver), (SELECT timeline_id FROM pg_control_checkpoint()),
                (SELECT min_recovery_end_timeline FROM pg_control_recovery())) || '|' ||
       CASE WHEN pg_is_in_recovery()
            THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) ELSE pg_current_wal_lsn() END
"""


@dataclass(frozen=True)
class Primary:
    """The member to follow, asked as its standbys do."""

    name: str
    address: str
    port: int
    user: str
    bin_dir: str
    os_user: str
    run: Runner
    ca: str = CA

    @classmethod
    def of(cls, member: t.Mapping[str, t.Any], name: str, user: str, run: Runner) -> Primary:
        """The peer of that name.

        :raises RefusedError: there is none, or it is the member itself.
        """
        others = {peer["name"]: peer for peer in member["peers"] if peer["name"] != member["name"]}
        if name not in others:
            raise RefusedError(
                f"{member['name']} cannot follow {name}",
                given=name,
                possible=", ".join(sorted(others)) or "nobody",
                next_step="see with module cluster_info who is primary",
            )
        peer = others[name]
        ca = member.get("ca", CA)
        return cls(name, peer["address"], peer["port"], user, member["bin_dir"], member["os_user"], run, ca)

    def conninfo(self, **more: str) -> str:
        given = {
            "host": self.address, "port": str(self.port), "user": self.user, "dbname": "postgres",
            "sslmode": "verify-full", "sslrootcert": self.ca, "passfile": PASSFILE, "connect_timeout": "3", **more,
        }  # fmt: skip
        return " ".join(f"{key}={_quoted(value)}" for key, value in given.items())

    def ask(self, command: str, *, timeout: float = ASK_SECONDS, **more: str) -> str:
        argv = [f"{self.bin_dir}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo(**more), "-c", command]
        return self.run(argv, timeout=timeout, user=self.os_user).stdout

    def identify(self) -> Source:
        """Its cluster, timeline and history, as the replication protocol tells them: no right but REPLICATION needed.

        :raises UnknownError: it does not answer.
        """
        try:
            system_id, timeline = self.ask("IDENTIFY_SYSTEM", replication="true").split("|")[:2]
            history = ""
            if timeline != "1":
                answer = self.ask(f"TIMELINE_HISTORY {timeline}", replication="true")
                history = answer.removeprefix(f"{history_file_name(int(timeline))}|")
            return Source(self.name, system_id, int(timeline), parse_history(history))
        except (CommandError, ValueError) as error:
            raise UnknownError(
                f"{self.name} does not say what it is: {getattr(error, 'stderr_tail', '') or error}",
                next_step="see with module cluster_info who is primary",
            ) from error


def look(member: t.Mapping[str, t.Any], *, run: Runner) -> Remains:
    """What the member has, whether its server runs or not."""
    begun_before = read_state().get("begun")
    control = controldata.read(member, run=run)
    if control is None:
        interrupted = restore.read_state().get("state") == "restoring"
        return Remains(member["name"], False, unfinished=begun_before or ("restore" if interrupted else None))
    # A restore writes the control file last: with it, the data are whole, whoever restored them.
    unfinished = begun_before if begun_before == "rewind" else None
    known = Remains(member["name"], True, unfinished=unfinished, system_id=control.system_id)
    running = _running(member, run)
    if running is not None:
        in_recovery, streams, timeline, end = running
        own = known._replace(in_recovery=in_recovery, streams=streams, timeline=timeline, end_lsn=end)
    else:
        # After a promotion the control file keeps the end of the recovery until the next checkpoint.
        own = known._replace(
            shut_down=control.shut_down,
            timeline=max(control.timeline, control.min_recovery_timeline),
            end_lsn=max(control.checkpoint_lsn, control.min_recovery_lsn, key=lsn_to_int),
            ended_as_primary=control.state not in STANDBY_STATES,
        )
    try:
        return own._replace(history=controldata.own_history(member, own.timeline or 1))
    except UnknownError:
        # Then nothing is known of how far its own data belong to the cluster's history.
        return own._replace(timeline=None, end_lsn=None)


def act(
    member: t.Mapping[str, t.Any], primary: Primary, decision: Decision, timeouts: t.Mapping[str, float], *, keep: bool
) -> dict[str, t.Any]:
    """Do it, and go on to a restore where a gentler way does not lead to a standby that streams.

    :param timeouts: seconds: ``stop``, ``rewind``, ``restore``, ``follow``.
    :param keep: whether WAL and rows that the member alone holds are kept first.
    """
    run = primary.run
    tried: list[str] = []
    kept = None
    method = decision.method
    keep = keep and decision.fork_lsn is not None and read_state().get("begun") is None
    diverged.stop(run)
    if keep:
        diverged.demand_room(member, decision.fork_lsn, run=run)
    if method in (Method.START, Method.WAIT):
        if method is Method.START:
            fencing.by_host(member, timeouts["stop"], check_mode=False, run=run)
        problem = _follow(member, primary, timeouts["follow"])
        if problem is None:
            return {"method": method.value, **_told(None), "tried": tried}
        tried.append(f"{method.value}: {problem}")
        method = Method.RESTORE
    fencing.by_host(member, timeouts["stop"], check_mode=False, run=run)
    restore.Place.of(member).forget_killed()
    if keep:
        kept = diverged.keep(member, decision.fork_lsn, run=run)
    if method is Method.REWIND:
        problem = _rewind(member, primary, timeouts["rewind"]) or _follow(member, primary, timeouts["follow"])
        if problem is None:
            return {"method": method.value, **_told(kept), "tried": tried}
        tried.append(f"{method.value}: {problem}")
        fencing.by_host(member, timeouts["stop"], check_mode=False, run=run)
    _restore(member, timeouts["restore"], run)
    problem = _follow(member, primary, timeouts["follow"])
    if problem is not None:
        raise UnknownError(
            f"{member['name']} was restored and does not stream: {problem}",
            changed=True,
            next_step=f"read PostgreSQL's log on {member['name']}",
        )
    return {"method": Method.RESTORE.value, **_told(kept), "tried": tried}


def _told(kept: diverged.Kept | None) -> dict[str, t.Any]:
    if kept is None:
        return {"kept": None, "kept_transactions": 0, "kept_rows": 0}
    return {"kept": kept.folder, "kept_transactions": kept.transactions, "kept_rows": kept.rows}


def read_state() -> dict[str, t.Any]:
    """What an earlier run began and did not end; empty if nothing."""
    try:
        state: dict[str, t.Any] = json.loads(STATE.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return state


def plan(member: t.Mapping[str, t.Any], primary: Primary) -> Decision:
    """What would be done."""
    remains = look(member, run=primary.run)
    if not remains.has_data and not remains.unfinished:
        # A host that is being made again may not be able to log in at the primary yet.
        return NO_DATA
    return decide(remains, primary.identify())


def _begin(what: str) -> None:
    unfinished = STATE.with_suffix(".unfinished")
    unfinished.write_text(json.dumps({"begun": what}) + "\n", encoding="utf-8")
    unfinished.replace(STATE)


def _rewind(member: t.Mapping[str, t.Any], primary: Primary, timeout: float) -> str | None:
    """Run pg_rewind. None, or why it did not do it; the data are then fit for nothing but a restore."""
    argv = [
        f"{member['bin_dir']}/pg_rewind", "--target-pgdata", member["data_dir"],
        "--source-server", primary.conninfo(application_name=f"rewind-{member['name']}"),
        "--config-file", f"{member['config_dir']}/postgresql.conf", "--restore-target-wal",
    ]  # fmt: skip
    signal = Path(member["data_dir"]) / "standby.signal"
    _begin("rewind")
    try:
        # Before PostgreSQL 16, a primary's control file knows its own timeline only after a checkpoint.
        primary.ask("CHECKPOINT", timeout=CHECKPOINT_SECONDS)
        # The crash recovery that pg_rewind begins with refuses to run as a standby.
        signal.unlink(missing_ok=True)
        primary.run(argv, timeout=timeout, user=member["os_user"])
    except CommandError as error:
        return f"{error.message}: {error.stderr_tail.strip()[-500:]}"
    signal.touch()
    shutil.chown(signal, member["os_user"], member["os_user"])
    STATE.unlink()
    return None


def _restore(member: t.Mapping[str, t.Any], timeout: float, run: Runner) -> None:
    _begin("restore")
    request = restore.Request("standby", delta=True, keep=False)
    client = Client(run, member["stanza"], user=member["os_user"])
    restore.restore(restore.Place.of(member), request, client, timeout, run)
    STATE.unlink()


def _follow(member: t.Mapping[str, t.Any], primary: Primary, timeout: float) -> str | None:
    """Start it as a standby if it does not run. None once it streams on the primary's timeline, or what is wrong."""
    deadline = Deadline(timeout)

    def follows() -> bool | None:
        running = _running(member, primary.run)
        if running is None:
            return None
        in_recovery, streams, timeline, _end = running
        if not (in_recovery and streams):
            return None
        try:
            return True if timeline == primary.identify().timeline else None
        except UnknownError:
            return None  # A primary that is busy for a moment is no reason to restore a standby that streams.

    try:
        fencing.undo_host(member, check_mode=False, run=primary.run)
        demotion.start_as_standby(member, timeout, check_mode=False, run=primary.run)
        poll(follows, timeout=deadline.left(), interval=POLL_SECONDS, what=f"{member['name']} streams")
    except (CommandError, UnknownError) as error:
        return error.message
    return None


def _running(member: t.Mapping[str, t.Any], run: Runner) -> tuple[bool, bool, int, str] | None:
    """What the running server says; None where nobody answers."""
    try:
        in_recovery, streams, timeline, end = LocalServer.of(member, run).value(RUNNING).split("|")
    except (CommandError, ValueError):
        return None
    return in_recovery == "true", streams == "true", int(timeline), end


def _quoted(value: str) -> str:
    """As libpq's connection strings want what is not made of letters and digits alone."""
    return value if PLAIN.fullmatch(value) else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
