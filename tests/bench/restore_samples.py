# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of a throw-away cluster at several sizes, and restores of them with a stop-watch. On a host, as postgres.

    python3 restore_samples.py make FOLDER '[[0.5, 32], [1, 128]]'    GiB of the database, MiB of WAL after its backup
    python3 restore_samples.py restore FOLDER 0                       one restore; prints a line as a verification's
    python3 restore_samples.py remove FOLDER

Needs only python3, PostgreSQL and pgBackRest. Nothing outside FOLDER is touched, and no address is listened on.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

GIB, MIB = 2**30, 2**20
PORT = "20417"
STANZA = "bench"
#: Characters of a row, and bytes that it takes in a table and its index, its part of the pages' headers included.
ROW, STORED = 996, 1193
LOADED = "(id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, content text)"
#: Seconds.
COMMAND, START = 600.0, 300.0

CONFIGURATION = """\
[global]
repo1-path={folder}/repo
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass={passphrase}
repo1-retention-full=9
repo1-bundle=y
lock-path={folder}/lock
spool-path={folder}/spool
log-path={folder}/log
compress-type=zst
compress-level=3
process-max=2
start-fast=y
[{stanza}]
pg1-path={folder}/pg
pg1-socket-path={folder}
pg1-port={port}
"""
#: While data are loaded nothing is logged, so that 8 GiB of tables are not 8 GiB of WAL as well.
LOADING = {"wal_level": "minimal", "max_wal_senders": "0", "archive_mode": "off", "fsync": "off"}
SERVING = {"wal_level": "replica", "max_wal_senders": "3", "archive_mode": "on", "fsync": "on"}


class Host:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        self.config = folder / "pgbackrest.conf"

    def run(self, *argv: str) -> str:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=COMMAND, check=False, cwd=self.folder)
        if done.returncode:
            raise SystemExit(f"{' '.join(argv)}: {done.stdout[-1500:]}{done.stderr[-1500:]}")
        return done.stdout.strip()

    def sql(self, *statements: str) -> str:
        argv = [
            str(self.bin / "psql"),
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            str(self.folder),
            "-p",
            PORT,
            "-d",
            "postgres",
        ]
        return self.run(*argv, *(part for statement in statements for part in ("-c", statement)))

    def pgbackrest(self, *arguments: str) -> str:
        # It warns of what a throw-away cluster may well lack: errors alone count.
        return self.run(
            "pgbackrest", f"--config={self.config}", f"--stanza={STANZA}", "--log-level-console=error", *arguments
        )

    def start(self, data: Path, settings: dict[str, str]) -> None:
        given = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self.run(
            str(self.bin / "pg_ctl"),
            "-D",
            str(data),
            "-l",
            f"{data}.log",
            "-w",
            "-t",
            str(int(START)),
            "-o",
            given,
            "start",
        )

    def stop(self, data: Path) -> None:
        self.run(str(self.bin / "pg_ctl"), "-D", str(data), "-m", "fast", "-w", "stop")


def make(host: Host, wanted: list[list[float]]) -> list[dict[str, Any]]:
    """A cluster that grows from size to size, with a backup and some WAL at each."""
    data = host.folder / "pg"
    for name in ("repo", "lock", "spool", "log"):
        (host.folder / name).mkdir(parents=True, exist_ok=True)
    host.config.write_text(
        CONFIGURATION.format(folder=host.folder, passphrase=secrets.token_hex(24), stanza=STANZA, port=PORT)
    )
    host.config.chmod(0o600)
    host.run(str(host.bin / "initdb"), "-D", str(data), "-A", "trust", "--no-sync", "--data-checksums")
    with (data / "postgresql.conf").open("a") as stream:
        stream.write(
            f"listen_addresses = ''\nunix_socket_directories = '{host.folder}'\nport = {PORT}\nshared_buffers = 256MB\n"
            "max_wal_size = 4GB\ncheckpoint_timeout = 30min\nautovacuum = off\n"
            f"archive_command = 'pgbackrest --config={host.config} --stanza={STANZA} archive-push %p'\n"
        )
    made: list[dict[str, Any]] = []
    for number, (gibibytes, mebibytes) in enumerate(wanted):
        host.start(data, LOADING)
        rows = max(
            int((gibibytes * GIB - float(host.sql("SELECT sum(pg_database_size(oid)) FROM pg_database"))) / STORED), 1
        )
        host.sql(filled(f"load{number}", LOADED, rows), "CHECKPOINT")
        host.stop(data)
        host.start(data, SERVING)
        if not made:
            host.pgbackrest("stanza-create")
        host.pgbackrest("--type=incr" if made else "--type=full", "backup")
        host.sql(filled(f"wal{number}", "(content text)", max(int(mebibytes * MIB / STORED), 1)))
        target = host.sql("SELECT pg_current_wal_lsn()")
        # PostgreSQL ends at a position only if it reads something that lies beyond it.
        host.sql(f"CREATE TABLE beyond{number} ()")
        archived(host)
        made.append(described(host, target))
        host.stop(data)
    (host.folder / "backups.json").write_text(json.dumps(made))
    return made


