# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ransomware against the repository of a real PostgreSQL: pgBackRest wrote it, and restores from what was brought back.

Needs PostgreSQL's and pgBackRest's programs beside SeaweedFS and boto3; skipped without.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import poll
from ansible_collections.fraiseql.resilience.plugins.modules import (
    recovery_window,
    s3_repository_info,
    s3_repository_restore,
)

RANSOM = Path(__file__).resolve().parents[4] / "roles/lab/files/ransom.py"
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
CONFIGURATION = """\
[global]
repo1-path={folder}/repo1
repo2-type=s3
repo2-path=/pgbackrest
repo2-s3-endpoint=localhost
repo2-s3-bucket={bucket}
repo2-s3-region=us-east-1
repo2-s3-uri-style=path
repo2-s3-key={key}
repo2-s3-key-secret={secret}
repo2-storage-port={port}
repo2-storage-ca-file={folder}/ca.crt
{each}
compress-type=zst
start-fast=y
io-timeout=10
log-path={folder}
lock-path={folder}/lock
[lab]
pg1-path={folder}/data
pg1-port={pg_port}
pg1-socket-path={folder}
"""
EACH = """\
repo{n}-bundle=y
repo{n}-cipher-type=aes-256-cbc
repo{n}-cipher-pass=one-that-only-this-test-has
repo{n}-retention-full-type=time
repo{n}-retention-full=30
"""


def why_not() -> str | None:
    if not PROGRAMS or shutil.which("pgbackrest") is None:
        return "PostgreSQL or pgBackRest is not installed"
    if os.geteuid() != 0:
        return "users are changed, so root is needed"
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        return "there is no user postgres"
    return None


REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")


