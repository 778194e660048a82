# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that takes backups, with a real PostgreSQL and a real pgBackRest, and what can go wrong with it.

Needs both on this machine; skipped without. What needs a file system of its own needs root, too.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from real_cluster import REASON, Cluster, children, cmdline, real_cluster, verdicts

pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")


@pytest.fixture(scope="module")
def cluster() -> t.Iterator[Cluster]:
    with real_cluster() as made:
        made.fill(60)
        made.sql("SELECT pg_switch_wal()")
        yield made


def reasons(line: t.Mapping[str, t.Any]) -> str:
    return "; ".join(check["reason"] for check in line["checks"] if check["verdict"] != "passed")


def failed(answer: tuple[int, dict[str, t.Any]], *words: str) -> dict[str, t.Any]:
    """It failed, no backup came of it, and the line says why."""
    code, line = answer
    assert (code, line["verdict"], line["label"]) == (1, "failed", None), line
    assert any(word in reasons(line) for word in words), reasons(line)
    return line


def copy_of(cluster: Cluster, repo: int) -> str:
    return (cluster.folder / f"repo{repo}/resilience/real/catalogue.jsonl").read_text(encoding="ascii")


def test_a_backup_is_judged_written_down_and_readable_without_any_program(cluster: Cluster) -> None:
    by_hand = cluster.backup(1, "full")
    code, line = cluster.take("1-incr")
    assert (code, line["verdict"], line["type"], line["by"]) == (0, "passed", "incr", "timer")
    assert line["label"].startswith(by_hand)
    # Somebody else's backup is judged, too, and stands before it.
    assert [(one["label"], one["by"]) for one in cluster.lines()][-2] == (by_hand, "playbook")
    manifest = cluster.pgbackrest("--repo=1", "repo-get", f"backup/real/{line['label']}/backup.manifest").stdout
    sha256 = subprocess.run(["sha256sum"], input=manifest, capture_output=True, text=True, check=True).stdout
    assert sha256.split()[0] == line["manifest_sha256"]
    assert len(line["key_id"]) == 16
    told = (cluster.state / "catalogue.jsonl").read_text(encoding="ascii")
    assert copy_of(cluster, 1) == copy_of(cluster, 2) == told


def adopted(cluster: Cluster) -> int:
    said = cluster.as_owner(*cluster.program(), "adopt").stdout.splitlines()
    return int(json.loads(said[-1])["adopted"])


def test_backups_of_others_are_taken_in_before_the_first_of_ours(cluster: Cluster) -> None:
    adopted(cluster)
    before, labels = len(cluster.lines()), [cluster.backup(1, "incr"), cluster.backup(2, "full")]
    assert adopted(cluster) == 2
    lines = cluster.lines()[before:]
    assert [(one["label"], one["by"], one["verdict"], one["adopted"]) for one in lines] == [
        (label, "playbook", "passed", True) for label in labels
    ]
    assert copy_of(cluster, 1) == copy_of(cluster, 2) == (cluster.state / "catalogue.jsonl").read_text()
    assert adopted(cluster) == 0
    # A repository that has a run is left to that one.
    running = cluster.take_and_leave("1-full")
    assert adopted(cluster) == 0
    assert running.wait(timeout=60) == 0


def test_a_backup_that_was_cut_off_has_a_line_and_is_taken_up(cluster: Cluster) -> None:
    running = cluster.take_and_leave("1-full")
    cluster.cut_off(running)
    before = len(cluster.lines())
    code, line = cluster.take("1-incr")
    [cut, taken] = cluster.lines()[before:]
    assert (cut["verdict"], cut["label"], cut["wanted"], cut["seconds"]) == ("failed", None, "full", None)
    assert "cut off" in reasons(cut)
    assert (code, taken["wanted"], taken["type"], taken["verdict"]) == (0, "full", "full", "passed")
    assert any("resumable backup" in warning for warning in taken["warnings"])
    assert taken == line
    # A third one is what it was asked to be.
    assert cluster.take("1-incr")[1]["type"] == "incr"


def test_pgbackrest_that_outlives_the_program_is_waited_for_and_its_backup_written_down(cluster: Cluster) -> None:
    running = cluster.take_and_leave("1-full")
    program = [pid for pid in [running.pid, *children(running.pid)] if b"/backup " in cmdline(pid)]
    assert program
    for pid in program:
        os.kill(pid, signal.SIGKILL)
    running.wait()
    before = len(cluster.lines())
    code, line = cluster.take("1-incr")
    lines = cluster.lines()[before:]
    assert (code, line["verdict"]) == (0, "passed")
    assert [one["verdict"] for one in lines] == ["failed", *["passed"] * (len(lines) - 1)]
    listed = {backup["label"] for backup in cluster.info()["backup"] if backup["database"]["repo-key"] == 1}
    cluster.take("1-incr")  # an orphan that ended in between is found at the latest now
    listed |= {cluster.lines()[-1]["label"]}
    assert listed <= {one["label"] for one in cluster.lines()}


