# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A protected cluster of this machine's own PostgreSQL and pgBackRest: a primary, a standby, two repositories.

As on Debian, its configuration lies outside of the data directories. It is made once, for all tests that ask for it;
who spoils a repository spoils a copy (:meth:`Protected.fork`).
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.scratch import Place

# How long an example takes beside other work says nothing of what it tests.
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")

TOP = Path(__file__).resolve().parents[2]
RESTORE_WAL = TOP / "roles/pgbackrest/files/restore_wal.py"
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
STANZA = "orders"
PASSPHRASE = "a passphrase of a test"
PORT = 25433
#: Tests with servers of their own making, or with whole playbooks.
SLOW_FILES = (
    "test_backup_faults.py",
    "test_key_rotation.py",
    "test_other_sites.py",
    "test_probe_postgresql.py",
    "test_s3_repository_postgresql.py",
    "test_site_check.py",
)

CONTENT = """
CREATE ROLE clerk LOGIN PASSWORD 'ink' CREATEDB;
CREATE ROLE staff; GRANT staff TO clerk;
CREATE EXTENSION hstore;
CREATE SCHEMA resilience;
CREATE TABLE resilience.marker (name text PRIMARY KEY, lsn pg_lsn, written_at timestamptz DEFAULT now());
INSERT INTO resilience.marker VALUES ('before', pg_current_wal_insert_lsn());
CREATE TABLE item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, price money, weight float8, made timestamptz,
                   took interval, kept bytea, tags hstore);
CREATE INDEX ON item (weight);
INSERT INTO item (price, weight, made, took, kept, tags)
SELECT n, n / 7.0, '2026-01-01 00:00:00+00'::timestamptz + n * interval '1 hour', n * interval '1 minute',
       decode(md5(n::text), 'hex'), hstore('n', n::text) FROM generate_series(1, 4000) AS n;
CREATE TABLE "Odd name; --" (resilience_row int, "a""b" text, r text); -- a column called as the alias of who hashes it
INSERT INTO "Odd name; --" VALUES (1, 'one', 'x'), (2, NULL, 'y'), (2, NULL, 'y');
CREATE TABLE nothing ();
CREATE TABLE undecided (n int);
CREATE TABLE busy (n bigserial PRIMARY KEY, at timestamptz DEFAULT now());
CREATE UNLOGGED TABLE passing (n int);
CREATE MATERIALIZED VIEW heavy AS SELECT * FROM item WHERE weight > 500;
SELECT lo_from_bytea(4711, 'a large object');
ALTER DATABASE postgres SET datestyle = 'German';
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes is for ``make slow``; ``make unit`` runs the rest."""
    for item in items:
        servers = {"protected", "fork", "object_store"} & set(getattr(item, "fixturenames", ()))
        if servers or item.path.name in SLOW_FILES:
            item.add_marker(pytest.mark.slow)


def why_not() -> str | None:
    """What is missing for these tests."""
    if not PROGRAMS or not all(shutil.which(name) for name in ("psql", "pgbackrest", "setpriv")):
        return "PostgreSQL or pgBackRest is not installed"
    if os.geteuid() == 0:
        with contextlib.suppress(KeyError):
            pwd.getpwnam("postgres")
            return None
        return "PostgreSQL does not run as root, and there is no user postgres"
    return None


class Member:
    """One server of the protected cluster."""

    def __init__(self, cluster: Protected, name: str) -> None:
        self.cluster = cluster
        self.name = name
        self.data = cluster.folder / name
        self.etc = cluster.folder / f"etc-{name}"
        self.socket = cluster.folder / f"sock-{name}"

    def configure(self, *lines: str) -> None:
        for folder in (self.etc, self.etc / "conf.d", self.socket):
            folder.mkdir()
        (self.etc / "postgresql.conf").write_text(
            f"data_directory = '{self.data}'\nhba_file = '{self.etc}/pg_hba.conf'\n"
            f"ident_file = '{self.etc}/pg_ident.conf'\ninclude_dir = 'conf.d'\n"
        )
        (self.etc / "pg_hba.conf").write_text("local all all trust\nlocal replication all trust\n")
        (self.etc / "pg_ident.conf").write_text("# nobody\n")
        (self.etc / "host.key").write_text("a secret\n")
        common = [
            f"port = {PORT}", "listen_addresses = ''", f"unix_socket_directories = '{self.socket}'",
            "shared_buffers = 32MB", "fsync = off", "archive_mode = on", "max_prepared_transactions = 3",
            f"archive_command = 'pgbackrest --config={self.cluster.configuration} --stanza={STANZA} archive-push %p'",
            f"cluster_name = '{self.name}'", "log_line_prefix = ''", "autovacuum = off",
        ]  # fmt: skip
        (self.etc / "conf.d/resilience.conf").write_text("\n".join([*common, *lines]) + "\n")
        self.cluster.give(self.etc, self.socket)

    def start(self) -> None:
        self.cluster.run(
            self.cluster.bin / "pg_ctl", "start", "--wait", f"--pgdata={self.data}", f"--log={self.data}.log",
            f"--options=-c config_file={self.etc}/postgresql.conf",
        )  # fmt: skip

    def stop(self) -> None:
        self.cluster.run(self.cluster.bin / "pg_ctl", "stop", f"--pgdata={self.data}", "--mode=immediate")

    def sql(self, statement: str) -> str:
        argv = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.socket, "-p", str(PORT), "-c", statement]
        return self.cluster.run(*argv, "postgres")

    def descriptor(self) -> dict[str, t.Any]:
        return {
            "name": self.name, "stanza": STANZA, "bin_dir": str(self.cluster.bin), "data_dir": str(self.data),
            "config_dir": str(self.etc), "socket_dir": str(self.socket), "port": PORT, "os_user": "postgres",
        }  # fmt: skip


