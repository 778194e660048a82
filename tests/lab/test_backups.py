# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups and WAL in both repositories: there, complete, unreadable to whoever takes the disk."""

from __future__ import annotations

import json
import re
import typing as t
import uuid
from pathlib import Path

import pytest
from lab_hosts import Lab

REPOSITORIES = (1, 2)
#: How every object that pgBackRest encrypted begins.
ENCRYPTED = "Salted__"


def repository(lab: Lab) -> str:
    [only] = lab.group("repositories")
    return only


def pgbackrest(lab: Lab, host: str, *arguments: str) -> str:
    command = "cd / && runuser -u %s -- pgbackrest --log-level-console=off" + " %s" * len(arguments)
    return lab.said(host, command, owner(lab, host), *arguments)


def owner(lab: Lab, host: str) -> str:
    return "postgres" if host in lab.members else lab.said(host, "stat -c %U /var/lib/pgbackrest")


@pytest.fixture(scope="module")
def stanza(lab: Lab) -> dict[str, t.Any]:
    [found] = json.loads(pgbackrest(lab, repository(lab), "--output=json", "info"))
    return t.cast(dict[str, t.Any], found)


def test_every_repository_is_encrypted_and_well(stanza: dict[str, t.Any]) -> None:
    assert stanza["status"]["code"] == 0, stanza["status"]
    found = {repo["key"]: (repo["cipher"], repo["status"]["code"]) for repo in stanza["repo"]}
    # After a rotation of the key, those of earlier keys are there, too.
    assert set(found) >= set(REPOSITORIES) and set(found.values()) == {("aes-256-cbc", 0)}


@pytest.mark.parametrize("number", REPOSITORIES)
def test_every_repository_holds_a_full_backup_without_errors(stanza: dict[str, t.Any], number: int) -> None:
    backups = [backup for backup in stanza["backup"] if backup["database"]["repo-key"] == number]
    assert any(backup["type"] == "full" for backup in backups), f"repo{number}: {[b['label'] for b in backups]}"
    assert not any(backup["error"] for backup in backups)


def archived(lab: Lab, stanza: dict[str, t.Any], number: int, segment: str) -> str | None:
    """The path of a WAL segment in a repository, or None while it is not there whole."""
    [current] = [entry["id"] for entry in stanza["archive"][-1:]]
    folder = f"archive/{stanza['name']}/{current}/{segment[:16]}"
    listed = json.loads(pgbackrest(lab, repository(lab), f"--repo={number}", "--output=json", "repo-ls", folder))
    whole = re.compile(re.escape(segment) + r"-[0-9a-f]{40}(\.[a-z0-9]+)?")
    return next((f"{folder}/{name}" for name in listed if whole.fullmatch(name)), None)


def test_wal_reaches_both_repositories_segment_by_segment(
    lab: Lab, stanza: dict[str, t.Any], application: dict[str, t.Any], wait: t.Callable[..., t.Any]
) -> None:
    """A row's WAL is in both repositories within seconds of the segment's end, and neither tells what the row says."""
    marker = f"plaintext-marker-{uuid.uuid4()}"
    written = lab.client(
        f"INSERT INTO resilience.marker (name, lsn) VALUES ('{marker}', pg_current_wal_insert_lsn()) RETURNING name",
        **application,
    )
    assert written.rows == [[marker]], written.error
    segment = lab.value(lab.primary, "SELECT pg_walfile_name(pg_switch_wal())")
    for number in REPOSITORIES:
        path = wait(lambda number=number: archived(lab, stanza, number, segment), seconds=60)
        assert path, f"{segment} never came to repo{number}"
        raw = "runuser -u %s -- pgbackrest --log-level-console=off --repo=%s --raw repo-get %s"
        head = lab.said(repository(lab), f"cd / && {raw} | head -c 8", owner(lab, repository(lab)), str(number), path)
        assert head == ENCRYPTED, f"repo{number}: {path} begins with {head!r}"


