# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the probe's tables hold, read as a client of the gateway or of one member (with psql, by the probe's own role).

Only a primary is believed: a standby's snapshot says nothing about what the cluster has kept.
"""

from __future__ import annotations

import json
import typing as t
import uuid
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandFailed,
    InputError,
    RefusedError,
    UnknownError,
)

DESCRIPTOR = "/etc/fraiseql-resilience/observer.json"
#: Seconds that one attempt to connect may take.
CONNECT_TIMEOUT = 3

SCHEMA = """
CREATE SCHEMA IF NOT EXISTS resilience;
CREATE TABLE IF NOT EXISTS resilience.probe (run uuid, client int, seq bigint, PRIMARY KEY (run, client, seq));
CREATE TABLE IF NOT EXISTS resilience.marker (
    name text PRIMARY KEY, lsn pg_lsn NOT NULL, written_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
"""
SCHEMA_THERE = "SELECT to_regclass('resilience.probe') IS NOT NULL AND to_regclass('resilience.marker') IS NOT NULL;"
# The rows come from the table itself, not from its index: an index may hold what the table has lost.
ROWS = """
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL enable_indexscan = off;
SET LOCAL enable_indexonlyscan = off;
SET LOCAL enable_bitmapscan = off;
SELECT pg_is_in_recovery(), host(inet_server_addr()),
       CASE WHEN pg_is_in_recovery() THEN '0' ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END,
       CASE WHEN pg_is_in_recovery() THEN '0/0' ELSE pg_current_wal_flush_lsn() END;
SELECT client, seq FROM resilience.probe WHERE run = :'run';
COMMIT;
"""
# psql puts its variables in as quoted literals.
MARK = """
INSERT INTO resilience.marker (name, lsn) VALUES (:'name', pg_current_wal_insert_lsn())
RETURNING host(inet_server_addr()), left(pg_walfile_name(pg_current_wal_lsn()), 8), lsn;
"""
RESTORE_POINT = "SELECT pg_create_restore_point(:'restore_point');\n"
MAY_MAKE_POINTS = "SELECT has_function_privilege('pg_create_restore_point(text)', 'EXECUTE');\n"
WHERE = """
SELECT host(inet_server_addr()), left(pg_walfile_name(pg_current_wal_lsn()), 8), pg_current_wal_flush_lsn();
"""
MARKER = """
SELECT lsn, to_char(written_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
FROM resilience.marker WHERE name = :'name';
"""
UNMARK = "DELETE FROM resilience.marker WHERE name = :'name';\n"


@dataclass(frozen=True)
class Observer:
    """What /etc/fraiseql-resilience/observer.json says."""

    cluster: str
    members: tuple[dict[str, t.Any], ...]
    gateway: dict[str, t.Any]
    probe_user: str
    pgpass: str
    ca: str

    @classmethod
    def read(cls, path: str = DESCRIPTOR) -> Observer:
        """:raises InputError: this host is no observer, or its descriptor is damaged."""
        try:
            given = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(
                cluster=given["cluster"],
                members=tuple(given["members"]),
                gateway=given["gateway"],
                probe_user=given["probe_user"],
                pgpass=given["pgpass"],
                ca=given["ca"],
            )
        except OSError as error:
            raise InputError(
                f"{path} cannot be read ({error.strerror}): this host is no observer",
                next_step="run fraiseql.resilience.site, or name an observer as the host of this task",
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} is damaged ({type(error).__name__}: {error})", next_step="run fraiseql.resilience.site again"
            ) from error

    def connection(self, server: str | None = None) -> dict[str, t.Any]:
        """Connection parameters of libpq to the gateway, or straight to the member named ``server``.

        :raises InputError: there is no such member.
        """
        common = {
            "dbname": self.gateway["database"],
            "user": self.probe_user,
            "passfile": self.pgpass,
            "sslmode": self.gateway.get("sslmode", "verify-full"),
            "sslrootcert": self.ca,
            "connect_timeout": CONNECT_TIMEOUT,
        }
        if server is None:
            return {"host": self.gateway["host"], "port": self.gateway["port"], **common}
        for member in self.members:
            if member["name"] == server:
                return {"host": member["address"], "port": member["port"], **common, "sslmode": "verify-full"}
        raise InputError(
            f"{server} is no member of {self.cluster}",
            given=f"server={server}",
            possible=", ".join(member["name"] for member in self.members),
        )


@dataclass(frozen=True)
class ProbeRows:
    """The rows of one run and where they were read. ``lsn``: the server had flushed so much WAL."""

    rows: tuple[tuple[int, int], ...]
    server: str
    timeline: int
    lsn: str


def conninfo(parameters: t.Mapping[str, t.Any]) -> str:
    """Parameters as one libpq connection string."""

    def quoted(value: t.Any) -> str:
        return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"

    return " ".join(f"{key}={quoted(value)}" for key, value in parameters.items())


def sql(
    run_program: Runner, connection: t.Mapping[str, t.Any], script: str, *, timeout: float, **variables: str
) -> list[list[str]]:
    """The fields of each line that a script of SQL answers.

    :param variables: psql's variables, ``:'name'`` in the script.
    :raises CommandError: it failed, or gave no answer within ``timeout`` seconds.
    """
    given = [part for name, value in variables.items() for part in ("-v", f"{name}={value}")]
    argv = ["psql", "-XAtqw", "-F", "\t", "-v", "ON_ERROR_STOP=1", *given, "-d", conninfo(connection), "-f", "-"]
    try:
        answer = run_program(argv, timeout=timeout, stdin=script)
    except CommandFailed as error:
        raise _in_the_servers_words(error) from error
    return [line.split("\t") for line in answer.stdout.splitlines()]


def _in_the_servers_words(error: CommandFailed) -> CommandFailed:
    lines = [
        line for line in error.stderr_tail.splitlines() if "ERROR:" in line or "FATAL:" in line or "error:" in line
    ]
    said = lines[0].split("psql: ")[-1].split("psql:<stdin>:")[-1] if lines else error.message
    return CommandFailed(
        f"the database did not do what it was asked: {said}", argv=error.argv, rc=error.rc, stderr=error.stderr_tail
    )


def read_rows(run: Runner, connection: t.Mapping[str, t.Any], run_id: str, *, timeout: float) -> ProbeRows:
    """Every row of a run.

    :raises UnknownError: what answered is no primary.
    :raises CommandError: nothing answered in time.
    """
    answer = sql(run, connection, ROWS, timeout=timeout, run=str(uuid.UUID(run_id)))
    if not answer or len(answer[0]) != 4:
        raise UnknownError("the server did not say what it is")
    in_recovery, server, timeline, lsn = answer[0]
    if in_recovery != "f":
        raise UnknownError(f"{server} is in recovery: only a primary's rows are believed")
    rows = tuple((int(client), int(seq)) for client, seq in answer[1:])
    return ProbeRows(rows, server, int(timeline, 16), lsn)


def prepare(run: Runner, connection: t.Mapping[str, t.Any], *, timeout: float, check_mode: bool) -> bool:
    """Make the probe's schema and tables; whether anything was (or would be) made."""
    there = sql(run, connection, SCHEMA_THERE, timeout=timeout) == [["t"]]
    if not there and not check_mode:
        sql(run, connection, SCHEMA, timeout=timeout)
    return not there


# --- markers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Marker:
    """A row that tells two sides of a moment apart. ``lsn`` is the insert position inside its statement."""

    name: str
    present: bool
    lsn: str | None = None
    written_at: str | None = None

    def as_dict(self) -> dict[str, t.Any]:
        return {"name": self.name, "present": self.present, "lsn_in_statement": self.lsn, "written_at": self.written_at}


def read_marker(run: Runner, connection: t.Mapping[str, t.Any], name: str, *, timeout: float) -> Marker:
    """Is the marker there? ``written_at`` is a label in UTC."""
    answer = sql(run, connection, MARKER, timeout=timeout, name=name)
    return Marker(name, True, answer[0][0], answer[0][1]) if answer else Marker(name, False)


def write_marker(
    run: Runner, connection: t.Mapping[str, t.Any], name: str, *, restore_point: str | None, timeout: float
) -> dict[str, t.Any]:
    """Commit a marker, then say where the WAL stood: its commit ends at or before ``lsn``.

    Every statement stands for itself, as the gateway pools by transaction; all must be answered by one server and on
    one timeline.

    :raises RefusedError: the user may not make a restore point.
    :raises UnknownError: the primary changed in between, so that the positions mean nothing.
    """
    if restore_point and sql(run, connection, MAY_MAKE_POINTS, timeout=timeout) != [["t"]]:
        raise RefusedError(
            "the probe's user may not make restore points",
            given=f"restore_point={restore_point}",
            next_step="GRANT EXECUTE ON FUNCTION pg_create_restore_point(text) to it, or restore to the marker's LSN",
        )
    script = MARK + (RESTORE_POINT if restore_point else "") + WHERE
    answer = sql(run, connection, script, timeout=timeout, name=name, restore_point=restore_point or "")
    first, last = answer[0], answer[-1]
    if first[:2] != last[:2]:
        raise UnknownError(
            f"the marker was written on {first[0]} but {last[0]} answered next: the primary has just changed",
            next_step="write another marker",
            changed=True,
        )
    return {"server": first[0], "timeline": int(first[1], 16), "lsn_in_statement": first[2], "lsn": last[2]}


def remove_marker(run: Runner, connection: t.Mapping[str, t.Any], name: str, *, timeout: float) -> None:
    sql(run, connection, UNMARK, timeout=timeout, name=name)