def filled(table: str, columns: str, rows: int) -> str:
    """A new table with rows that do not compress: random bytes in base64. They are frozen: else who reads them first
    writes hint bits, and with page checksums that is WAL as large as the table."""
    rows_of = f"COPY {table} (content) FROM PROGRAM 'base64 -w {ROW} /dev/urandom | head -n {rows}' WITH (FREEZE)"
    return f"BEGIN; CREATE TABLE {table} {columns}; {rows_of}; COMMIT"


def archived(host: Host) -> None:
    """Wait until everything written so far is in the repository."""
    last = host.sql("SELECT pg_walfile_name(pg_switch_wal())")
    end = time.monotonic() + START
    while host.sql(f"SELECT coalesce(last_archived_wal >= '{last}', false) FROM pg_stat_archiver") != "t":
        if time.monotonic() > end:
            raise SystemExit(f"{last} was not archived within {START:g} s")
        time.sleep(0.2)


def described(host: Host, target: str) -> dict[str, Any]:
    """The newest backup, as a catalogue's line, with the end of what is to be replayed."""
    [info] = json.loads(host.pgbackrest("info", "--output=json"))
    newest = info["backup"][-1]
    return {
        "repo": 1, "label": newest["label"], "type": newest["type"], "verdict": "passed",
        "size": newest["info"]["size"],
        "start_lsn": newest["lsn"]["start"], "stop_lsn": newest["lsn"]["stop"], "target": target,
        "system_id": str(info["db"][-1]["system-id"]), "versions": {"postgresql": info["db"][-1]["version"]},
    }  # fmt: skip


def restore(host: Host, number: int) -> dict[str, Any]:
    """One restore to the end of the WAL that was written after its backup, measured; what it made is removed."""
    backup = json.loads((host.folder / "backups.json").read_text())[number]
    data = host.folder / "restored"
    data.mkdir(mode=0o700)
    # What the last one wrote is on disk, so that this one does not wait for it.
    os.sync()
    try:
        begin = time.monotonic()
        host.pgbackrest(
            f"--pg1-path={data}", f"--set={backup['label']}", "--archive-mode=off", "--type=lsn",
            f"--target={backup['target']}", "--target-action=promote", "restore",
        )  # fmt: skip
        restored = time.monotonic()
        # It answers a read before it is at its target.
        host.start(data, {"archive_mode": "off"})
        while host.sql("SELECT pg_is_in_recovery()") != "f":
            time.sleep(0.02)
        replayed = time.monotonic()
        host.stop(data)
    finally:
        subprocess.run(
            [str(host.bin / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop"], capture_output=True, check=False
        )
        shutil.rmtree(data)
    return {
        "repo": 1, "level": "standard", "label": backup["label"], "verdict": "passed",
        "restored_bytes": backup["size"],
        "replayed_bytes": number_of(backup["target"]) - number_of(backup["start_lsn"]),
        "seconds": {"restore": round(restored - begin, 3), "replay": round(replayed - restored, 3), "total": None},
    }  # fmt: skip


def number_of(lsn: str) -> int:
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def remove(host: Host) -> None:
    """Whatever runs in the folder ends, and the folder goes."""
    for data in ("pg", "restored"):
        if (host.folder / data / "postmaster.pid").exists():
            argv = [str(host.bin / "pg_ctl"), "-D", str(host.folder / data), "-m", "immediate", "-w", "stop"]
            subprocess.run(argv, capture_output=True, check=False)
    shutil.rmtree(host.folder, ignore_errors=True)


def main(verb: str, folder: str, *given: str) -> None:
    host = Host(Path(folder))
    if verb == "make":
        host.folder.mkdir(parents=True)
        print(json.dumps(make(host, json.loads(given[0]))))
    elif verb == "restore":
        print(json.dumps(restore(host, int(given[0]))))
    else:
        remove(host)


if __name__ == "__main__":
    main(*sys.argv[1:])
