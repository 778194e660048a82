# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What PostgreSQL and PgBouncer say of themselves, through a line with a deadline."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.health.member import Line, LookFailed
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.postgresql import (
    Archiver,
    Pool,
    Replication,
    Sessions,
    Slot,
)

#: How long a query has run is the most that it can have waited. PostgreSQL 17 spells these events otherwise. From 16 on
#: more slots are reserved. The session that asks has a slot, too.
SESSIONS = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         - coalesce(current_setting('reserved_connections', true)::int, 0),
       count(*) FILTER (WHERE backend_type = 'client backend') + 1,
       count(*) FILTER (WHERE wait_event_type = 'Lock'),
       max(seconds) FILTER (WHERE wait_event_type = 'Lock'),
       max(seconds) FILTER (WHERE wait_event = 'SyncRep'),
       max(seconds) FILTER (WHERE lower(wait_event) IN ('walwrite', 'walsync', 'walinitwrite', 'walinitsync')),
       max(idle) FILTER (WHERE state LIKE 'idle in transaction%')
  FROM (SELECT *, extract(epoch FROM clock_timestamp() - query_start)::float8 AS seconds,
               extract(epoch FROM clock_timestamp() - state_change)::float8 AS idle
          FROM pg_stat_activity WHERE pid <> pg_backend_pid()) AS others
"""

REPLICATION = """
SELECT in_recovery, coalesce(r.status = 'streaming', false),
       CASE WHEN in_recovery
            THEN greatest(pg_wal_lsn_diff(greatest(r.latest_end_lsn, r.flushed_lsn), pg_last_wal_replay_lsn()), 0)
            ELSE (SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)) FROM pg_stat_replication
                   WHERE state = 'streaming' AND replay_lsn IS NOT NULL) END::bigint,
       extract(epoch FROM clock_timestamp() - r.last_msg_receipt_time)::float8,
       CASE WHEN in_recovery THEN pg_is_wal_replay_paused() ELSE false END,
       (SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND replay_lsn IS NOT NULL),
       (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')),
       current_setting('synchronous_standby_names')
  FROM (SELECT pg_is_in_recovery() AS in_recovery) AS s
  LEFT JOIN pg_stat_wal_receiver AS r ON true
"""

SLOTS = """
SELECT slot_name::text, active, wal_status,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
                       restart_lsn)::float8, pg_is_in_recovery()
  FROM pg_replication_slots ORDER BY slot_name