@dataclass
class Fork:
    """A copy of the repositories, to be spoiled, and where they are restored."""

    folder: Path
    place: Place
    #: A segment that each recovery to the manifest reads to its end. What it holds does not compress, so that its
    #: file's middle is WAL, and not the zeros after it.
    needed: str

    @property
    def repository(self) -> Path:
        return self.folder / "repo1"


class Protected:
    """The cluster. ``name`` of a file in it is a path below ``folder``, which belongs to postgres."""

    def __init__(self, folder: Path) -> None:
        self.bin = PROGRAMS[-1].parent
        self.folder = folder
        self.configuration = folder / "pgbackrest.conf"
        self.primary = Member(self, "primary")
        self.standby = Member(self, "standby")
        self.manifest = ""
        self.lsn = ""
        self.needed = ""

    def give(self, *paths: Path) -> None:
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "postgres:postgres", *paths], check=True)

    def run(self, *argv: str | Path, **more: t.Any) -> str:
        become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        done = subprocess.run(
            [*become, *map(str, argv)], check=False, capture_output=True, text=True, cwd="/",
            **more,
        )  # fmt: skip
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def pgbackrest(self, *arguments: str) -> str:
        return self.run("pgbackrest", f"--config={self.configuration}", f"--stanza={STANZA}", *arguments)

    def make(self) -> None:
        for name in ("repo1", "repo2", "lock", "log", "spool", "scratch", "space"):
            (self.folder / name).mkdir()
        self.configuration.write_text(configuration(self.folder, self.primary))
        self.give(self.folder)
        self.run(
            self.bin / "initdb", "--auth=trust", "--no-sync", "--data-checksums", "--username=postgres",
            f"--pgdata={self.primary.data}",
        )  # fmt: skip
        self.primary.configure()
        self.primary.start()
        self.pgbackrest("stanza-create")
        self.primary.sql(f"CREATE TABLESPACE roomy LOCATION '{self.folder}/space'")
        self.primary.sql(CONTENT)
        self.primary.sql("CREATE TABLE far TABLESPACE roomy AS SELECT generate_series(1, 500) AS n")
        self.primary.sql("INSERT INTO passing VALUES (1)")
        for repo in (1, 2):
            self.pgbackrest(f"--repo={repo}", "--type=full", "backup")
        self._raise_settings()
        self.primary.sql("SELECT pg_switch_wal()")
        self.primary.sql(f"SELECT pg_logical_emit_message(false, 'test', '{os.urandom(50_000).hex()}')")
        self.needed = self.primary.sql("SELECT pg_walfile_name(pg_switch_wal())")
        self._follow()

    def _raise_settings(self) -> None:
        """After the backups: four prepared transactions, for which there was no room before."""
        self.primary.stop()
        with (self.primary.etc / "conf.d/resilience.conf").open("a") as file:
            file.write("max_prepared_transactions = 8\nmax_connections = 120\n")
        self.primary.start()
        for number in range(4):
            self.primary.sql(f"BEGIN; INSERT INTO undecided DEFAULT VALUES; PREPARE TRANSACTION 'open {number}'")

    def _follow(self) -> None:
        self.standby.configure(
            f"primary_conninfo = 'host={self.primary.socket} port={PORT} user=postgres'",
            "max_standby_streaming_delay = 1s",
            "max_prepared_transactions = 8",
            "max_connections = 120",
        )
        (self.folder / "standby-space").mkdir()
        self.standby.data.mkdir(mode=0o700)
        self.give(self.standby.data, self.folder / "standby-space")
        self.pgbackrest(
            "--type=standby", f"--pg1-path={self.standby.data}", f"--tablespace-map-all={self.folder}/standby-space",
            "restore",
        )  # fmt: skip
        self.standby.start()
        lsn = self.primary.sql("SELECT pg_current_wal_lsn()")
        eventually(lambda: self.standby.sql(f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'") == "t")

    @contextlib.contextmanager
    def written_to(self) -> t.Iterator[None]:
        """While somebody commits, all the time."""
        ended = threading.Event()
        loop = "INSERT INTO busy DEFAULT VALUES; UPDATE busy SET at = now() WHERE n % 7 = 0; SELECT pg_sleep(0.002);\n"
        argv = ["psql", "-XAtq", "-h", str(self.primary.socket), "-p", str(PORT), "postgres"]
        become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        writer = subprocess.Popen(
            [*become, *argv], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd="/"
        )
        assert writer.stdin is not None

        def feed(stdin: t.IO[str]) -> None:
            while not ended.is_set():
                stdin.write(loop)
                stdin.flush()
                time.sleep(0.004)
            stdin.close()

        thread = threading.Thread(target=feed, args=[writer.stdin])
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            writer.wait(30)

    def archived(self) -> None:
        """The present segment is in every repository."""
        self.pgbackrest("check")

    def fork(self, folder: Path) -> Fork:
        """Copies of the repositories, and a configuration for them."""
        text = self.configuration.read_text()
        for repo in (1, 2):
            shutil.copytree(self.folder / f"repo{repo}", folder / f"repo{repo}")
            for path in (folder / f"repo{repo}/manifests" / STANZA).iterdir():
                if path.name != self.manifest:  # of another test
                    path.unlink()
            text = text.replace(f"{self.folder}/repo{repo}", f"{folder}/repo{repo}")
        (folder / "pgbackrest.conf").write_text(text)
        (folder / "scratch").mkdir(mode=0o700)
        self.give(folder)
        return Fork(folder, self.place(folder), self.needed)

    def place(self, folder: Path) -> Place:
        return Place(
            str(self.bin), "postgres", folder / "scratch", str(folder / "pgbackrest.conf"), str(RESTORE_WAL)
        )  # fmt: skip

    def stop(self) -> None:
        for member in (self.standby, self.primary):
            with contextlib.suppress(AssertionError):
                member.stop()


def configuration(folder: Path, member: Member) -> str:
    """Of a host that is repository host and member at once."""
    lines = ["[global]", f"lock-path={folder}/lock", f"log-path={folder}/log", f"spool-path={folder}/spool"]
    for repo in (1, 2):
        lines += [
            f"repo{repo}-path={folder}/repo{repo}", f"repo{repo}-cipher-type=aes-256-cbc",
            f"repo{repo}-cipher-pass={PASSPHRASE}", f"repo{repo}-bundle=y", f"repo{repo}-retention-full=2",
        ]  # fmt: skip
    lines += [
        "compress-type=zst",
        "process-max=2",
        "job-retry=0",
        "log-level-file=off",
        "start-fast=y",
        "archive-timeout=20",
    ]
    lines += [f"[{STANZA}]", f"pg1-path={member.data}", f"pg1-port={PORT}", f"pg1-socket-path={member.socket}", ""]
    return "\n".join(lines)


def eventually(look: t.Callable[[], t.Any], *, seconds: float = 30) -> t.Any:
    """The first true answer."""
    end = time.monotonic() + seconds
    while not (answer := look()):
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)
    return answer


def processes(words: str) -> list[str]:
    """Command lines that hold the words, but for this process' own."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_text(errors="replace").replace("\0", " ")
                if words in line:
                    found.append(f"{entry.name} {line}")
    return found


def kill(words: str) -> None:
    for line in processes(words):
        os.kill(int(re.match(r"\d+", line)[0]), signal.SIGKILL)  # type: ignore[index]


@pytest.fixture(scope="session")
def protected() -> t.Iterator[Protected]:
    """A manifest of a standby is in both repositories, taken while somebody wrote."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    from ansible_collections.fraiseql.resilience.plugins.modules import content_manifest

    # Not tmp_path: a socket's path is short, and the user postgres must reach it.
    with tempfile.TemporaryDirectory(prefix="protected-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        cluster = Protected(folder)
        try:
            cluster.make()
            (folder / "member.json").write_text(json.dumps(cluster.standby.descriptor()))
            with cluster.written_to():
                eventually(lambda: int(cluster.standby.sql("SELECT count(*) FROM busy")) > 20)
                answer = manifest_of(cluster, content_manifest)
            cluster.primary.sql("INSERT INTO resilience.marker VALUES ('after', pg_current_wal_insert_lsn())")
            cluster.archived()
            cluster.manifest, cluster.lsn = answer["name"], answer["lsn"]
            yield cluster
        finally:
            cluster.stop()
            kill(f"{folder}/")


def manifest_of(cluster: Protected, module: t.Any, **given: t.Any) -> dict[str, t.Any]:
    """What module content_manifest answers on the standby."""
    from ansible_collections.fraiseql.resilience.plugins.module_utils import command

    params = {name: option.get("default") for name, option in module.argument_spec().items()}
    params |= {"descriptor": str(cluster.folder / "member.json"), "repos": [1, 2], **given}
    before = os.environ.get("PGBACKREST_CONFIG")
    os.environ["PGBACKREST_CONFIG"] = str(cluster.configuration)
    try:
        return t.cast("dict[str, t.Any]", module.act(params, check_mode=False, run=command.run))
    finally:
        os.environ.pop("PGBACKREST_CONFIG") if before is None else os.environ.update(PGBACKREST_CONFIG=before)


@pytest.fixture
def fork(protected: Protected) -> t.Iterator[Fork]:
    with tempfile.TemporaryDirectory(prefix="fork-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield protected.fork(folder)
        eventually(lambda: processes(f"{folder}/") == [])
