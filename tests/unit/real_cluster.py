# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real PostgreSQL that archives into two real pgBackRest repositories, in a folder that goes away.

Sockets only, nothing listens on a network; each server runs as the user postgres where the tests run as root.

    pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")

    with real_cluster() as cluster:
        cluster.backup(1, "full")
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.plugin_utils.packed import pack

TOP = Path(__file__).resolve().parents[2]
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
STANZA = "real"
PASSPHRASE = "a passphrase of these tests"
PORTS = itertools.count(25500 + os.getpid() % 1000 * 4)
CONFIGURATION = """[global]
{repositories}
compress-type=zst
compress-level=3
log-path={folder}/log
lock-path={folder}/lock
spool-path={folder}/spool
start-fast=y
archive-timeout=15
io-timeout=5
job-retry=0

[{stanza}]
pg1-path={folder}/data
pg1-port={port}
pg1-socket-path={folder}
{standby}
"""
REPOSITORY = """repo{0}-path={folder}/repo{0}
repo{0}-cipher-type=aes-256-cbc
repo{0}-cipher-pass={passphrase}
repo{0}-bundle=y
repo{0}-retention-full-type=time
repo{0}-retention-full=30"""


def why_not() -> str | None:
    """What is missing for tests of a real cluster."""
    if not PROGRAMS or shutil.which("pgbackrest") is None:
        return "PostgreSQL or pgBackRest is not installed"
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            return "PostgreSQL does not run as root, and there is no user postgres"
    return None


REASON = why_not()