"""

ARCHIVER = """
SELECT current_setting('archive_mode') <> 'off', pg_is_in_recovery(),
       coalesce(a.last_failed_time > coalesce(a.last_archived_time, '-infinity'), false),
       (SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'),
       (SELECT extract(epoch FROM clock_timestamp() - min(modification))::float8
          FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready')
  FROM pg_stat_archiver AS a
"""

TRANSACTION_IDS = """
SELECT max(age(datfrozenxid)), max(mxid_age(datminmxid)),
       (SELECT max(extract(epoch FROM clock_timestamp() - prepared))::float8 FROM pg_prepared_xacts)
  FROM pg_database
"""

#: One whose DROP DATABASE was cut off lets nobody in (-2), and can only be dropped again.
DATABASES = """
SELECT datname::text FROM pg_database WHERE datallowconn AND NOT datistemplate AND datconnlimit <> -2 ORDER BY datname
"""

#: A sequence ends where it ends itself, or where the column that it fills does. CASE, since the planner is free to ask
#: for the last value before it joins: of a table, which is an error, as is an unlogged sequence on a standby.
SEQUENCES = """
SELECT format('%I.%I.%I', current_database(), n.nspname, c.relname),
       100.0 * greatest(c.last_value, 0)::float8
         / least(s.seqmax, CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
                           ELSE s.seqmax END)
  FROM pg_sequence AS s
  JOIN (SELECT oid, relname, relnamespace,
               CASE WHEN relkind = 'S' AND relpersistence = 'p' THEN pg_sequence_last_value(oid) END AS last_value
          FROM pg_class) AS c ON c.oid = s.seqrelid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
                          AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
  LEFT JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
 WHERE NOT s.seqcycle AND s.seqincrement > 0 AND c.last_value IS NOT NULL
 ORDER BY 2 DESC LIMIT 3
"""

CHECKSUMS = """
SELECT current_setting('data_checksums') = 'on', coalesce(datname, 'shared'), coalesce(checksum_failures, 0)
  FROM pg_stat_database
"""

#: Some blocks of each tablespace, others each time; large files oftener, since they are most of what is stored.
BLOCKS = """
WITH tablespaces AS (
  SELECT 'pg_default' AS name, 'base' AS folder
  UNION ALL
  SELECT spcname::text, format('pg_tblspc/%s/%s', oid, version)
    FROM pg_tablespace, LATERAL pg_ls_dir(format('pg_tblspc/%s', oid)) AS version
   WHERE spcname NOT IN ('pg_default', 'pg_global')
     AND split_part(version, '_', 2) = (current_setting('server_version_num')::int / 10000)::text
), files AS (
  SELECT name, path, row_number() OVER (PARTITION BY name ORDER BY random()) AS drawn
    FROM (SELECT t.name, format('%s/%s/%s', t.folder, database, file) AS path
            FROM tablespaces AS t, LATERAL pg_ls_dir(t.folder) AS database,
                 LATERAL pg_ls_dir(format('%s/%s', t.folder, database), true, false) AS file
           WHERE database ~ '^[0-9]+$' AND file ~ '^[0-9]+([.][0-9]+)?$') AS all_files
), sized AS (
  SELECT name, path, s.size / 8192 AS blocks,
         row_number() OVER (PARTITION BY name ORDER BY random() * s.size DESC) AS drawn
    FROM files, LATERAL pg_stat_file(path, true) AS s WHERE files.drawn <= 200 AND s.size >= 8192
)
SELECT name, path, (floor(random() * blocks) * 8192)::bigint FROM sized WHERE drawn <= 4
"""

#: A setting that waits for a restart and one whose value is impossible have the same error; only the first is pending.
#: One that is in no file any more has an error without a file, and waits, too. After a restore these are the target's,
#: which no restart would change anything by.
CONFIGURATION = """
SELECT 'wrong', format('pg_hba.conf, line %s: %s', line_number, error) FROM pg_hba_file_rules WHERE error IS NOT NULL
UNION ALL
SELECT 'wrong', format('%s, line %s: %s', sourcefile, sourceline, error) FROM pg_file_settings
 WHERE error IS NOT NULL AND sourcefile IS NOT NULL
   AND NOT (error = 'setting could not be applied'
            AND lower(name) IN (SELECT lower(name) FROM pg_settings WHERE pending_restart))
UNION ALL
SELECT 'pending', name FROM pg_settings WHERE pending_restart AND name NOT LIKE 'recovery_target%'
"""

#: io_error, data_corrupted, index_corrupted.
STORAGE_ERRORS = {"58030", "XX001", "XX002"}

HEARTBEAT_TABLE = """
CREATE SCHEMA IF NOT EXISTS resilience;
CREATE TABLE IF NOT EXISTS resilience.heartbeat (name text PRIMARY KEY, beat bigint NOT NULL)
"""


def sessions(line: Line, deadline: float) -> Sessions:
    return Sessions(*line.ask(SESSIONS, deadline))


def replication(line: Line, deadline: float) -> Replication:
    return Replication(*line.ask(REPLICATION, deadline))


def slots(line: Line, deadline: float) -> tuple[list[Slot], bool]:
    rows = line.rows(SLOTS, deadline)
    return [Slot(*row[:4]) for row in rows], bool(rows and rows[0][4])


def archiver(line: Line, deadline: float) -> Archiver:
    return Archiver(*line.ask(ARCHIVER, deadline))


def checksums(line: Line, deadline: float) -> tuple[bool, dict[str, int]]:
    rows = line.rows(CHECKSUMS, deadline)
    return all(row[0] for row in rows), {name: int(count) for _enabled, name, count in rows}


def unreadable(line: Line, deadline: float) -> tuple[int, dict[str, str]]:
    """How many blocks could be read, and for each tablespace where one could not why.

    By PostgreSQL, as its own reads: out of the kernel's memory where they are in it. An error of the storage is
    found where it is; any other leaves it unknown.
    """
    read, failed = 0, {}
    for name, path, offset in line.rows(BLOCKS, deadline):
        try:
            line.rows(f"SELECT length(pg_read_binary_file({quoted(path)}, {offset}, 8192, true))", deadline)
            read += 1
        except LookFailed as error:
            if sqlstate(error) not in STORAGE_ERRORS:
                raise
            failed[name] = error.message
    return read, failed


def sqlstate(error: LookFailed) -> str | None:
    """What PostgreSQL calls the error that it answered with; None where it gave no answer."""
    return getattr(error.__cause__, "pgcode", None)


def configuration(line: Line, deadline: float) -> tuple[list[str], list[str]]:
    rows = line.rows(CONFIGURATION, deadline)
    return [text for kind, text in rows if kind == "wrong"], [text for kind, text in rows if kind == "pending"]


def sequences(dsn: t.Callable[[str], str], deadline: float) -> dict[str, float]:
    """The fullest sequences of each database; a session for each, since they are seen from inside alone."""
    first = Line(dsn("postgres"), deadline)
    try:
        names = [name for (name,) in first.rows(DATABASES, deadline)]
    finally:
        first.close()
    found: dict[str, float] = {}
    for name in names:
        line = Line(dsn(name), deadline)
        try:
            found.update((sequence, float(percent)) for sequence, percent in line.rows(SEQUENCES, deadline))
        finally:
            line.close()
    return found


def login(dsn: str, deadline: float) -> float:
    """Seconds that a new session takes, with its first answer. One that lasts would not see that others get none."""
    begin = time.monotonic()
    line = Line(dsn, deadline)
    try:
        line.ask("SELECT 1", deadline)
    finally:
        line.close()
    return time.monotonic() - begin


def pools(line: Line, deadline: float) -> tuple[list[Pool], int, int]:
    """PgBouncer's pools, its clients, and how many it takes at most."""
    sizes = {row["name"]: int(row["pool_size"]) for row in line.named("SHOW DATABASES", deadline)}
    rows = [row for row in line.named("SHOW POOLS", deadline) if row["database"] != "pgbouncer"]
    most = next(row["value"] for row in line.named("SHOW CONFIG", deadline) if row["key"] == "max_client_conn")
    found = [
        Pool(
            name=f"{row['database']}/{row['user']}",
            waiting=int(row["cl_waiting"]),
            longest_wait=int(row["maxwait"]) + int(row["maxwait_us"]) / 1e6,
            used=int(row["sv_active"]),
            size=sizes.get(row["database"], 0),
        )
        for row in rows
    ]
    return found, sum(int(row["cl_active"]) + int(row["cl_waiting"]) for row in rows), int(most)


def beat(line: Line, name: str, deadline: float) -> None:
    """Write the heartbeat's next number, and read it back.

    The limit is the transaction's own, since a session may be another client's next. A row that is locked by an
    earlier attempt, whose commit still waits for a standby, must not leave a second session waiting. That wait itself
    is not limited by it, and so not ended with a mere warning.
    """
    milliseconds = max(1, int((deadline - time.monotonic()) * 1000))
    wanted = _next_beat(line, name, deadline)
    line.rows(
        f"BEGIN; SET LOCAL statement_timeout = {milliseconds};"
        f" INSERT INTO resilience.heartbeat VALUES ({quoted(name)}, {wanted})"
        f" ON CONFLICT (name) DO UPDATE SET beat = excluded.beat; COMMIT",
        deadline,
    )
    read = last_beat(line, name, deadline)
    if read is None or read < wanted:
        raise LookFailed(f"beat {wanted} was acknowledged, and {read} is read back")


def _next_beat(line: Line, name: str, deadline: float) -> int:
    if not line.ask("SELECT to_regclass('resilience.heartbeat') IS NOT NULL", deadline)[0]:
        line.rows(HEARTBEAT_TABLE, deadline)
    return (last_beat(line, name, deadline) or 0) + 1


def last_beat(line: Line, name: str, deadline: float) -> int | None:
    rows = line.rows(f"SELECT beat FROM resilience.heartbeat WHERE name = {quoted(name)}", deadline)
    return int(rows[0][0]) if rows else None


def quoted(value: str) -> str:
    """A literal of SQL, as standard_conforming_strings has them."""
    return "'" + value.replace("'", "''") + "'"


def conninfo(words: t.Mapping[str, t.Any]) -> str:
    """A connection string of libpq; what is empty is left to its default."""
    escaped = {
        key: str(value).replace("\\", "\\\\").replace("'", "\\'")
        for key, value in words.items()
        if value not in {None, ""}
    }
    return " ".join(f"{key}='{value}'" for key, value in escaped.items())
