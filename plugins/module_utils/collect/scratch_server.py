# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL on a throw-away restore: started as something that reaches nobody, recovered, asked, stopped.

Its settings are given on the command line, where neither a restored postgresql.auto.conf nor a setting of a database
comes before them. Hot standby is off: whoever gets an answer has it from after the recovery, and settings that the
primary raised since the backup stop no replay.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import typing as t
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import poll
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.local_sql import LocalServer
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.scratch import Scratch
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.recovery_end import (
    fatal_lines,
    history_file_name,
)

#: The role that initdb makes, by which every cluster can be asked.
LOGIN = "postgres"
PORT = 5432
POLL_SECONDS = 0.1
STOP_SECONDS = 300.0
#: What pg_controldata calls the settings that a recovery needs as large as the primary has them.
CONTROLLED = {
    "max_connections": "max_connections setting",
    "max_worker_processes": "max_worker_processes setting",
    "max_wal_senders": "max_wal_senders setting",
    "max_prepared_transactions": "max_prepared_xacts setting",
    "max_locks_per_transaction": "max_locks_per_xact setting",
}
#: What keeps it to itself, and what it can do without as it is thrown away.
SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "ssl": "off",
    "archive_mode": "off",
    "hot_standby": "off",
    "primary_conninfo": "",
    "primary_slot_name": "",
    "synchronous_standby_names": "",
    "recovery_end_command": "",
    "archive_cleanup_command": "",
    # Extensions that work by themselves would do so here, too: scheduled jobs, subscriptions.
    "shared_preload_libraries": "",
    "session_preload_libraries": "",
    "local_preload_libraries": "",
    "max_logical_replication_workers": "0",
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_wal_size": "512MB",
    "shared_buffers": "128MB",
    "huge_pages": "off",
    "jit": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_min_messages": "warning",
    "log_line_prefix": "",
    "external_pid_file": "",
    "cluster_name": "scratch",
}


class RecoveryDied(UnknownError):
    """The recovery ended before its target; ``reasons`` are the server's last words."""

    def __init__(self, reasons: t.Sequence[str]) -> None:
        super().__init__("the recovery died: " + (" | ".join(reasons) or "its log names no reason"))


class Server:
    """The running server of one scratch folder."""

    def __init__(self, scratch: Scratch, process: subprocess.Popen[bytes]) -> None:
        self.scratch = scratch
        self.process = process
        place = scratch.place
        self.sql = LocalServer(place.bin_dir, str(scratch.folder / "socket"), PORT, place.user, scratch.run, LOGIN)

    @property
    def log(self) -> str:
        return (self.scratch.folder / "server.log").read_text(encoding="utf-8", errors="replace")

    def await_answer(self, *, timeout: float) -> None:
        """Wait until the recovery has ended.

        :raises RecoveryDied: the server ended instead.
        :raises UnknownError: ``timeout`` seconds passed.
        """

        def answered() -> bool | None:
            if self.process.poll() is not None:
                raise RecoveryDied(last_words(self.log))
            try:
                return True if self.sql.value("SELECT pg_is_in_recovery()") == "f" else None
            except CommandError:
                return None

        poll(answered, timeout=timeout, interval=POLL_SECONDS, what="the recovery of the restored copy ends")

    def history(self) -> tuple[str, str]:
        """Name and text of the history with which the copy began its own timeline: where and why its recovery ended."""
        statement = "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"
        name = history_file_name(int(self.sql.value(statement)))
        return name, (self.scratch.data / "pg_wal" / name).read_text(encoding="utf-8")

    def stop(self) -> None:
        """An orderly stop, after which the files can be looked at.

        :raises CommandError: it did not stop.
        """
        place = self.scratch.place
        argv = [f"{place.bin_dir}/pg_ctl", "stop", "--wait", "--mode=fast", f"--timeout={STOP_SECONDS:g}"]
        self.scratch.run([*argv, f"--pgdata={self.scratch.data}"], timeout=STOP_SECONDS + 10, user=place.user)
        self.process.wait(STOP_SECONDS)


