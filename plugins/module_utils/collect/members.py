# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the members say of themselves, asked from outside, all at once, each with an outer deadline."""

from __future__ import annotations

import glob
import json
import queue
import socket
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import Deadline
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandError,
    CommandTimedOut,
    InputError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.topology import Member, Standing

DESCRIPTOR = "/etc/fraiseql-resilience/observer.json"

#: Where SSH usually is. It is tried beside the port that the inventory says, which may be one of another address: that
#: of a router in front of the hosts.
SSH_PORT = 22

#: The line of psql's errors that says why; others warn before it, or ask questions after it.
TELLING = ("error:", "FATAL:", "ERROR:")

#: Everything at once, so that one member's facts are of one moment. Names are those of judge.topology.Member.
#: Of a standby whose primary is gone, the control file tells the timeline of its last restart point, minutes ago
#: perhaps; the WAL that it received since tells the one that it has followed.
READING = """
SELECT json_build_object(
  'in_recovery', in_recovery,
  'version', current_setting('server_version_num')::int / 10000,
  'system_id', (SELECT system_identifier::text FROM pg_control_system()),
  'timeline', CASE WHEN in_recovery
      THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver),
                    greatest((SELECT timeline_id FROM pg_control_checkpoint()),
                             (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
                             (SELECT max(('x' || substr(name, 1, 8))::bit(32)::int) FROM pg_ls_waldir()
                               WHERE name ~ '^[0-9A-F]{24}$')))
      ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
  'written_lsn', CASE WHEN in_recovery
      THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) ELSE pg_current_wal_flush_lsn() END,
  'replayed_lsn', CASE WHEN in_recovery THEN pg_last_wal_replay_lsn() END,
  'replay_paused', CASE WHEN in_recovery THEN pg_is_wal_replay_paused() ELSE false END,
  'replay_age_seconds', CASE WHEN in_recovery
      THEN extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END,
  'receiving_from', (SELECT coalesce(sender_host, '') FROM pg_stat_wal_receiver WHERE status = 'streaming'),
  'synchronous_standby_names', current_setting('synchronous_standby_names'),
  'settings', (SELECT json_object_agg(name, setting) FROM pg_settings WHERE name IN
      ('max_connections', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions',
       'max_locks_per_transaction')),
  'senders', (SELECT coalesce(json_agg(json_build_object(
      'name', application_name, 'state', state, 'sync_state', sync_state,
      'flushed_lsn', flush_lsn, 'replayed_lsn', replay_lsn, 'lag_seconds', extract(epoch FROM replay_lag))), '[]')
      FROM pg_stat_replication),
  'slots', (SELECT coalesce(json_agg(json_build_object('name', slot_name, 'active', active, 'wal_status', wal_status,
      'retained_from', restart_lsn)), '[]') FROM pg_replication_slots WHERE slot_type = 'physical'),
  'archiver', (SELECT json_build_object('last_archived', last_archived_wal, 'last_failed', last_failed_wal,
      'failing', coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false),
      'command', coalesce(nullif(current_setting('archive_library', true), ''), current_setting('archive_command')))
      FROM pg_stat_archiver)
) FROM pg_is_in_recovery() AS in_recovery
"""

#: Reads are answered out of memory long after storage stopped taking writes, and on a full disk a commit fits into the
#: room that WAL has already, so a sort spills some hundred kB beside it. Waits for no standby, leaves no row, no file.
COMMIT = """
SET synchronous_commit TO local; SET work_mem TO '64kB';
SELECT count(*) FROM (SELECT n FROM generate_series(1, 20000) AS n ORDER BY n % 997 OFFSET 0) AS spilled;
SELECT pg_logical_emit_message(true, 'resilience', '')
"""
#: SQLSTATE disk_full; the message itself comes in the server's language.
DISK_FULL = "53100"
#: A commit may take this many times as long as a reading: a disk that is busy is not one that stands still.
COMMIT_TIMEOUTS = 3


def read_descriptor(path: str) -> dict[str, t.Any]:
    """What role observer wrote of the cluster."""
    try:
        with open(path, encoding="utf-8") as file:
            facts: dict[str, t.Any] = json.load(file)
    except (OSError, ValueError) as error:
        raise InputError(
            f"this host does not know its cluster: {error}", given=path, next_step="run the site playbook on it"
        ) from error
    return facts