class Cluster:
    """A primary that archives to two repositories, the second of which is a bucket."""

    def __init__(self, folder: Path, store: t.Any) -> None:
        self.folder, self.store, self.bucket = folder, store, store.bucket()
        shutil.copy(store.ca, folder / "ca.crt")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        keys = store.keys("key", "key_secret")
        text = CONFIGURATION.format(
            folder=folder, bucket=self.bucket, key=keys[0], secret=keys[1], port=store.port, pg_port=self.port,
            each="".join(EACH.format(n=n) for n in (1, 2)),
        )  # fmt: skip
        (folder / "pgbackrest.conf").write_text(text)
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, "postgres", "postgres")
        self.run("initdb", "--auth=trust", "--no-sync", "--username=postgres", f"--pgdata={folder}/data")
        with (folder / "data/postgresql.conf").open("a") as conf:
            conf.write(
                f"port={self.port}\nunix_socket_directories='{folder}'\nlisten_addresses=''\nshared_buffers=16MB\n"
                "archive_mode=on\nfsync=off\narchive_command='pgbackrest --stanza=lab archive-push %p'\n"
            )

    @property
    def environment(self) -> dict[str, str]:
        path = f"{PROGRAMS[-1].parent}:/usr/bin:/bin"
        return {"PATH": path, "LC_ALL": "C.UTF-8", "PGBACKREST_CONFIG": f"{self.folder}/pgbackrest.conf"}

    def run(self, *argv: str) -> str:
        done = subprocess.run(
            ["/usr/sbin/runuser", "-u", "postgres", "--", *argv],
            check=False, capture_output=True, text=True, cwd="/", env=self.environment, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, (argv, done.stdout[-1000:], done.stderr[-1000:])
        return done.stdout

    def backrest(self, *arguments: str) -> str:
        return self.run("pgbackrest", "--stanza=lab", *arguments)

    def start(self) -> None:
        log = self.folder / "log"
        argv = ["/usr/sbin/runuser", "-u", "postgres", "--", "pg_ctl", "start", "--wait", f"--log={log}"]
        done = subprocess.run(
            [*argv, f"--pgdata={self.folder}/data"],
            check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", env=self.environment,
        )  # fmt: skip
        assert done.returncode == 0, log.read_text()[-2000:]

    def stop(self) -> None:
        self.run("pg_ctl", "stop", "--mode=immediate", f"--pgdata={self.folder}/data")

    def sql(self, statement: str) -> str:
        return self.run("psql", "-XAtq", f"--host={self.folder}", f"--port={self.port}", "-dpostgres", "-c", statement)

    def archived(self) -> None:
        """Everything that was committed until now is in both repositories."""
        name = self.sql("SELECT pg_walfile_name(pg_switch_wal())").strip()
        poll(
            lambda: True if self.sql("SELECT last_archived_wal FROM pg_stat_archiver").strip() >= name else None,
            timeout=60, interval=0.2, what=f"{name} is archived",
        )  # fmt: skip

    def window(self) -> dict[str, t.Any]:
        params = {name: option.get("default") for name, option in recovery_window.argument_spec().items()}
        given = {"stanza": "lab", "bin_dir": str(PROGRAMS[-1].parent)}
        os.environ["PGBACKREST_CONFIG"] = self.environment["PGBACKREST_CONFIG"]
        try:
            return recovery_window.act({**params, **{k: v for k, v in given.items() if k in params}}, command.run)
        finally:
            del os.environ["PGBACKREST_CONFIG"]

    def module(self, module: t.Any, **given: t.Any) -> dict[str, t.Any]:
        defaults = {name: option.get("default") for name, option in module.argument_spec().items()}
        return {**defaults, **self.store.options(self.bucket), **given}

    def audit(self) -> dict[str, t.Any]:
        keys = self.store.keys("key", "key_secret")
        params = self.module(
            s3_repository_info, retention_days=30, writer_key=keys[0], writer_secret=keys[1], window=self.window()
        )
        return s3_repository_info.act(params, time.time())


@pytest.fixture
def cluster(object_store: t.Any) -> t.Iterator[Cluster]:
    # Not pytest's own folder, which only root may enter.
    with tempfile.TemporaryDirectory(prefix="resilience-s3-") as folder:
        made = Cluster(Path(folder), object_store)
        made.start()
        yield made
        if (made.folder / "data/postmaster.pid").exists():
            made.stop()


def attack(cluster: Cluster) -> None:
    """As the drill does it: a third is overwritten, the rest deleted, with what pgBackRest itself is given."""
    key, secret = cluster.store.keys("key", "key_secret")
    done = subprocess.run(
        [
            sys.executable,
            str(RANSOM),
            f"localhost:{cluster.store.port}",
            cluster.bucket,
            "pgbackrest/",
            cluster.store.ca,
        ],
        env={"RANSOM_KEY": key, "RANSOM_SECRET": secret},
        check=True,
        capture_output=True,
        text=True,
    )
    told = json.loads(done.stdout)
    assert told["overwritten"] > 3 and told["deleted"] > 3
    assert told["refused"] == ["delete_versions", "suspend_versioning", "delete_bucket"]


def failed(checks: list[dict[str, str]]) -> dict[str, str]:
    return {one["name"]: one["reason"] for one in checks if one["verdict"] != "passed"}


def test_a_cluster_is_restored_from_a_repository_that_was_destroyed(cluster: Cluster) -> None:
    cluster.backrest("stanza-create")
    cluster.sql("CREATE TABLE kept (id int)")
    for repo in (1, 2):
        cluster.backrest(f"--repo={repo}", "--type=full", "backup")
    cluster.backrest("--repo=2", "--type=incr", "backup")
    cluster.sql("INSERT INTO kept VALUES (1)")
    cluster.archived()
    assert failed(cluster.audit()["checks"]) == {}, "what pgBackRest does itself is no damage"
    time.sleep(1.1)

    attack(cluster)
    for kind in ("archive", "backup"):
        shutil.rmtree(cluster.folder / "repo1" / kind / "lab")
    assert cluster.window()["windows"] == []
    found = cluster.audit()
    assert set(failed(found["checks"])) >= {"history", "repository_whole"}

    params = cluster.module(s3_repository_restore, before=found["damaged_since"])
    assert s3_repository_restore.act(params, check_mode=False)["changed"]
    assert set(failed(cluster.audit()["checks"])) == {"newest_wal"}, (
        "the first repository is gone, and not compared with"
    )
    cluster.stop()
    shutil.rmtree(cluster.folder / "data")
    cluster.backrest("--repo=2", "--archive-mode=off", "restore")
    cluster.start()
    poll(
        lambda: True if cluster.sql("SELECT pg_is_in_recovery()").strip() == "f" else None,
        timeout=60, interval=0.2, what="recovery ends",
    )  # fmt: skip
    assert cluster.sql("SELECT count(*) FROM kept").strip() == "1"


def test_the_first_repository_gets_ahead_of_a_second_one_that_refuses(cluster: Cluster) -> None:
    """A repository whose key was taken away grows stale, which the audit sees by the first one."""
    cluster.backrest("stanza-create")
    for repo in (1, 2):
        cluster.backrest(f"--repo={repo}", "--type=full", "backup")
    conf = cluster.folder / "pgbackrest.conf"
    good = conf.read_text()
    conf.write_text("\n".join(line for line in good.splitlines() if not line.startswith("repo2-")))
    for _segment in range(20):
        cluster.sql("SELECT pg_logical_emit_message(false, 'test', 'something'), pg_switch_wal()")
    cluster.archived()
    conf.write_text(good)
    assert set(failed(cluster.audit()["checks"])) == {"newest_wal"}
