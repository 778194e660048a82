# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A manifest's head, the log's hosts, and a copy of the catalogue that has to be the one that was put."""

from __future__ import annotations

import hashlib
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import backups
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import Client
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import UnknownError

MANIFEST = b"""[backup]
backup-label="B"
db-system-id=7712450958749970012
option-checksum-page=true

[cipher]
cipher-pass="of the files"

[target:file]
pg_data/backup-label="X"
pg_data/\xff={}
"""
LOG = """P01 DETAIL: backup file pg-a2.example:/data/base/1 (8KB, 1%) checksum 1
P02 DETAIL: backup file pg-a2.example:/data/base/2 (8KB, 1%) checksum 1
P01 DETAIL: backup file pg-a1.example:/data/global/pg_control (8KB, 1%) checksum 1
"""
MEMBERS = [{"name": "pg-a1", "address": "pg-a1.example"}, {"name": "pg-a2", "address": "pg-a2.example"}]


def test_a_manifest_tells_all_but_the_key_of_its_files() -> None:
    manifest = backups.parse_manifest(MANIFEST)
    assert manifest.sha256 == hashlib.sha256(MANIFEST).hexdigest()
    assert manifest.text("backup-label") == "B" and manifest.text("db-system-id") == "7712450958749970012"
    assert manifest.values["option-checksum-page"] is True
    assert "of the files" not in str(manifest)


def test_what_is_no_manifest_is_unknown() -> None:
    with pytest.raises(UnknownError):
        backups.parse_manifest(b"")


def test_the_member_that_most_files_came_from_is_named() -> None:
    assert backups.read_from(LOG, MEMBERS) == "pg-a2"
    assert backups.read_from(LOG, []) == "pg-a2.example"
    assert backups.read_from("P01 DETAIL: backup file /data/base/1 (8KB)", MEMBERS) is None


def test_each_repository_has_a_key_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "pgbackrest.conf"
    file.write_text("[global]\nrepo1-cipher-pass=one with = and spaces\nrepo2-cipher-pass=two\n")
    assert backups.passphrase(file.read_text(), 1) == "one with = and spaces"
    assert backups.named_key(file, 1) not in (None, backups.named_key(file, 2))
    assert backups.named_key(file, 3) is None
    assert backups.named_key(tmp_path / "none", 1) is None


def test_a_copy_that_reads_otherwise_is_none() -> None:
    ran: list[t.Any] = []

    def run(argv: t.Sequence[str], *, stdin: str | None = None, **_more: t.Any) -> Completed:
        ran.append((argv[-2:], stdin, "--raw" in argv, "--repo=2" in argv))
        return Completed(tuple(argv), 0, "another", "", 0.1)

    with pytest.raises(UnknownError, match="another catalogue"):
        backups.put_copy(Client(run, "lab"), 2, "content")
    path = "resilience/lab/catalogue.jsonl"
    assert ran == [(["repo-put", path], "content", True, True), (["repo-get", path], None, True, True)]
