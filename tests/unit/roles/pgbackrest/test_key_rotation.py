# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repositories' key is rotated on a real cluster, killed after each step, and no point in time is lost by it.

Two hosts on one machine: a member, and a repository host behind pgBackRest's TLS server, both with the configuration
that the role's template makes. The object store is a directory that both see. Needs PostgreSQL, pgBackRest and openssl.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

import jinja2
import pytest
from ansible.plugins.test.core import version_compare

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import lost_repository, pgbackrest
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import rotation
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.generations import generations
from ansible_collections.fraiseql.resilience.plugins.modules import (
    pgbackrest_backup,
    pgbackrest_stanza,
    recovery_window,
)

TOP = Path(__file__).resolve().parents[4]
TEMPLATE = TOP / "roles/pgbackrest/templates/pgbackrest.conf.j2"
RESTORE_WAL = TOP / "roles/pgbackrest/files/restore_wal.py"
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
ROOT = os.geteuid() == 0
USER = "postgres" if ROOT else None
STANZA = "orders"
FIRST, SECOND = "the first passphrase", "the second passphrase"
READING = ["archive-get", "info", "repo-get", "repo-ls", "restore", "verify"]
REMOVING = ["expire", "stanza-delete"]


def why_not() -> str | None:
    """What is missing for these tests."""
    if not PROGRAMS:
        return "PostgreSQL is not installed"
    missing = [name for name in ("pgbackrest", "openssl", "psql") if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} is not installed"
    if ROOT and subprocess.run(["id", "postgres"], check=False, capture_output=True).returncode != 0:
        return "PostgreSQL does not run as root, and there is no user postgres"
    return None


REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Site:
    """One member and its repository host, each with a configuration, a TLS server and a lock directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = PROGRAMS[-1].parent
        self.ports = {name: free_port() for name in ("member", "repo", "postgres")}
        self.servers: dict[str, subprocess.Popen[bytes]] = {}
        folder.chmod(0o755)
        for name in ("member", "repo", "spool", "repo1", "store", "tls", "restored"):
            (folder / name).mkdir()
        self.certificates()
        self.wrapped("pgbackrest", self.data)
        shutil.copy(RESTORE_WAL, folder / "restore_wal.py")
        self.own()
        self.program("initdb", "--auth=trust", "--no-sync", "--username=postgres", f"--pgdata={self.data}")
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(
                f"port={self.ports['postgres']}\nunix_socket_directories='{folder}'\nlisten_addresses=''\n"
                "shared_buffers=16MB\narchive_mode=on\nfsync=off\n"
                f"archive_command='{folder}/pgbackrest --stanza={STANZA} archive-push %p'\n"
            )

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def config(self, host: str) -> Path:
        return self.folder / f"{host}.conf"

    def own(self) -> None:
        if ROOT:
            subprocess.run(["chown", "-R", "postgres:", str(self.folder)], check=True)

    def certificates(self) -> None:
        tls = self.folder / "tls"
        new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        commands = [
            [*new, "-x509", "-days", "1", "-subj", "/CN=ca", "-keyout", f"{tls}/ca.key", "-out", f"{tls}/ca.crt"],
            [*new, *subject, "-keyout", f"{tls}/host.key", "-out", f"{tls}/host.csr"],
            ["openssl", "x509", "-req", "-in", f"{tls}/host.csr", "-CA", f"{tls}/ca.crt", "-CAkey", f"{tls}/ca.key",
             "-CAcreateserial", "-days", "1", "-copy_extensions", "copy", "-out", f"{tls}/host.crt"],
        ]  # fmt: skip
        for argv in commands:
            subprocess.run(argv, check=True, capture_output=True)
        (tls / "host.key").chmod(0o600)

    # Configuration ----------------------------------------------------------------------------------------------------

    def configure(self, host: str, newest: int, serving: int) -> None:
        """The role's own configuration of a host; its S3 bucket becomes a directory."""
        keys = {1: FIRST, 2: SECOND}
        old = {number: key for number, key in keys.items() if number < newest}
        environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
        environment.filters["bool"] = bool
        environment.tests["version"] = version_compare
        peer = "repo" if host == "member" else "member"
        text = environment.from_string(TEMPLATE.read_text()).render(
            ansible_managed="managed", __pgbackrest_version="2.45", __pgbackrest_tls_directory=self.folder / "tls",
            __pgbackrest_is_repository=host == "repo", __pgbackrest_has_s3=True,
            __pgbackrest_members=["member"], __pgbackrest_repositories=["repo"],
            __pgbackrest_paths={"member": self.data},
            __pgbackrest_generations=[one.as_dict() for one in generations(newest, keys[newest], old, serving)],
            __pgbackrest_reading=READING, __pgbackrest_removing=REMOVING,
            hostvars={name: {"resilience_address": "localhost"} for name in ("member", "repo")},
            pgbackrest_port=self.ports[peer], pgbackrest_repo1_path=self.folder / "repo1",
            pgbackrest_repo2_path="/pgbackrest", pgbackrest_s3_endpoint="s3.invalid", pgbackrest_s3_port=443,
            pgbackrest_s3_bucket="b", pgbackrest_s3_region="r", pgbackrest_s3_uri_style="path",
            pgbackrest_s3_ca_file="",
            pgbackrest_s3_key="k", pgbackrest_s3_key_secret="s", pgbackrest_compress_level=1, pgbackrest_process_max=1,
            pgbackrest_io_timeout=10, pgbackrest_archive_timeout=20, pgbackrest_listen_address="127.0.0.1",
            pgbackrest_log_path=self.folder / host, pgbackrest_spool_path=self.folder / "spool",
            pgbackrest_postgresql_path=self.data, pgbackrest_postgresql_port=self.ports["postgres"],
            pgbackrest_postgresql_socket_path=self.folder, resilience_stanza=STANZA,
            resilience_objectives={"retention_days": 30},
        )  # fmt: skip
        text = re.sub(r"^repo\d+-(?:s3|storage)-.*\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"^repo(\d+)-type=s3$", r"repo\1-type=posix", text, flags=re.MULTILINE)
        text = re.sub(r"-path=/pgbackrest", f"-path={self.folder}/store", text)
        text = re.sub(r"^tls-server-port=.*", f"tls-server-port={self.ports[host]}", text, flags=re.MULTILINE)
        text = text.replace("[global]\n", f"[global]\nlock-path={self.folder}/{host}/lock\n", 1)
        self.config(host).write_text(text)
        if ROOT:
            shutil.chown(self.config(host), "postgres", "postgres")

    def wrapped(self, name: str, data: Path) -> Path:
        """The member's pgBackRest as a program, for a data directory."""
        path = self.folder / name
        path.write_text(
            f'#!/bin/sh\nPGBACKREST_PG1_PATH={data} PGBACKREST_CONFIG={self.config("member")} exec pgbackrest "$@"\n'
        )
        path.chmod(0o755)
        return path

    def serves(self) -> int:
        """As the role asks a host for it."""
        found = re.search(r"^# Serves generation (\d+) of the key$", self.config("repo").read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1])

    # Programs ---------------------------------------------------------------------------------------------------------

    def become(self) -> list[str]:
        return ["runuser", "-u", "postgres", "--"] if ROOT else []

    def program(self, name: str, *arguments: str) -> None:
        subprocess.run(
            [*self.become(), str(self.bin / name), *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/"
        )

    def serve(self, host: str) -> None:
        """(Re)start pgBackRest's server; a connection that was there is cut."""
        self.stop_server(host)
        environment = {**os.environ, "PGBACKREST_CONFIG": str(self.config(host))}
        with (self.folder / f"{host}.server").open("ab") as log:
            self.servers[host] = subprocess.Popen(
                [*self.become(), "pgbackrest", "server"],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.ports[host]), timeout=1):
                return
            assert time.monotonic() < end, "no server"
            time.sleep(0.05)

    def stop_server(self, host: str) -> None:
        server = self.servers.pop(host, None)
        if server is not None:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(timeout=10)

    def runner(self, host: str) -> command.Runner:
        """A runner whose pgBackRest is that of ``host``."""

        def run(argv: t.Sequence[str], **more: t.Any) -> command.Completed:
            return command.run(argv, **{**more, "env": {"PGBACKREST_CONFIG": str(self.config(host))}})

        return t.cast(command.Runner, run)

    def sql(self, statement: str, folder: Path | None = None, port: int | None = None) -> str:
        argv = ["psql", "-XAtq", "-h", str(folder or self.folder), "-p", str(port or self.ports["postgres"])]
        argv += ["-U", "postgres", "-c", statement, "postgres"]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    def start(self) -> None:
        self.program("pg_ctl", "start", "--wait", f"--pgdata={self.data}", f"--log={self.folder}/postgres.log")

    def stop(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self.program("pg_ctl", "stop", f"--pgdata={self.data}", "--mode=immediate")
        for host in list(self.servers):
            self.stop_server(host)

    # What the playbook does -------------------------------------------------------------------------------------------

    def stanza(self, host: str, repos: list[int], *, state: str = "present", check: bool = True) -> None:
        params = {"stanza": STANZA, "state": state, "repos": repos, "system_id": None, "check": check, "user": USER}
        pgbackrest_stanza.act(params | {"timeout": 120.0, "wait": 60.0}, check_mode=False, run=self.runner(host))

    def full(self, repo: int, *, only_if_none: bool = True) -> None:
        params = {
            "stanza": STANZA,
            "state": "taken",
            "repo": repo,
            "type": "full",
            "only_if_none": only_if_none,
            "user": USER,
        }
        params |= {"from_primary": False, "wait": 60.0, "timeout": 300.0}
        pgbackrest_backup.act(params, check_mode=False, run=self.runner("repo"))

    def look(self, lsn: str | None = None) -> dict[str, t.Any]:
        target = {"type": "lsn", "value": lsn, "exclusive": False, "timeline": None, "repo": None} if lsn else None
        params = {"stanza": STANZA, "target": target, "require": False, "read_wal": True, "bin_dir": str(self.bin)}
        return recovery_window.act(params | {"user": USER, "timeout": 60.0}, self.runner("repo"))

    def row(self) -> tuple[int, str]:
        """Commit a row. Its number, and the position right behind it."""
        number, lsn = self.sql(
            "INSERT INTO rows DEFAULT VALUES RETURNING number; SELECT pg_current_wal_insert_lsn()"
        ).split()
        self.sql("INSERT INTO rows DEFAULT VALUES")
        return int(number), lsn

    def archived(self) -> None:
        """The segment in use is closed, and pushed by PostgreSQL alone."""
        name = self.sql("SELECT pg_walfile_name(pg_switch_wal())")
        end = time.monotonic() + 90
        while self.sql(f"SELECT last_archived_wal >= '{name}' FROM pg_stat_archiver") != "t":
            assert time.monotonic() < end, self.sql("SELECT pg_stat_archiver FROM pg_stat_archiver")
            time.sleep(0.1)

    def restored(self, lsn: str) -> tuple[int, int]:
        """Restore to a position from where the judge says. The repository, and the last row that is there."""
        answer = self.look(lsn)["target"]
        assert answer["inside"] is True, answer
        place = Path(tempfile.mkdtemp(dir=self.folder / "restored"))
        if ROOT:
            shutil.chown(place, "postgres", "postgres")
        place.chmod(0o700)
        program = self.wrapped(f"pgbackrest-{place.name}", place)
        guarded = f"{self.folder}/restore_wal.py --stanza={STANZA} --pgbackrest={program}"
        argv = [f"--repo={answer['repo']}", f"--set={answer['set']}", f"--pg1-path={place}", "--archive-mode=off"]
        argv += ["--type=lsn", f"--target={lsn}", "--target-action=promote", "--target-timeline=current"]
        argv += [f'--recovery-option=restore_command={guarded} %f "%p"', "restore"]
        pgbackrest.Client(self.runner("member"), STANZA, user=USER).call(*argv)
        port = free_port()
        options = f"-c port={port} -c unix_socket_directories={place}"
        try:
            self.program("pg_ctl", "start", "--wait", f"--pgdata={place}", f"--log={place}/log", f"--options={options}")
            end = time.monotonic() + 30
            while self.sql("SELECT pg_is_in_recovery()", place, port) != "f":
                assert time.monotonic() < end, (place / "log").read_text()
                time.sleep(0.05)
            return answer["repo"], int(self.sql("SELECT max(number) FROM rows", place, port))
        except subprocess.CalledProcessError as error:
            raise AssertionError((place / "log").read_text()) from error
        finally:
            if (place / "postmaster.pid").exists():
                self.program("pg_ctl", "stop", f"--pgdata={place}", "--mode=immediate")

    def names(self, path: str) -> set[str]:
        """Segments of a repository, by their files."""
        found = (self.folder / path).glob(f"archive/{STANZA}/*/*/*-*")
        return {file.name[:24] for file in found if re.match(r"[0-9A-F]{24}-", file.name)}


Step = t.Callable[[Site], None]


def host_writes_both(site: Site) -> None:
    site.configure("repo", 2, 1)
    site.stanza("repo", [1, 2, 21, 22], check=False)


def member_writes_both(site: Site) -> None:
    site.configure("member", 2, 1)
    site.stanza("repo", [1, 2, 21, 22], state="checked")


def new_key_has_backups(site: Site) -> None:
    for repo in rotation.without_backup(site.look(), [21, 22]):
        site.full(repo, only_if_none=False)


def host_changes_over(site: Site) -> None:
    assert {check.verdict.value for check in rotation.handover(site.look(), [1, 2], [21, 22])} == {"passed"}
    site.stop_server("repo")
    site.configure("repo", 2, 2)
    site.serve("repo")


def member_changes_over(site: Site) -> None:
    site.configure("member", 2, 2)
    site.stanza("repo", [1, 2], state="checked")


BEFORE: tuple[Step, ...] = (host_writes_both, member_writes_both, new_key_has_backups, host_changes_over)
AFTER: tuple[Step, ...] = (member_changes_over,)


def rotate(site: Site, killed_after: int) -> bool:
    """The playbook rotate_repository_key, cut off after so many steps. Whether it got to its end."""
    steps = BEFORE + AFTER if site.serves() == 1 else AFTER
    for step in steps[:killed_after]:
        step(site)
    return killed_after >= len(steps)


def begun(folder: Path) -> Site:
    site = Site(folder)
    for host in ("repo", "member"):
        site.configure(host, 1, 1)
        site.serve(host)
    site.start()
    site.stanza("repo", [1, 2])
    site.sql("CREATE TABLE rows (number serial PRIMARY KEY, at timestamptz DEFAULT now())")
    site.full(1)
    site.full(2)
    return site


@pytest.fixture
def site() -> t.Iterator[Site]:
    # Not tmp_path: a socket's path is short, and the user postgres must reach it.
    with tempfile.TemporaryDirectory(prefix="key-") as name:
        made = begun(Path(name))
        try:
            yield made
        finally:
            made.stop()


def test_killed_after_each_step_every_point_in_time_stays_restorable(site: Site) -> None:
    positions = [site.row()]
    site.archived()
    killed_after = 1
    while not rotate(site, killed_after):
        positions.append(site.row())
        killed_after += 1
    assert killed_after > len(BEFORE)
    site.archived()
    positions.append(site.row())
    site.archived()

    looked = site.look()
    assert looked["verdict"] == "passed", looked["checks"]
    handover = rotation.handover(looked, [11, 12], [1, 2])
    assert {check.verdict.value for check in handover} == {"passed"} and len(handover) == 4
    from_where = [site.restored(lsn) for _number, lsn in positions]
    assert [row for _repo, row in from_where] == [number for number, _lsn in positions]
    # Before the new key's first backup only the old key's repository will do.
    assert from_where[0][0] == 11 and from_where[-1][0] == 1
    first, second = site.names("repo1"), site.names("repo1/key-2")
    assert first & second and max(second) > max(first), "both were written, and then only the new one"
    gapless = sorted(int(name[16:], 16) for name in first | second)
    assert gapless == list(range(gapless[0], gapless[-1] + 1))


def test_a_change_over_without_the_time_in_which_both_are_written_leaves_a_hole_that_is_found(site: Site) -> None:
    site.row()
    site.archived()
    site.stop_server("repo")
    for host in ("repo", "member"):
        site.configure(host, 2, 2)
    site.serve("repo")
    site.stanza("repo", [1, 2])
    _number, lsn = site.row()
    site.archived()
    site.full(1)
    site.full(2)
    assert site.look(lsn)["target"]["inside"] is False
    verdicts = {check.name: check.verdict.value for check in rotation.handover(site.look(), [11, 12], [1, 2])}
    assert verdicts["repositories 11 and 1: no point in time is in neither"] == "failed"
    assert verdicts["repository 1: all since its first backup can be restored"] == "passed"


def test_wal_that_the_new_key_missed_calls_for_another_backup(site: Site) -> None:
    rotate(site, 3)
    assert rotation.without_backup(site.look(), [21, 22]) == []
    # A member that was away while the others changed becomes primary, and pushes to the old key alone.
    site.configure("member", 1, 1)
    site.row()
    site.archived()
    site.configure("member", 2, 1)
    site.row()
    site.archived()
    assert rotation.without_backup(site.look(), [21, 22]) == [21, 22]
    with pytest.raises(AssertionError):
        host_changes_over(site)
    assert rotate(site, 5)
    assert {check.verdict.value for check in rotation.handover(site.look(), [11, 12], [1, 2])} == {"passed"}


def test_an_earlier_key_is_read_and_expired_and_deleted_but_never_written(site: Site) -> None:
    assert rotate(site, 5)
    before = site.names("repo1") | site.names("store")
    site.row()
    site.archived()
    run = pgbackrest.Client(site.runner("repo"), STANZA, user=USER)
    run.call("--repo=11", "expire")
    with pytest.raises(ResilienceError):
        run.call("--repo=11", "--type=full", "backup")
    assert site.names("repo1") | site.names("store") == before
    member = pgbackrest.Client(site.runner("member"), STANZA, user=USER)
    assert [one.number for one in member.info().repositories] == [1, 2, 11, 12]

    # Retiring: a lock directory of its own, so that nothing else stops.
    lock = site.folder / "retire"
    run.call(f"--lock-path={lock}", "stop")
    run.call(f"--lock-path={lock}", "--repo=11", "stanza-delete", "--force")
    site.row()
    site.archived()
    assert site.names("repo1") == set() and site.names("repo1/key-2") and site.names("store")
    assert {one.number: one.code for one in run.info().repositories} == {1: 0, 2: 0, 11: 1, 12: 0}

    # A repository host that is lost takes its earlier keys with it, and gives them back.
    left = lost_repository.without(site.config("member").read_text(), 1)
    assert lost_repository.repositories(left) == [2, 12]
    assert lost_repository.with_again(left, 1) == site.config("member").read_text()