def read_members(facts: t.Mapping[str, t.Any], *, timeout: float, run: Runner) -> list[Member]:
    """One reading of each member, in the descriptor's order. Takes about ``timeout`` seconds at the most, or
    four times that where a primary answers and cannot commit."""
    members = facts["members"]
    answers = Greetings([(one["address"], one["ssh_port"]) for one in members], timeout)
    with ThreadPoolExecutor(max_workers=len(members) or 1) as pool:
        readings = [pool.submit(read_member, one, facts, timeout=timeout, run=run) for one in members]
    return [reading.result()._replace(ssh_answers=answers.of(i)) for i, reading in enumerate(readings)]


def read_member(one: t.Mapping[str, t.Any], facts: t.Mapping[str, t.Any], *, timeout: float, run: Runner) -> Member:
    """One member's own words, or why there are none."""
    begin = time.monotonic()
    conninfo = {
        "host": one["address"], "port": one["port"], "user": facts["monitor_user"], "dbname": "postgres",
        "sslmode": "verify-full", "sslrootcert": facts["ca"], "passfile": facts["pgpass"],
        "connect_timeout": 2, "application_name": "cluster_info",
    }  # fmt: skip
    argv = [psql(), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", " ".join(f"{k}={_quoted(v)}" for k, v in conninfo.items())]
    try:
        said = json.loads(run([*argv, "-c", READING], timeout=timeout).stdout)
    except (CommandError, ValueError) as error:
        standing, reason = _standing_of(error)
        return Member(name=one["name"], region=one["region"], standing=standing, reason=reason)
    read_in = round(time.monotonic() - begin, 3)
    standing, reason = (Standing.STANDBY, "") if said.pop("in_recovery") else _primary(argv, timeout, run)
    return Member(
        name=one["name"], region=one["region"], standing=standing, reason=reason, reading_seconds=read_in, **said
    )


def _primary(argv: t.Sequence[str], timeout: float, run: Runner) -> tuple[Standing, str]:
    """Whether a primary can commit; one that refuses to says so by itself, and is one all the same."""
    patience = COMMIT_TIMEOUTS * timeout
    try:
        answer = run([*argv, "-v", "VERBOSITY=sqlstate", "-c", COMMIT], timeout=patience, check=False)
    except CommandTimedOut:
        return Standing.STALLED, f"it answers, and its storage did not take a commit within {patience:g} s"
    if DISK_FULL in answer.stderr:
        return Standing.STALLED, "it answers, and its storage is full"
    return Standing.PRIMARY, ""


def psql() -> str:
    """The newest psql itself: Debian's wrapper in PATH costs a tenth of a second of CPU, in the midst of an outage."""
    found = glob.glob("/usr/lib/postgresql/*/bin/psql")
    return max(found, key=lambda path: int(path.split("/")[4]), default="psql")


def is_greeted(address: str, port: int, timeout: float) -> bool:
    """Does a server speak first on that port, as sshd does? A frozen host's kernel accepts connections, and no more."""
    try:
        with socket.create_connection((address, port), timeout=timeout) as connection:
            return bool(connection.recv(1))
    except OSError:
        return False


def ssh_ports(port: int) -> list[int]:
    """Where SSH of a host may be, whose inventory says this one."""
    return [port] if port == SSH_PORT else [port, SSH_PORT]


class Greetings:
    """Where SSH greets, all asked at once. Looking up a name knows no timeout, so a slow one is left behind."""

    def __init__(self, places: t.Sequence[tuple[str, int]], timeout: float) -> None:
        self._deadline = Deadline(timeout)
        self._heard: list[tuple[queue.SimpleQueue[bool], int]] = []
        for address, port in places:
            heard, ports = queue.SimpleQueue[bool](), ssh_ports(port)
            for one in ports:
                threading.Thread(target=self._look, args=(heard, address, one, timeout), daemon=True).start()
            self._heard.append((heard, len(ports)))

    def of(self, index: int) -> bool:
        """Was there a greeting in time? Each is asked about once."""
        heard, ports = self._heard[index]
        try:
            return any(heard.get(timeout=self._deadline.left()) for _port in range(ports))
        except queue.Empty:
            return False

    @staticmethod
    def _look(heard: queue.SimpleQueue[bool], address: str, port: int, timeout: float) -> None:
        heard.put(is_greeted(address, port, timeout))


def _standing_of(error: Exception) -> tuple[Standing, str]:
    text = (getattr(error, "stderr_tail", "") or str(error)).strip()
    lines = text.splitlines() or ["no answer"]
    telling = next((line for line in lines if any(word in line for word in TELLING)), lines[-1])
    if "starting up" in text or "not yet accepting" in text or "shutting down" in text:
        return Standing.STARTING, telling
    if "Connection refused" in text:
        return Standing.REFUSED, telling
    return Standing.UNSEEN, telling


def _quoted(value: object) -> str:
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"
