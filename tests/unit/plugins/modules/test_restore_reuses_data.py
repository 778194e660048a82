# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore copies from the data it keeps; and, with a real pgBackRest, that no copy is believed."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
import real_cluster as real

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import restore, reused_data
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import Client

STARTED = 1_795_428_237
UNWRITTEN = ("base/5/16400", "base/5/16400.1", "base/5/16400_vm", "base/5/1249", "base/16399/2619")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A directory whose files were written before the backup, in the second of its begin, and after that."""
    directory = tmp_path / "main.kept"
    for name in (
        *UNWRITTEN, "PG_VERSION", "global/pg_control", "global/1262", "pg_wal/000000010000000000000003", "pg_xact/0000",
        "base/5/PG_VERSION", "base/5/t3_16410", "base/5/16500", "base/5/16500_init", "base/5/16500.1",
        "base/pgsql_tmp/pgsql_tmp17.0", "base/5/16600", "base/5/16601",
    ):  # fmt: skip
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"what {name} holds")
        os.utime(file, (STARTED - 60, STARTED - 60))
    os.utime(directory / "base/5/16600", (STARTED, STARTED))
    os.utime(directory / "base/5/16601", (STARTED + 60, STARTED + 60))
    return directory


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "a data directory"
    directory.mkdir()
    return directory


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def test_relations_that_were_not_written_since_are_copied_and_nothing_else(kept: Path, data_dir: Path) -> None:
    copied = reused_data.copy(kept, data_dir, STARTED, 60, command.run)
    assert files(data_dir) == sorted(["PG_VERSION", *UNWRITTEN])
    assert copied == sum((kept / name).stat().st_size for name in files(data_dir))
    assert (data_dir / "base/5/16400.1").read_text() == "what base/5/16400.1 holds"


def test_large_files_are_copied_beside_each_other(kept: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a copy to itself; small ones share one."""
    monkeypatch.setattr(reused_data, "LARGE", 100)
    for name in ("base/5/16400", "base/16399/2619"):
        (kept / name).write_text("x" * 100)
        os.utime(kept / name, (STARTED - 60, STARTED - 60))
    shared = {}

    def heard(argv: t.Sequence[str], **given: t.Any) -> command.Completed:
        if "xargs" in argv:
            [at_once] = [word.partition("=")[2] for word in argv if word.startswith("--max-args=")]
            shared[int(at_once)] = set(given["stdin"].split("\0")) - {""}
            assert int(next(word.partition("=")[2] for word in argv if word.startswith("--max-procs="))) > 1
        return command.run(argv, **given)

    reused_data.copy(kept, data_dir, STARTED, 60, heard)
    assert shared[1] == {"base/5/16400", "base/16399/2619"}
    assert shared[reused_data.SMALL_AT_ONCE] == {"PG_VERSION", *UNWRITTEN} - shared[1]
    assert files(data_dir) == sorted(["PG_VERSION", *UNWRITTEN])


def test_folders_of_a_copy_are_those_of_the_kept_data(kept: Path, data_dir: Path) -> None:
    (kept / "base/5").chmod(0o700)
    (kept / "base/16399").chmod(0o750)
    reused_data.copy(kept, data_dir, STARTED, 60, command.run)
    assert [(data_dir / name).stat().st_mode & 0o777 for name in ("base/5", "base/16399")] == [0o700, 0o750]


def test_a_directory_that_is_no_clusters_is_left_alone(kept: Path, data_dir: Path) -> None:
    (kept / "PG_VERSION").unlink()
    assert reused_data.copy(kept, data_dir, STARTED, 60, command.run) == 0
    assert files(data_dir) == []


def test_after_a_copy_that_was_cut_off_the_rest_is_copied(kept: Path, data_dir: Path) -> None:
    (data_dir / "base/5").mkdir(parents=True)
    (data_dir / "base/5/16400").write_text("what")
    reused_data.copy(kept, data_dir, STARTED, 60, command.run)
    assert files(data_dir) == sorted(["PG_VERSION", *UNWRITTEN])
    assert (data_dir / "base/5/16400").read_text() == "what"


def test_a_file_that_cannot_be_read_is_left_to_pgbackrest(kept: Path, data_dir: Path) -> None:
    def broken(argv: t.Sequence[str], **given: t.Any) -> command.Completed:
        if "xargs" in argv:
            (kept / "base/5/16400").unlink(missing_ok=True)
        return command.run(argv, **given)

    reused_data.copy(kept, data_dir, STARTED, 60, broken)
    assert files(data_dir) == sorted({"PG_VERSION", *UNWRITTEN} - {"base/5/16400"})


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[real.Cluster]:
    with real.real_cluster() as cluster:
        monkeypatch.setattr(restore, "STATE", cluster.folder / "restore.json")
        yield cluster


@pytest.mark.slow
@pytest.mark.skipif(real.REASON is not None, reason=real.REASON or "")
def test_a_copy_that_differs_from_the_backup_is_fetched(cluster: real.Cluster) -> None:
    cluster.fill(8)
    cluster.sql("CREATE TABLE small AS SELECT n FROM generate_series(1, 9) AS n")
    relation, other = (cluster.sql(f"SELECT pg_relation_filepath('{name}')") for name in ("filled", "small"))
    wanted = cluster.sql("SELECT md5(string_agg(text, '' ORDER BY n, text)) FROM filled")
    # What reading leaves in a page is written, too.
    cluster.sql("CHECKPOINT")
    # Else these files may have been written in the second in which the backup begins.
    for name in (relation, other):
        os.utime(cluster.folder / "data" / name, (STARTED, STARTED))
    cluster.backup(1, "full")
    cluster.sql("DROP TABLE small")
    cluster.archive()
    cluster.kill()
    spoil(cluster.folder / "data" / relation)
    place = restore.Place(cluster.folder / "data", str(cluster.bin), "none.service", real.become_user())
    client = Client(command.run, real.STANZA, user=real.become_user(), options=(f"--config={cluster.conf}",))
    done = restore.restore(place, restore.Request("immediate", repo=1), client, 60, command.run)
    assert done["reused"] >= 8_000_000
    auto = cluster.folder / "data/postgresql.auto.conf"
    own = f"restore_command = 'pgbackrest --config={cluster.conf} --stanza={real.STANZA} archive-get %f \"%p\"'\n"
    cluster.write(auto, auto.read_text() + own)
    cluster.start()
    assert cluster.sql("SELECT md5(string_agg(text, '' ORDER BY n, text)) FROM filled") == wanted
    assert cluster.sql("SELECT count(*) FROM small") == "9"


def spoil(file: Path) -> None:
    """One bit of it turned, and its time as before: as by a disk that forgets."""
    before = file.stat()
    with file.open("r+b") as stream:
        stream.seek(before.st_size // 2)
        [byte] = stream.read(1)
        stream.seek(before.st_size // 2)
        stream.write(bytes([byte ^ 1]))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
