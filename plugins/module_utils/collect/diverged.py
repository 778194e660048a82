# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a member alone holds since its history left the cluster's: kept as WAL and as rows, before it is overwritten.

The rows are read from the member itself, started for nobody but this: without network, read-only, archiving nothing,
in a unit that ends by itself if this run is killed. A row counts if the transaction that wrote it stands in the kept
WAL as committed; so do rows that were updated. Deleted ones are gone, and only counted.
"""

from __future__ import annotations

import json
import shutil
import struct
import typing as t
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import controldata
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.local_sql import LocalServer
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandError, RefusedError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.recovery_end import lsn_to_int
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.wal_chain import lsn_text
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.wal_records import Written

#: WAL and rows that nobody else has are kept here: they are the proof of what was lost.
FOLDER = Path("/var/lib/fraiseql-resilience/diverged")
#: The unit in which the member is read, its socket, and the seconds after which it ends by itself.
UNIT = "resilience-diverged"
SOCKET = f"/run/{UNIT}"
UNIT_SECONDS = 3600
START_SECONDS, READ_SECONDS = 600.0, 1800.0
#: Bytes of WAL that are told at a time, which bounds what pg_waldump's words take in memory.
WINDOW_BYTES = 64 * 2**20
WALDUMP_SECONDS = 600.0
#: Where a segment's first page says where in WAL it begins: PostgreSQL's XLogPageHeaderData.
PAGE_ADDRESS_OFFSET = 8

#: Tables of one database by filenode, the system's own and temporary ones left out.
TABLES = """
SELECT json_object_agg(pg_relation_filenode(c.oid), json_build_array(n.nspname, c.relname))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND pg_relation_filenode(c.oid) = ANY('{{{filenodes}}}')
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
"""
#: Rows of one table that these transactions wrote, as one line of JSON each: whole ones, although a column may be
#: called t as well; and its own ones, as tables that inherit from it are asked themselves.
ROWS = """
SELECT json_build_object('database', current_database(), 'schema', {schema}, 'table', {table},
                         'transaction', xmin::text, 'row', to_jsonb(t.*))