def test_the_primary_is_lost_during_a_backup(cluster: Cluster) -> None:
    running = cluster.take_and_leave("1-full")
    cluster.kill()
    assert running.wait(timeout=120) == 1
    line = cluster.lines()[-1]
    assert (line["verdict"], line["label"]) == ("failed", None)
    failed(cluster.take("1-incr"), "no primary could be reached")
    cluster.start()
    code, line = cluster.take("1-incr")
    assert (code, line["verdict"]) == (0, "passed"), line


def test_one_run_a_repository_and_nothing_expires_under_it(cluster: Cluster) -> None:
    running = cluster.take_and_leave("1-full")
    assert cluster.pgbackrest("--repo=1", "expire", check=False).returncode == 50
    code, line = cluster.take("1-incr", wait_seconds=0.2)
    assert (code, line["verdict"], line["wanted"], line["label"]) == (3, "unknown", "incr", None)
    assert "has its turn" in reasons(line)
    # One that has time gets its turn.
    code, line = cluster.take("1-incr")
    assert running.wait(timeout=60) == 0
    assert (code, line["verdict"], line["type"]) == (0, "passed", "incr")


def test_the_key_is_wrong(cluster: Cluster) -> None:
    known = cluster.lines()[-1]["key_id"]
    cluster.configure("another passphrase")
    try:
        line = failed(cluster.take("1-incr"), "key is wrong")
        assert line["key_id"] is None
    finally:
        cluster.configure()
    code, line = cluster.take("1-incr")
    assert (code, line["key_id"]) == (0, known)


def test_the_stanza_is_of_another_cluster(cluster: Cluster) -> None:
    cluster.stop()
    (cluster.folder / "data").rename(cluster.folder / "data.own")
    try:
        argv = ["--auth=trust", "--no-sync", "--data-checksums", "--username=postgres"]
        cluster.as_owner(str(cluster.bin / "initdb"), *argv, f"--pgdata={cluster.folder}/data")
        cluster.write(
            cluster.folder / "data/postgresql.conf", (cluster.folder / "data.own/postgresql.conf").read_text()
        )
        cluster.start()
        failed(cluster.take("1-full"), "the stanza belongs to another cluster")
        cluster.stop()
        shutil.rmtree(cluster.folder / "data")
    finally:
        (cluster.folder / "data.own").rename(cluster.folder / "data")
        cluster.start()
    assert cluster.take("1-incr")[0] == 0


