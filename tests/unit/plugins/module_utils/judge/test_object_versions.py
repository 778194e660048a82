# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was destroyed in a bucket, and what brings it back, from a few versions."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.object_versions import (
    DAY,
    Damage,
    Objects,
    Version,
    damages,
    overtaken,
    plan,
)

PREFIX = "pgbackrest/"
WAL = PREFIX + "archive/lab/17-1/0000000100000000/{}-0123456789abcdef0123456789abcdef01234567.zst"
FULL = PREFIX + "backup/lab/20261101-000000F"
NEXT = PREFIX + "backup/lab/20261108-000000F"
INFO = PREFIX + "backup/lab/backup.info"
RETENTION = 30.0


class Bucket:
    """Objects are written and deleted at given seconds; the store lists them newest first."""

    def __init__(self) -> None:
        self.versions: dict[str, list[Version]] = {}
        self.origins: dict[str, str] = {}
        self.count = 0

    def put(self, key: str, at: float, content: str = "good") -> Version:
        return self._add(Version(key, self._id(), at, True, size=len(content), etag=content))

    def delete(self, key: str, at: float) -> Version:
        return self._add(Version(key, self._id(), at, True, marker=True))

    def _id(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def _add(self, version: Version) -> Version:
        older = [Version(o.key, o.id, o.modified, False, o.marker, o.size, o.etag) for o in self.of(version.key)]
        self.versions[version.key] = [version, *older]
        return version

    def of(self, key: str) -> list[Version]:
        return self.versions.get(key, [])

    @property
    def objects(self) -> Objects:
        """As boto3 gives them: markers apart from versions."""
        every = [one for history in self.versions.values() for one in history]
        listed = [one for one in every if not one.marker] + [one for one in every if one.marker]
        return Objects(PREFIX, listed, self.origins)

    def damages(self) -> list[Damage]:
        return damages(self.objects, RETENTION)

    def plan(self, before: float, **given: t.Any) -> list[tuple[str, str, str | None]]:
        found = plan(self.objects, before, **given)
        return [(step.action, step.key, step.version.id if step.version else None) for step in found]


def segment(number: int) -> str:
    return WAL.format(f"0000000100000000{number:08X}")


@pytest.fixture
def bucket() -> Bucket:
    """A repository with two full backups and WAL, as pgBackRest leaves it: rewritten infos, an aborted backup."""
    made = Bucket()
    made.put(segment(1), 50)
    made.put(segment(2), 100)
    for folder, at in ((FULL, 100.0), (NEXT, 7 * DAY)):
        made.put(f"{folder}/backup.manifest.copy", at, "first")
        made.put(f"{folder}/bundle/1", at + 1)
        made.put(f"{folder}/bundle/1", at + 2, "resumed")
        made.put(f"{folder}/backup.manifest.copy", at + 3)
        made.put(f"{folder}/backup.manifest", at + 3)
        made.put(INFO, at + 3, f"at {at}")
        made.delete(PREFIX + "backup/lab/latest", at + 3)
    made.put(segment(3), 8 * DAY)
    made.put(PREFIX + "archive/lab/archive.info", 40)
    made.put(PREFIX + "archive/lab/17-1/00000002.history", 8 * DAY, "salt one")
    made.put(PREFIX + "archive/lab/17-1/00000002.history", 9 * DAY, "salt two")
    made.put(PREFIX + "backup/lab/20261103-000000F/bundle/1", 2 * DAY)
    made.delete(PREFIX + "backup/lab/20261103-000000F/bundle/1", 2 * DAY + 9)
    return made


def test_what_pgbackrest_does_itself_is_no_damage(bucket: Bucket) -> None:
    bucket.delete(segment(1), 7 * DAY)
    assert bucket.damages() == []


def test_a_backup_expires_when_the_next_one_is_as_old_as_the_retention(bucket: Bucket) -> None:
    for name in ("backup.manifest", "backup.manifest.copy", "bundle/1"):
        bucket.delete(f"{FULL}/{name}", 37 * DAY + 9)
    bucket.delete(segment(2), 37 * DAY + 10)
    assert bucket.damages() == []


def test_the_last_backup_that_keeps_the_promise_does_not_expire_however_old_it_is(bucket: Bucket) -> None:
    """Thirty-five days old, and the next one is only twenty-eight: deleting it breaks the promise of thirty days."""
    bucket.delete(f"{FULL}/backup.manifest", 35 * DAY)
    bucket.delete(segment(2), 35 * DAY + 1)
    assert bucket.damages() == [
        Damage(f"{FULL}/backup.manifest", "deleted", 35 * DAY),
        Damage(segment(2), "deleted", 35 * DAY + 1),
    ]


def test_deleted_and_overwritten_objects_are_damage_since_the_first(bucket: Bucket) -> None:
    bucket.put(segment(2), 10 * DAY, "evil")
    bucket.delete(segment(3), 10 * DAY + 5)
    bucket.delete(INFO, 10 * DAY + 6)
    bucket.put(f"{NEXT}/bundle/1", 10 * DAY + 7, "evil")
    assert [(one.key, one.what, one.at - 10 * DAY) for one in bucket.damages()] == [
        (segment(2), "overwritten", 0),
        (segment(3), "deleted", 5),
        (INFO, "deleted", 6),
        (f"{NEXT}/bundle/1", "overwritten", 7),
    ]


def test_what_stands_beside_pgbackrests_folders_is_no_damage_and_comes_back(bucket: Bucket) -> None:
    """As the catalogue, which is written anew with each backup, and manifests of content, which others remove."""
    catalogue, manifest = PREFIX + "resilience/lab/catalogue.jsonl", PREFIX + "manifests/lab/1.json"
    bucket.put(catalogue, 1 * DAY, "one")
    good = bucket.put(catalogue, 2 * DAY, "two")
    kept = bucket.put(manifest, 2 * DAY)
    bucket.put(catalogue, 10 * DAY, "evil")
    bucket.delete(manifest, 10 * DAY)
    assert bucket.damages() == []
    assert bucket.plan(10 * DAY) == [("unmark", manifest, kept.id), ("copy", catalogue, good.id)]


def test_a_repository_with_an_earlier_key_is_judged_by_its_own_backups(bucket: Bucket) -> None:
    earlier = PREFIX + "key-1/"
    bucket.put(f"{earlier}archive/lab/17-1/0000000100000000/{'0' * 23}1-{'0' * 40}.zst", 1)
    for name, at in (("bundle/1", 1 * DAY), ("backup.manifest", 1 * DAY)):
        bucket.put(f"{earlier}backup/lab/20261001-000000F/{name}", at)
    bucket.delete(f"{earlier}archive/lab/17-1/0000000100000000/{'0' * 23}1-{'0' * 40}.zst", 2 * DAY)
    assert bucket.damages() == []
    bucket.delete(f"{earlier}backup/lab/20261001-000000F/backup.manifest", 3 * DAY)
    assert [one.key for one in bucket.damages()] == [f"{earlier}backup/lab/20261001-000000F/backup.manifest"]


def test_without_any_backup_wal_does_not_expire() -> None:
    bucket = Bucket()
    bucket.put(segment(1), 5)
    bucket.delete(segment(1), 9)
    assert bucket.damages() == [Damage(segment(1), "deleted", 9)]


def test_wal_of_a_backup_that_was_destroyed_first_is_damage_too(bucket: Bucket) -> None:
    for folder in (FULL, NEXT):
        bucket.delete(f"{folder}/backup.manifest", 9 * DAY)
    bucket.delete(segment(2), 9 * DAY + 1)
    assert Damage(segment(2), "deleted", 9 * DAY + 1) in bucket.damages()


def test_what_was_overwritten_and_then_deleted_is_damage_since_it_was_overwritten(bucket: Bucket) -> None:
    bucket.put(segment(3), 10 * DAY, "evil")
    bucket.delete(segment(3), 11 * DAY)
    assert bucket.damages() == [Damage(segment(3), "deleted", 10 * DAY)]


def test_nothing_is_planned_where_everything_is_as_it_was(bucket: Bucket) -> None:
    assert bucket.plan(20 * DAY) == []


def test_a_marker_is_taken_away_and_what_was_overwritten_is_copied(bucket: Bucket) -> None:
    good = bucket.of(segment(2))[0]
    other = bucket.of(segment(3))[0]
    info = bucket.of(INFO)[0]
    bucket.put(segment(2), 10 * DAY, "evil")
    bucket.delete(segment(2), 10 * DAY)
    bucket.delete(segment(3), 10 * DAY)
    bucket.delete(segment(3), 10 * DAY)
    bucket.put(INFO, 10 * DAY, "evil")
    assert bucket.plan(10 * DAY) == [
        ("copy", segment(2), good.id),
        ("unmark", segment(3), other.id),
        ("copy", INFO, info.id),
    ]


def test_every_marker_on_top_is_taken_away(bucket: Bucket) -> None:
    markers = [bucket.delete(segment(3), 10 * DAY + second) for second in (0, 1, 2)]
    [step] = plan(bucket.objects, 10 * DAY)
    assert [one.id for one in step.markers] == [one.id for one in reversed(markers)]


def test_what_was_legitimately_deleted_before_stays_deleted(bucket: Bucket) -> None:
    bucket.delete(segment(1), 7 * DAY)
    bucket.delete(segment(3), 10 * DAY)
    assert [key for _action, key, _id in bucket.plan(10 * DAY, hide_newer=True)] == [segment(3)]


def test_wal_that_came_while_the_repository_was_destroyed_is_brought_back(bucket: Bucket) -> None:
    """As the cluster went on archiving, what it wrote first under a new name counts, not what came over it."""
    first = bucket.put(segment(4), 10 * DAY + 5)
    bucket.put(segment(4), 10 * DAY + 6, "evil")
    second = bucket.put(segment(5), 10 * DAY + 7)
    bucket.delete(segment(5), 10 * DAY + 8)
    bucket.put(segment(6), 10 * DAY + 9)
    assert bucket.plan(10 * DAY) == [("copy", segment(4), first.id), ("unmark", segment(5), second.id)]


def test_what_is_newer_is_hidden_where_that_is_asked_for(bucket: Bucket) -> None:
    bucket.put(segment(4), 10 * DAY + 5)
    assert bucket.plan(10 * DAY, hide_newer=True) == [("hide", segment(4), None)]


def test_a_backup_taken_since_then_keeps_its_files(bucket: Bucket) -> None:
    folder = PREFIX + "backup/lab/20261111-000000F"
    bucket.put(f"{folder}/backup.manifest.copy", 11 * DAY, "first")
    bucket.put(f"{folder}/backup.manifest.copy", 11 * DAY + 1, "whole")
    bucket.put(f"{folder}/backup.manifest", 11 * DAY + 1)
    assert bucket.plan(10 * DAY) == []


def test_the_second_of_the_first_damage_loses_nothing(bucket: Bucket) -> None:
    """A store keeps whole seconds: what was written and destroyed in the same one is there before it is gone."""
    written = bucket.put(segment(4), 10 * DAY)
    bucket.delete(segment(4), 10 * DAY)
    assert bucket.plan(10 * DAY) == [("unmark", segment(4), written.id)]


def test_a_copy_of_the_right_version_is_right_and_no_damage(bucket: Bucket) -> None:
    bucket.put(segment(3), 10 * DAY, "evil")
    bucket.put(segment(3), 11 * DAY, "good")
    assert (bucket.plan(10 * DAY), bucket.damages()) == ([], [])


def test_a_second_damage_is_dated_by_itself(bucket: Bucket) -> None:
    bucket.put(segment(3), 10 * DAY, "evil")
    bucket.put(segment(3), 11 * DAY, "good")
    bucket.delete(segment(3), 12 * DAY)
    assert bucket.damages() == [Damage(segment(3), "deleted", 12 * DAY)]


NEXT_TIMELINE = WAL.replace("0000000100000000/", "0000000200000000/")


def test_the_wal_that_was_archived_last_is_the_newest_again(bucket: Bucket) -> None:
    """Only older WAL had to be copied, and whoever looks for the timeline to follow takes the one archived last."""
    last = bucket.put(NEXT_TIMELINE.format("000000020000000000000004"), 9 * DAY)
    assert overtaken(bucket.objects) == []
    bucket.put(segment(3), 10 * DAY, "evil")
    bucket.put(segment(3), 11 * DAY, "good")
    [step] = overtaken(bucket.objects)
    assert (step.action, step.key, step.version and step.version.id) == ("copy", last.key, last.id)
    bucket.put(last.key, 11 * DAY + 2, "good")
    assert (overtaken(bucket.objects), bucket.plan(10 * DAY), bucket.damages()) == ([], [], [])


def test_wal_that_came_since_is_newer_than_any_copy(bucket: Bucket) -> None:
    bucket.put(segment(2), 10 * DAY, "evil")
    bucket.put(segment(2), 11 * DAY, "good")
    bucket.put(segment(4), 11 * DAY + 1)
    assert overtaken(bucket.objects) == []


def test_a_copy_with_another_checksum_is_known_by_what_it_was_copied_from(bucket: Bucket) -> None:
    """As of an object that was uploaded in parts, or is encrypted by the store."""
    good = bucket.of(segment(3))[0]
    bucket.put(segment(3), 10 * DAY, "evil!")
    copied = bucket.put(segment(3), 11 * DAY, "copy")
    assert copied in bucket.objects.doubtful()
    assert bucket.plan(10 * DAY) == [("copy", segment(3), good.id)]
    bucket.origins = {copied.id: good.id}
    assert (bucket.plan(10 * DAY), bucket.damages()) == ([], [])