FROM ONLY {schema_name}.{table_name} t WHERE xmin::text::bigint IN (SELECT unnest('{{{xids}}}'::bigint[]));
"""


class Kept(t.NamedTuple):
    """The folder with ``wal`` and ``rows.jsonl``, and what ``diverged.json`` in it counts."""

    folder: str
    transactions: int
    rows: int


def segments(member: t.Mapping[str, t.Any], fork_lsn: str | None, *, run: Runner) -> list[Path]:
    """The segments that hold WAL of this member from ``fork_lsn`` on."""
    control = controldata.read(member, run=run)
    if control is None or fork_lsn is None:
        return []
    found = controldata.segments_since(member, fork_lsn, control.wal_segment_bytes)
    return [path for path in found if begun(path, control.wal_segment_bytes)]


def demand_room(member: t.Mapping[str, t.Any], fork_lsn: str | None, *, run: Runner) -> None:
    """Ask for room for copies of the WAL before anything is changed.

    :raises RefusedError: there is none.
    """
    needed = sum(path.stat().st_size for path in segments(member, fork_lsn, run=run))
    free = shutil.disk_usage(FOLDER.parent).free
    if needed > free:
        raise RefusedError(
            f"there is no room to keep the WAL that only {member['name']} holds",
            given=f"{free // 2**20} MB free, {needed // 2**20} MB needed in {FOLDER}",
            next_step="make room, or give keep_diverged=false if nobody will ask what was lost"
            " (playbook rejoin: -e resilience_rejoin_keep=false)",
        )


def keep(member: t.Mapping[str, t.Any], fork_lsn: str | None, *, run: Runner) -> Kept | None:
    """Keep what only this member holds; None if there is nothing. Its server has to be stopped.

    :raises UnknownError: its rows cannot be read. The WAL is kept then, in a folder ``.unfinished``.
    """
    control, own = controldata.read(member, run=run), segments(member, fork_lsn, run=run)
    if control is None or fork_lsn is None or not own:
        return None
    FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = FOLDER / f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"
    unfinished = folder.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    (unfinished / "wal").mkdir()
    for path in own:
        shutil.copy2(path, unfinished / "wal" / path.name)
    written = told(member, fork_lsn, own, control.wal_segment_bytes, run=run)
    rows, tables = read_rows(member, written, run=run) if written.transactions else ([], {})
    (unfinished / "rows.jsonl").write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    about = {
        "member": member["name"],
        "fork_lsn": fork_lsn,
        "control": vars(control),
        "transactions": written.transactions,
        "first_commit": min(written.committed.values(), default=None),
        "last_commit": max(written.committed.values(), default=None),
        "rows": len(rows),
        "tables": tables,
    }
    (unfinished / "diverged.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    unfinished.rename(folder)
    return Kept(str(folder), written.transactions, len(rows))


def begun(segment: Path, segment_bytes: int) -> bool:
    """Does the file hold WAL of its own name? One that was made ahead is empty, or still holds an earlier segment."""
    with segment.open("rb") as file:
        page = file.read(PAGE_ADDRESS_OFFSET + 8)
    if len(page) < PAGE_ADDRESS_OFFSET + 8:
        return False
    (address,) = struct.unpack_from("=Q", page, PAGE_ADDRESS_OFFSET)
    return bool(address == (int(segment.name[8:16], 16) << 32) + int(segment.name[16:24], 16) * segment_bytes)


def told(
    member: t.Mapping[str, t.Any], fork_lsn: str, own: t.Sequence[Path], segment_bytes: int, *, run: Runner
) -> Written:
    """What the member's WAL did from ``fork_lsn`` to the end of its newest segment, portion by portion."""
    written = Written()
    for timeline, first, last in stretches(lsn_to_int(fork_lsn), [path.name for path in own], segment_bytes):
        begin, end, written.newest = first, first, 0
        while end < last:
            end = min(end + WINDOW_BYTES, last)
            argv = [
                f"{member['bin_dir']}/pg_waldump", f"--path={own[0].parent}", f"--timeline={timeline}",
                f"--start={lsn_text(begin)}", f"--end={lsn_text(end)}",
                "--rmgr=Transaction", "--rmgr=Heap", "--rmgr=Heap2",
            ]  # fmt: skip
            # It ends with an error where WAL ends, and its words until then are what is asked for.
            words = run(argv, timeout=WALDUMP_SECONDS, user=member["os_user"], check=False).stdout
            written.take(words.splitlines())
            # A record that goes on beyond the portion was not told, so the next one begins before it.
            begin = max(begin, written.newest)
    return written


def stretches(fork: int, names: t.Iterable[str], segment_bytes: int) -> list[tuple[int, int, int]]:
    """Timeline, begin and end of what is to be read: each timeline up to the segment in which the next one begins.

    That segment holds what the older timeline wrote in it, too. The older one's own is ``.partial``, if it is there.
    """
    starts: dict[int, list[int]] = {}
    for name in names:
        if not name.endswith(".partial"):
            start = (int(name[8:16], 16) << 32) + int(name[16:24], 16) * segment_bytes
            starts.setdefault(int(name[:8], 16), []).append(start)
    found = []
    end = 1 << 64
    for timeline in sorted(starts, reverse=True):
        first, last = min(starts[timeline]), max(starts[timeline]) + segment_bytes
        begin, last = max(fork, first), min(last, end)
        if begin < last:
            found.append((timeline, begin, last))
        end = min(end, first)
    return found[::-1]