def last_words(log: str) -> list[str]:
    """Why a recovery died: what the guarded restore_command said last, and the server's fatal lines."""
    guard = [line for line in log.splitlines() if line.startswith("restore_wal:")]
    return [*guard[-1:], *fatal_lines(log)]


@contextlib.contextmanager
def started(scratch: Scratch, least: t.Mapping[str, int], *, workers: int) -> t.Iterator[Server]:
    """The server, as long as the block lasts.

    :param least: settings that must be as large as this at least, beside what the control file says.
    :param workers: processes that a query may use.
    """
    folder, place = scratch.folder, scratch.place
    for name, text in (("hba", "local all all trust\n"), ("ident", ""), ("postgresql.conf", "")):
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o644)
    own = {
        "config_file": f"{folder}/postgresql.conf",
        "hba_file": f"{folder}/hba",
        "ident_file": f"{folder}/ident",
        "unix_socket_directories": f"{folder}/socket",
        "max_parallel_workers_per_gather": str(workers),
    }
    settings = {**SETTINGS, **own, **{name: str(value) for name, value in needed(scratch, least).items()}}
    argv = [f"{place.bin_dir}/postgres", "-D", str(scratch.data)]
    argv += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    log = str(folder / "server.log")
    with command.beside(argv, output=log, user=place.user, env=scratch.env) as process:
        yield Server(scratch, process)


def needed(scratch: Scratch, least: t.Mapping[str, int]) -> dict[str, int]:
    """The settings that the primary had, by the restored control file and by ``least``, whichever is more."""
    argv = [f"{scratch.place.bin_dir}/pg_controldata", str(scratch.data)]
    said = scratch.run(argv, timeout=10, user=scratch.place.user).stdout
    found = {}
    for name, label in CONTROLLED.items():
        line = re.search(rf"^{label}:\s+(\d+)$", said, re.MULTILINE)
        found[name] = max(int(line[1]) if line else 0, int(least.get(name, 0)))
    return {name: value for name, value in found.items() if value}


def checksums(scratch: Scratch, *, timeout: float) -> tuple[int, str]:
    """pg_checksums' exit code and words about the stopped copy."""
    argv = [f"{scratch.place.bin_dir}/pg_checksums", "--check", f"--pgdata={scratch.data}"]
    done = scratch.run(argv, timeout=timeout, user=scratch.place.user, check=False)
    return done.rc, f"{done.stdout}\n{done.stderr}".strip()


def amcheck(server: Server, *, thorough: bool, jobs: int, timeout: float) -> tuple[int, str]:
    """pg_amcheck's exit code and words about every database: heap, toast, btree, catalogs.

    :param thorough: each tuple of a heap is looked for in its indexes, and each index from its root.
    """
    place = server.scratch.place
    argv = [
        f"{place.bin_dir}/pg_amcheck", "--all", "--install-missing", "--no-password", f"--jobs={jobs}",
        f"--host={server.sql.socket_dir}", f"--port={PORT}", f"--username={LOGIN}",
    ]  # fmt: skip
    if thorough:
        argv += ["--heapallindexed", "--parent-check", "--rootdescend"]
    # Triggers of the restored databases have nothing to do with an extension that is made here.
    env = {"PGOPTIONS": "-c session_replication_role=replica"}
    done = server.scratch.run(argv, timeout=timeout, user=place.user, env=env, check=False)
    return done.rc, f"{done.stdout}\n{done.stderr}".strip()


def parses(scratch: Scratch, folder: Path, *, timeout: float = 10.0) -> str:
    """What PostgreSQL complains of in a configuration that was kept; empty where it reads it."""
    argv = [f"{scratch.place.bin_dir}/postgres", "-D", str(scratch.data), "-C", "max_connections"]
    argv += ["-c", f"config_file={folder}/postgresql.conf", "-c", f"data_directory={scratch.data}"]
    argv += ["-c", f"hba_file={folder}/pg_hba.conf", "-c", f"ident_file={folder}/pg_ident.conf"]
    done = scratch.run(argv, timeout=timeout, user=scratch.place.user, check=False)
    return "" if done.rc == 0 else (done.stderr.strip() or done.stdout.strip())