class Cluster:
    """One primary, and a standby if :meth:`add_standby` was asked for it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, PROGRAMS[-1].parent
        self.version = self.bin.parent.name
        self.port, self.standby_port = next(PORTS), next(PORTS)
        self.conf = folder / "pgbackrest.conf"
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        for name in ("log", "lock", "spool", "state", "metrics"):
            self.as_owner("mkdir", str(folder / name))
        self.configure()
        self.as_owner(
            str(self.bin / "initdb"), "--auth=trust", "--no-sync", "--data-checksums", "--username=postgres",
            f"--pgdata={folder}/data",
        )  # fmt: skip
        self.write(
            folder / "data/postgresql.conf",
            f"port={self.port}\nunix_socket_directories='{folder}'\nlisten_addresses=''\nshared_buffers=16MB\n"
            "wal_level=replica\nmax_wal_senders=6\nhot_standby=on\nfsync=off\narchive_mode=on\n"
            f"archive_command='pgbackrest --config={self.conf} --stanza={STANZA} archive-push %p'\n",
        )
        self.start()
        self.pgbackrest("stanza-create")

    # --- programs ---------------------------------------------------------------------------------------------------

    def as_owner(self, *argv: str, check: bool = True, **more: t.Any) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*become(), *argv], capture_output=True, text=True, cwd="/", check=False, timeout=180, **more
        )
        assert not check or done.returncode == 0, f"{argv}: {done.stderr or done.stdout}"
        return done

    def write(self, path: Path, content: str) -> None:
        path.write_text(content, encoding="utf-8")
        if os.geteuid() == 0:
            shutil.chown(path, "postgres", "postgres")

    def configure(
        self, passphrase: str = PASSPHRASE, *, standby: bool = False, repos: t.Sequence[int] = (1, 2)
    ) -> None:
        second = f"pg2-path={self.folder}/standby\npg2-port={self.standby_port}\npg2-socket-path={self.folder}"
        parts = [REPOSITORY.format(repo, folder=self.folder, passphrase=passphrase) for repo in repos]
        words = {"folder": self.folder, "port": self.port, "stanza": STANZA, "standby": second if standby else ""}
        self.write(self.conf, CONFIGURATION.format(repositories="\n".join(parts), **words))

    def pgbackrest(self, *arguments: str, check: bool = True, **more: t.Any) -> subprocess.CompletedProcess[str]:
        argv = ["pgbackrest", f"--config={self.conf}", f"--stanza={STANZA}", "--log-level-console=off", *arguments]
        return self.as_owner(*argv, check=check, **more)

    def info(self) -> dict[str, t.Any]:
        [stanza] = json.loads(self.pgbackrest("info", "--output=json").stdout)
        return t.cast("dict[str, t.Any]", stanza)

    def backup(self, repo: int, kind: str) -> str:
        """A backup by hand; its label."""
        self.pgbackrest(f"--repo={repo}", f"--type={kind}", "backup")
        return str([b for b in self.info()["backup"] if b["database"]["repo-key"] == repo][-1]["label"])

    # --- servers ----------------------------------------------------------------------------------------------------

    def control(self, data: str, verb: str, *arguments: str, env: t.Mapping[str, str] | None = None) -> None:
        argv = [str(self.bin / "pg_ctl"), verb, "--wait", f"--pgdata={self.folder}/{data}", *arguments]
        # The server inherits what it is given; a pipe would be read from until it ends.
        done = subprocess.run(
            [*become(), *argv], check=False, cwd="/", timeout=60, stdout=subprocess.DEVNULL, env=env
        )  # fmt: skip
        log = self.folder / f"{data}.log"
        told = log.read_text(errors="replace")[-2000:] if log.exists() else ""
        assert done.returncode == 0, f"pg_ctl {verb}: {done.returncode}\n{told}"

    def start(self, env: t.Mapping[str, str] | None = None) -> None:
        self.control("data", "start", f"--log={self.folder}/data.log", env=env)

    def add_standby(self) -> None:
        argv = [str(self.bin / "pg_basebackup"), "-h", str(self.folder), "-p", str(self.port), "-U", "postgres"]
        self.as_owner(*argv, "--checkpoint=fast", "-D", f"{self.folder}/standby", "-R")
        with (self.folder / "standby/postgresql.conf").open("a") as file:
            file.write(f"port={self.standby_port}\narchive_mode=off\n")
        self.control("standby", "start", f"--log={self.folder}/standby.log")
        self.configure(standby=True)

    def kill(self, data: str = "data") -> None:
        """Every process of the server at once, as when its host is lost; nothing of it runs when this returns.

        They are known by their working directory, for one forked while its parent died is nobody's child any more
        and would hold the shared memory that the next start needs.
        """
        pid_file = self.folder / data / "postmaster.pid"
        os.kill(int(pid_file.read_text().splitlines()[0]), signal.SIGSTOP)
        end = time.monotonic() + 10
        while own := working_in(self.folder / data):
            assert time.monotonic() < end, f"{own} do not end"
            for pid in own:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        # Nobody may have reaped the postmaster yet, and while its number is taken a start believes that it runs.
        pid_file.unlink()
        for lock in self.folder.glob(".s.PGSQL.*.lock"):
            if lock.read_text().splitlines()[1] == str(self.folder / data):
                lock.unlink()

    def stop(self) -> None:
        for data in ("standby", "data"):
            if (self.folder / data / "postmaster.pid").exists():
                with contextlib.suppress(subprocess.SubprocessError, AssertionError):
                    self.control(data, "stop", "--mode=immediate")

    def sql(self, statement: str) -> str:
        argv = [str(self.bin / "psql"), "-XAtq", "-h", str(self.folder), "-p", str(self.port), "-U", "postgres"]
        return self.as_owner(*argv, "-v", "ON_ERROR_STOP=1", "-c", statement, "postgres").stdout.strip()

    def fill(self, megabytes: int) -> None:
        """Rows that compress badly."""
        self.sql(
            "CREATE TABLE IF NOT EXISTS filled (n int, text text);"
            " INSERT INTO filled SELECT n, (SELECT string_agg(md5(random()::text || n || g), '')"
            f" FROM generate_series(1, 30) AS g) FROM generate_series(1, {megabytes * 1000}) AS n"
        )

    def archive(self) -> None:
        """All that is written until now is in the archive when this returns."""
        written = self.sql("SELECT pg_walfile_name(pg_switch_wal())")
        end = time.monotonic() + 30
        while self.sql("SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver") < written:
            assert time.monotonic() < end, f"{written} is not archived"
            time.sleep(0.1)

    # --- the program of role backup -----------------------------------------------------------------------------------

    @property
    def state(self) -> Path:
        return self.folder / "state/backups" / STANZA

    def program(self, **settings: t.Any) -> list[str]:
        """The packed program, and its words; ``settings`` replace those that role backup would write."""
        program = self.folder / "backup"
        if not program.exists():
            program.write_bytes(pack((TOP / "roles/backup/files/backup.py").read_bytes()))
            program.chmod(0o755)
        members = [{"name": "one", "address": str(self.folder), "port": self.port, "region": "a"}]
        if (self.folder / "standby").exists():
            members.append({**members[0], "name": "two", "port": self.standby_port})
        descriptor = {
            "cluster": STANZA, "stanza": STANZA, "repos": [1, 2], "user": become_user(), "members": members,
            "repo1_path": str(self.folder / "repo1"), "bin_dir": str(self.bin),
        }  # fmt: skip
        known = {
            "directory": str(self.folder / "state"), "configuration": str(self.conf),
            "options": [f"--config={self.conf}"], "wait_seconds": 30.0, "timeout_seconds": 120.0, "from_standby": True,
            "trend": {"low": 0.5, "high": 3.0}, "metrics": str(self.folder / "metrics"), "monitor_user": "postgres",
            "pgpass": str(self.folder / "none"), "ca": str(self.folder / "none"), **settings,
        }  # fmt: skip
        self.write(self.folder / "repository.json", json.dumps(descriptor))
        self.write(self.folder / "backup.json", json.dumps(known))
        words = [f"--descriptor={self.folder}/repository.json", f"--settings={self.folder}/backup.json"]
        return ["/usr/bin/python3", str(program), *words]

    def take(self, instance: str, **settings: t.Any) -> tuple[int, dict[str, t.Any]]:
        """One backup by the program: its exit code, and the last line of the catalogue."""
        done = self.as_owner(*self.program(**settings), "take", instance, check=False)
        lines = self.lines()
        assert lines, done.stderr
        return done.returncode, lines[-1]

    def take_and_leave(self, instance: str, **settings: t.Any) -> subprocess.Popen[bytes]:
        """The same, in a process group of its own that can be killed; returns once files are being copied."""
        argv = [*become(), *self.program(**settings), "take", instance]
        running = subprocess.Popen(argv, cwd="/", stdout=subprocess.DEVNULL, start_new_session=True)
        end = time.monotonic() + 30
        while not self.copying():
            assert time.monotonic() < end and running.poll() is None, "no backup began to copy"
            time.sleep(0.02)
        return running

    def copying(self) -> list[int]:
        """The processes of pgBackRest that copy files for this cluster's backups."""
        return [pid for pid in self.processes() if b":local" in cmdline(pid) or b"--remote-type" in cmdline(pid)]

    def processes(self) -> list[int]:
        """All of this cluster's backups: the program, and pgBackRest below it."""
        own = str(self.conf).encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            words = cmdline(int(entry.name))
            if own in words and b"archive-push" not in words and b"postgres:" not in words:
                found.append(int(entry.name))
        return found

    def cut_off(self, running: subprocess.Popen[bytes]) -> None:
        """As when the host is lost: the program and all of pgBackRest are gone at once, without a last word."""
        for pid in [*children(running.pid), running.pid, *self.processes()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        running.wait()
        end = time.monotonic() + 10
        while self.processes():
            assert time.monotonic() < end
            time.sleep(0.02)

    def lines(self) -> list[dict[str, t.Any]]:
        path = self.state / "catalogue.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def become() -> list[str]:
    return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


def become_user() -> str:
    return "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        own = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return own + [below for one in own for below in children(one)]
    return []


def working_in(folder: Path) -> list[int]:
    """The processes whose working directory it is; one that has ended has none."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink() == folder:
                found.append(int(entry.name))
    return found


def cmdline(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    return b""


@contextlib.contextmanager
def real_cluster() -> t.Iterator[Cluster]:
    # Not below pytest's own folder: a socket's path is short, and the user postgres must reach it.
    with tempfile.TemporaryDirectory(prefix="real-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        cluster = Cluster(Path(name))
        try:
            yield cluster
        finally:
            cluster.stop()


def verdicts(line: t.Mapping[str, t.Any]) -> dict[str, str]:
    return {check["name"]: check["verdict"] for check in line["checks"]}


if __name__ == "__main__":
    sys.exit("this is for tests to import")