def read_rows(
    member: t.Mapping[str, t.Any], written: Written, *, run: Runner
) -> tuple[list[str], dict[str, dict[str, int]]]:
    """Rows as lines of JSON, and how many records of each kind WAL holds for each table.

    :raises UnknownError: the member does not start, or does not answer.
    """
    changed = written.by_relation()
    rows: list[str] = []
    tables: dict[str, dict[str, int]] = {}
    try:
        _start(member, run)
        databases = json.loads(
            _server(member, run).value("SELECT json_object_agg(oid, datname) FROM pg_database WHERE datallowconn")
        )
        for oid, name in databases.items():
            nodes = {node: counted for (database, node), counted in changed.items() if database == int(oid)}
            if not nodes:
                continue
            listed = TABLES.format(filenodes=",".join(map(str, nodes)))
            found = json.loads(_ask(member, name, listed, run) or "null") or {}
            for node, (schema, table) in found.items():
                tables[f"{name}.{schema}.{table}"] = dict(nodes[int(node)])
                # Text may hold what Python takes for the end of a line, and JSON does not.
                rows += filter(None, _ask(member, name, rows_of(schema, table, written.committed), run).split("\n"))
    except (CommandError, ValueError) as error:
        raise UnknownError(
            f"the rows that only {member['name']} holds cannot be read: {error}",
            changed=True,
            next_step="see journalctl --unit " + UNIT + " on it; with keep_diverged=false they are given up"
            " (playbook rejoin: -e resilience_rejoin_keep=false)",
        ) from error
    finally:
        stop(run)
    return rows, tables


def rows_of(schema: str, table: str, xids: t.Iterable[int]) -> str:
    """SQL for the rows of a table that these transactions wrote."""
    return ROWS.format(
        schema=_literal(schema),
        table=_literal(table),
        schema_name=_identifier(schema),
        table_name=_identifier(table),
        xids=",".join(map(str, xids)),
    )


def stop(run: Runner) -> None:
    """End what reads the member, also what an earlier run left."""
    run(["systemctl", "stop", f"{UNIT}.service"], timeout=60, check=False)


def _start(member: t.Mapping[str, t.Any], run: Runner) -> None:
    stop(run)
    # As a standby it would wait for its primary; it only has to read what it has.
    (Path(member["data_dir"]) / "standby.signal").unlink(missing_ok=True)
    settings = {
        "config_file": f"{member['config_dir']}/postgresql.conf", "listen_addresses": "", "archive_mode": "off",
        "unix_socket_directories": SOCKET, "synchronous_standby_names": "", "autovacuum": "off",
        "default_transaction_read_only": "on", "logging_collector": "off", "log_destination": "stderr",
        # A subscription would go on, and take from its publisher what only the new primary is to get.
        "max_logical_replication_workers": "0",
    }  # fmt: skip
    argv = [
        "systemd-run", f"--unit={UNIT}", "--collect", "--quiet", "--service-type=notify", f"--uid={member['os_user']}",
        f"--property=RuntimeDirectory={UNIT}", f"--property=RuntimeMaxSec={UNIT_SECONDS}",
        "--property=KillSignal=SIGINT", f"--property=TimeoutStartSec={START_SECONDS:.0f}", "--",
        f"{member['bin_dir']}/postgres", "-D", str(member["data_dir"]),
        *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
    ]  # fmt: skip
    run(argv, timeout=START_SECONDS + 5)


def _server(member: t.Mapping[str, t.Any], run: Runner) -> LocalServer:
    return LocalServer(member["bin_dir"], SOCKET, member["port"], member["os_user"], run)


def _ask(member: t.Mapping[str, t.Any], database: str, statement: str, run: Runner) -> str:
    """The answer as lines. The statement may be longer than an argument can be."""
    argv = [
        f"{member['bin_dir']}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1",
        "-h", SOCKET, "-p", str(member["port"]), "-d", f"dbname={_quoted(database)}", "-f", "-",
    ]  # fmt: skip
    # Else psql speaks the database's own encoding.
    env = {"PGCLIENTENCODING": "UTF8"}
    return run(argv, timeout=READ_SECONDS, user=member["os_user"], env=env, stdin=statement).stdout.strip()


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