def test_the_repository_hosts_disk_shows_no_row(
    lab: Lab, application: dict[str, t.Any], wait: t.Callable[..., t.Any]
) -> None:
    """The same, from the side of whoever holds the disk: no file of repo1 contains a value that was written."""
    [[name]] = lab.client("SELECT name FROM resilience.marker ORDER BY written_at DESC LIMIT 1", **application).rows

    def all_read() -> bool:
        """Not where WAL that was on its way had its final name by the time it was to be read: grep ends with 2."""
        found = lab.on(repository(lab)).run(
            "grep --recursive --files-with-matches --fixed-strings -- %s /var/lib/pgbackrest", name
        )
        assert found.stdout == "", found.stdout
        return found.rc == 1

    assert wait(all_read, seconds=30), "not every file could be read"


def test_the_object_store_refuses_strangers(lab: Lab) -> None:
    """Without a key: 403. Without TLS: no answer at all."""
    [store] = lab.group("stores")
    ask = """
import ssl, sys, urllib.error, urllib.request
context = ssl.create_default_context(cafile="/etc/fraiseql-resilience/tls/ca.crt")
try:
    print(urllib.request.urlopen(sys.argv[1], context=context, timeout=5).status)
except urllib.error.HTTPError as error:
    print(error.code)
except OSError as error:
    print(type(error).__name__)
"""
    assert lab.said(repository(lab), "python3 -c %s %s", ask, f"https://{store}:8333/") == "403"
    assert lab.said(repository(lab), "python3 -c %s %s", ask, f"http://{store}:8333/") != "200"


def test_check_passes_on_the_primary_and_on_the_repository_host(lab: Lab, stanza: dict[str, t.Any]) -> None:
    """A standby's own ``check`` wants the primary's address, which changes; what it must be able to do is next."""
    for name in (lab.primary, repository(lab)):
        pgbackrest(lab, name, f"--stanza={stanza['name']}", "check")


@pytest.mark.parametrize("number", REPOSITORIES)
def test_every_member_can_fetch_wal_from_every_repository(lab: Lab, stanza: dict[str, t.Any], number: int) -> None:
    segment = next(entry["max"] for entry in reversed(stanza["archive"]) if entry["database"]["repo-key"] == number)
    for name in lab.members:
        target = lab.said(name, "runuser -u postgres -- mktemp -u /tmp/fetched-wal-XXXXXX")
        try:
            pgbackrest(lab, name, f"--stanza={stanza['name']}", f"--repo={number}", "archive-get", segment, target)
            assert lab.said(name, "stat -c %s " + target) == "16777216"
        finally:
            lab.said(name, "rm -f %s", target)


def test_the_receiver_writes_what_was_just_committed(
    lab: Lab, application: dict[str, t.Any], wait: t.Callable[..., t.Any]
) -> None:
    """Once a commit is acknowledged, its WAL is flushed on the repository host."""
    assert lab.client(
        "INSERT INTO resilience.marker (name, lsn) VALUES (gen_random_uuid(), '0/0') RETURNING 1", **application
    ).rows
    slot = lab.sql(
        lab.primary,
        "SELECT flush_lsn >= pg_current_wal_flush_lsn() - 16777216::numeric FROM pg_stat_replication"
        " WHERE application_name LIKE '%-receiver'",
    )
    assert slot == [["t"]]
    # Between the end of a segment and the first bytes of the next one there is none.
    begun = "find /var/lib/fraiseql-resilience/received-wal -type f -name '*.partial'"
    assert wait(lambda: lab.on(repository(lab)).run(begun).stdout, seconds=15), "no segment is being received"


def test_the_second_repository_survives_whoever_steals_the_clusters_key(lab: Lab, tmp_path: Path) -> None:
    audit = lab.play("repository_audit", tmp_path / "evidence", confirm=None)
    assert audit.rc == 0, audit.said
    assert "key: delete versions, set versioning, set the lifecycle" in audit.said