@contextlib.contextmanager
def own_file_system(folder: Path, spare_mb: int) -> t.Iterator[None]:
    """A file system with so much room, for as long as this lasts, in place of a folder."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a file system")
    used = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) // (1 << 20) + 4
    aside = folder.with_name(folder.name + ".aside")
    folder.rename(aside)
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={used + spare_mb}m", "tmpfs", str(folder)]
    mounted = subprocess.run(words, check=False, capture_output=True)
    try:
        if mounted.returncode:
            pytest.skip("nothing can be mounted here")
        shutil.copytree(aside, folder, dirs_exist_ok=True, symlinks=True)
        subprocess.run(["chown", "-R", "postgres:postgres", str(folder)], check=True)
        yield
        # The WAL that came meanwhile is not lost with it.
        shutil.copytree(folder / "archive", aside / "archive", dirs_exist_ok=True, symlinks=True)
        subprocess.run(["chown", "-R", "postgres:postgres", str(aside)], check=True)
    finally:
        subprocess.run(["umount", str(folder)], check=mounted.returncode == 0, capture_output=True)
        folder.rmdir()
        aside.rename(folder)


def test_the_repository_is_full_and_then_read_only(cluster: Cluster) -> None:
    cluster.take("1-incr")
    folder = cluster.folder / "repo1"
    with own_file_system(folder, spare_mb=12):
        failed(cluster.take("1-full"), "left in repository 1")
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        failed(cluster.take("1-full"), "ended with exit code")
        # The other repository has the catalogue all the same; this one keeps the older copy, whole.
        assert len(copy_of(cluster, 2).splitlines()) == len(cluster.lines())
        assert all(json.loads(line) for line in copy_of(cluster, 1).splitlines())
    assert cluster.take("1-incr")[0] == 0


def test_the_repository_is_unreachable(cluster: Cluster) -> None:
    text = cluster.conf.read_text()
    away = (
        "repo2-type=s3\nrepo2-s3-endpoint=127.0.0.1\nrepo2-storage-port=1\nrepo2-s3-bucket=b\nrepo2-s3-region=r\n"
        "repo2-s3-key=k\nrepo2-s3-key-secret=s\nrepo2-path=/r\nio-timeout=1"
    )
    lines = [away if line.startswith("repo2-path=") else line for line in text.splitlines() if "io-timeout" not in line]
    cluster.write(cluster.conf, "\n".join(lines) + "\n")
    try:
        failed(cluster.take("2-full"), "a host cannot be reached", "cannot be read")
    finally:
        cluster.configure()


def test_a_broken_page_fails_the_backup_that_pgbackrest_ends_well(cluster: Cluster) -> None:
    cluster.sql("CREATE TABLE broken AS SELECT n FROM generate_series(1, 5000) AS n; CHECKPOINT")
    file = cluster.folder / "data" / cluster.sql("SELECT pg_relation_filepath('broken')")
    whole = file.read_bytes()
    file.write_bytes(whole[:100] + bytes([whole[100] ^ 255]) + whole[101:])
    try:
        code, line = cluster.take("1-incr")
    finally:
        file.write_bytes(whole)
    assert (code, line["verdict"], verdicts(line)["backup: page checksums"]) == (1, "failed", "failed")
    assert line["label"] is not None
    # The next one copies the page again, for its time has changed.
    assert cluster.take("1-full")[0] == 0


def test_a_database_that_shrank_to_less_than_half_fails(cluster: Cluster) -> None:
    for _again in range(4):  # the first is a full one
        cluster.take("2-incr")
    assert verdicts(cluster.lines()[-1]).get("backup: size fits the trend", "passed") == "passed"
    cluster.sql("TRUNCATE filled; CHECKPOINT")
    try:
        code, line = cluster.take("2-incr")
    finally:
        cluster.fill(60)
    assert (code, verdicts(line)["backup: size fits the trend"]) == (1, "failed"), line["checks"]
    assert cluster.take("2-incr")[0] == 0


def test_files_come_from_a_healthy_standby_and_else_from_the_primary() -> None:
    with real_cluster() as cluster:
        cluster.fill(60)
        cluster.add_standby()
        cluster.backup(1, "full")
        code, line = cluster.take("1-full")
        assert (code, line["verdict"], line["warnings"]) == (0, "passed", [])
        used = "option-backup-standby=true"
        manifest = "backup/real/{}/backup.manifest"
        assert used in cluster.pgbackrest("--repo=1", "repo-get", manifest.format(line["label"])).stdout
        # It goes while files are read from it.
        running = cluster.take_and_leave("1-full")
        cluster.kill("standby")
        for pid in cluster.copying():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert running.wait(timeout=120) == 0
        line = cluster.lines()[-1]
        assert line["verdict"] == "passed"
        assert any(note.startswith("not from a standby") for note in line["warnings"]), line["warnings"]
        assert used not in cluster.pgbackrest("--repo=1", "repo-get", manifest.format(line["label"])).stdout
        # It is still away: that is seen beforehand.
        line = cluster.take("1-incr")[1]
        assert line["warnings"][0] == "not from a standby: no standby is seen" and line["verdict"] == "passed"


FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


@pytest.mark.skipif(not FAKETIME, reason="libfaketime is not installed")
def test_thirty_days_are_kept_whole_and_not_for_ever() -> None:
    """As role pgbackrest sets it: the full before the 30 days stays until a younger one is 30 days old."""
    with real_cluster() as cluster:

        def later(days: int) -> dict[str, str]:
            return {**os.environ, "LD_PRELOAD": str(FAKETIME[-1]), "FAKETIME": f"+{days}d"}

        def kept() -> tuple[list[str], list[str]]:
            """Labels of backups, and the first segment that each repository has."""
            stanza = cluster.info()
            return [one["label"] for one in stanza["backup"]], [one["min"] for one in stanza["archive"]]

        for repo in (1, 2):
            cluster.backup(repo, "full")
        old, first = kept()
        cluster.stop()
        cluster.start(env=later(7))
        for repo in (1, 2):
            cluster.pgbackrest(f"--repo={repo}", "--type=full", "backup", env=later(7))
        every, _first = kept()
        new = [label for label in every if label not in old]
        assert len(every) == 4
        # The old ones are past 30 days from now on, but without them the window would be shorter than that.
        cluster.pgbackrest("expire", env=later(36))
        assert kept() == (every, first)
        cluster.pgbackrest("expire", env=later(38))
        labels, segments = kept()
        assert labels == new and not set(old) & set(labels)
        assert segments == [one["archive"]["start"] for one in cluster.info()["backup"]] and segments > first


def test_metrics_tell_the_last_run_the_window_and_what_is_safe(cluster: Cluster) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    cluster.take("1-incr")
    begin = time.time()
    cluster.sql("CREATE TABLE written AS SELECT 1 AS n")
    cluster.as_owner(*cluster.program(), "metrics")
    # Whatever the server wrote between is in the archive, and a minute has gone by.
    cluster.archive()
    state = cluster.state / "metrics-state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "looks": {}}))
    path = Path(cluster.as_owner(*cluster.program(), "metrics").stdout.strip())
    found = {
        (sample.name.removeprefix("resilience_"), sample.labels.get("repo"), sample.labels.get("type")): sample.value
        for family in parser.text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }
    last = cluster.lines()[-1]
    assert found["backup_size_bytes", "1", "incr"] == last["size"]
    assert found["archive_gaps", "1", None] == 0
    assert found["recovery_window_end_timestamp_seconds", "1", None] >= int(begin) - 1
    assert found["archive_safe_timestamp_seconds", "1", None] >= begin
    assert found["repository_free_bytes", "1", None] > 0
    assert ("repository_free_bytes", "2", None) not in found
