# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The place of a throw-away restore: its configuration, its room, its lock, and what it finds left over."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import scratch
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import Backup
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError, UnknownError

HOST = """\
# what a repository host has
[global]
repo1-path=/var/lib/pgbackrest
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass=one secret
repo1-bundle=y
repo1-retention-full-type=time
repo1-retention-full=30
repo2-type=s3
repo2-s3-key-secret=another secret
repo2-cipher-pass = two secrets
process-max=2
log-path=/var/log/pgbackrest
tls-server-auth=pg-a1=orders
start-fast=y
[orders]
pg1-host=pg-a1
pg1-path=/var/lib/postgresql/17/main
"""


@pytest.fixture
def place(tmp_path: Path) -> t.Iterator[scratch.Place]:
    configuration = tmp_path / "pgbackrest.conf"
    configuration.write_text(HOST)
    # pytest's own folder is too deep for a socket.
    with tempfile.TemporaryDirectory(prefix="scratch-") as folder:
        yield scratch.Place(
            "/nowhere", pwd.getpwuid(os.geteuid()).pw_name, Path(folder) / "scratch", str(configuration)
        )


def test_a_copys_configuration_knows_one_repository_and_no_member() -> None:
    text = scratch.configuration(HOST, "orders", 2, Path("/scratch/restore-x"))
    assert text.splitlines() == [
        "[global]", "repo2-type=s3", "repo2-s3-key-secret=another secret", "repo2-cipher-pass = two secrets",
        "process-max=2", "archive-async=n", "log-level-file=off", "lock-path=/scratch/restore-x/lock",
        "spool-path=/scratch/restore-x/spool", "[orders]", "pg1-path=/scratch/restore-x/data",
    ]  # fmt: skip
    first = scratch.configuration(HOST, "orders", 1, Path("/scratch/restore-x"))
    assert "repo1-cipher-pass=one secret" in first
    assert "retention" not in first and "bundle" not in first and "pg-a1" not in first


def test_a_repository_that_the_host_does_not_know_is_refused() -> None:
    with pytest.raises(InputError, match="no repository 3"):
        scratch.configuration(HOST, "orders", 3, Path("/x"))


def test_the_passphrase_is_that_of_the_repository() -> None:
    assert [scratch.passphrase(HOST, repo) for repo in (1, 2, 3)] == ["one secret", "two secrets", None]


def test_secrets_are_in_a_file_that_only_its_user_reads_and_in_no_argument(place: scratch.Place) -> None:
    with scratch.made(place, "orders", 1, run=command.run) as one:
        path = one.folder / "pgbackrest.conf"
        assert path.stat().st_mode & 0o777 == 0o600
        assert one.folder.stat().st_mode & 0o777 == 0o700
        assert "one secret" in path.read_text() and "one secret" not in " ".join(one.client.argv("restore"))
        folder = one.folder
    assert not folder.exists()


def backup(size: int) -> Backup:
    label, segment = "20261126-121216F", "000000010000000000000002"
    return Backup(label, "full", 1, 1, segment, segment, 0x2000028, 0x2000138, 0, 0, size, size, None)


def test_room_counts_database_and_wal(place: scratch.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    request = scratch.Request(backup(10**9), 0x2000028 + 10**8, 1)
    assert request.replayed_bytes == 10**8
    assert request.needed_bytes == int(1.1 * 10**9) + 10**8 + scratch.ROOM_BYTES
    monkeypatch.setattr(scratch.Place, "free_bytes", lambda _self: request.needed_bytes - 1)
    with pytest.raises(RefusedError, match="too small"):
        scratch.demand_room(place, request)
    monkeypatch.setattr(scratch.Place, "free_bytes", lambda _self: request.needed_bytes)
    assert scratch.demand_room(place, request)["needed_bytes"] == request.needed_bytes


def test_room_is_that_of_the_disk_that_the_place_will_be_on(tmp_path: Path) -> None:
    assert scratch.Place("/x", root=tmp_path / "not" / "yet").free_bytes() > 0


def test_what_stands_in_several_sections_is_told_once() -> None:
    twice = HOST + "[orders:restore]\nrepo2-type=s3\n"
    lines = scratch.configuration(twice, "orders", 2, Path("/scratch/restore-x")).splitlines()
    assert lines.count("repo2-type=s3") == 1


def test_a_path_that_leaves_no_room_for_a_socket_is_refused(place: scratch.Place, tmp_path: Path) -> None:
    long = scratch.Place("/x", place.user, tmp_path / ("long" * 20), place.configuration)
    with pytest.raises(InputError, match="too long"), scratch.made(long, "orders", 1, run=command.run):
        pass
    assert list(long.root.iterdir()) == []


def test_only_one_verifies_at_a_time(place: scratch.Place) -> None:
    with (
        scratch.alone(place, timeout=1),
        pytest.raises(UnknownError, match="another verification"),
        scratch.alone(place, timeout=0.1),
    ):
        pass


def test_what_is_left_over_is_ended_and_removed_and_nothing_else_is(place: scratch.Place) -> None:
    left = place.root / "restore-left"
    left.mkdir(parents=True)
    (left / "data").touch()
    (place.root / "kept").touch()
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    inside, outside = (subprocess.Popen([*sleeper, words]) for words in (f"-D{left}/data", f"-D{place.root}"))
    try:
        with scratch.alone(place, timeout=1):
            assert inside.wait(10) == -9
            assert outside.poll() is None
            assert sorted(path.name for path in place.root.iterdir()) == ["kept", "lock"]
    finally:
        outside.kill()
        outside.wait()


def test_what_failed_is_kept_on_demand(place: scratch.Place) -> None:
    for keep in (True, False):
        with pytest.raises(ValueError), scratch.made(place, "orders", 1, run=command.run, keep=keep) as one:
            raise ValueError
        assert one.folder.exists() is keep


def test_histories_are_told_with_their_text() -> None:
    class Archive:
        stanza = "orders"

        def info(self, _repo: int) -> t.Any:
            return self

        def archive(self, repo: int) -> t.Any:
            return type("Named", (), {"name": "17-1"}) if repo == 1 else None

        def files(self, _repo: int, folder: str, *, recurse: bool) -> dict[str, None]:
            assert (folder, recurse) == ("archive/orders/17-1", False)
            return dict.fromkeys(["00000002.history", "0000000100000000"])

        def read(self, _repo: int, path: str) -> str:
            return f"text of {path}"

    found = scratch.histories(t.cast("t.Any", Archive()), 1)
    assert found == {"00000002.history": "text of archive/orders/17-1/00000002.history"}
    assert scratch.histories(t.cast("t.Any", Archive()), 2) == {}
