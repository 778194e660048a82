# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module s3_repository_restore on a real store: destroyed with the cluster's key, brought back with the owner's."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import s3
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    InputError,
    RefusedError,
    UnknownError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import object_versions
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.object_versions import Step, Version
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.window import utc
from ansible_collections.fraiseql.resilience.plugins.modules import s3_repository_restore

PREFIX = "pgbackrest/"
FULL = PREFIX + "backup/lab/20261126-000000F"
SEGMENTS = [PREFIX + f"archive/lab/17-1/0000000100000000/{number:024X}-{number:040x}.zst" for number in range(1, 13)]
INFO = PREFIX + "archive/lab/archive.info"
#: Larger than what pgBackRest uploads in one part.
LARGE = b"Salted__" + bytes(range(256)) * 20480


class Repository:
    """A small repository in a bucket of its own, and what is in it now."""

    def __init__(self, store: t.Any, **given: t.Any) -> None:
        self.store, self.bucket = store, store.bucket(**given)
        self.owner, self.cluster = store.client(), store.cluster
        for key in [INFO, *SEGMENTS, f"{FULL}/bundle/1", f"{FULL}/backup.manifest"]:
            self.put(key, f"Salted__{key}".encode())
        self.good = self.content()

    def put(self, key: str, body: bytes, client: t.Any = None) -> None:
        (client or self.cluster).put_object(Bucket=self.bucket, Key=key, Body=body)

    def delete(self, *keys: str) -> None:
        for key in keys:
            self.cluster.delete_object(Bucket=self.bucket, Key=key)

    def wait(self) -> str:
        """A moment after everything so far, and before everything that follows: a store keeps whole seconds."""
        time.sleep(1.1)
        moment = utc(int(time.time()))
        time.sleep(max(0.0, 1.02 - time.time() % 1))
        return moment

    def attack(self) -> str:
        """Everything is deleted, some of it overwritten before. The moment before."""
        before = self.wait()
        for key in (INFO, SEGMENTS[0], f"{FULL}/backup.manifest"):
            self.put(key, b"pay up")
        self.delete(*[key for key in self.good if key not in (SEGMENTS[0], f"{FULL}/backup.manifest")])
        return before

    def content(self) -> dict[str, bytes]:
        listed = self.owner.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {one["Key"]: self.owner.get_object(Bucket=self.bucket, Key=one["Key"])["Body"].read() for one in listed}

    def ids(self) -> set[str]:
        """Of every version that is not a marker."""
        pages = self.owner.get_paginator("list_object_versions").paginate(Bucket=self.bucket)
        return {one["VersionId"] for page in pages for one in page.get("Versions", [])}

    def params(self, **given: t.Any) -> dict[str, t.Any]:
        defaults = {name: option.get("default") for name, option in s3_repository_restore.argument_spec().items()}
        return {**defaults, **self.store.options(self.bucket), **given}

    def act(self, *, check_mode: bool = False, **given: t.Any) -> dict[str, t.Any]:
        return s3_repository_restore.act(self.params(**given), check_mode=check_mode)


@pytest.fixture
def repository(object_store: t.Any) -> Repository:
    return Repository(object_store)


def test_everything_comes_back_and_nothing_is_lost(repository: Repository) -> None:
    before = repository.attack()
    versions = repository.ids()
    planned = repository.act(before=before, check_mode=True)
    assert (planned["changed"], planned["objects"]) == (True, len(repository.good))
    assert repository.content() != repository.good, "check mode brings nothing back"
    answer = repository.act(before=before)
    assert answer == planned
    assert answer["actions"] == {"unmark": 12, "copy": 3, "hide": 0}
    assert answer["bytes"] == sum(map(len, repository.good.values()))
    assert repository.content() == repository.good
    assert versions < repository.ids(), "no version is gone, those of the attack included"
    assert repository.act(before=before)["changed"] is False


def test_the_moment_of_the_first_damage_is_found(repository: Repository) -> None:
    repository.wait()
    repository.attack()
    assert repository.act()["changed"]
    assert repository.content() == repository.good
    answer = repository.act()
    assert (answer["changed"], answer["before"], answer["objects"]) == (False, None, 0)


def test_wal_that_was_archived_meanwhile_stays(repository: Repository) -> None:
    before = repository.attack()
    later = {PREFIX + f"archive/lab/17-1/0000000100000000/{n:024X}-{n:040x}.zst": b"Salted__later" for n in (20, 21)}
    for key, body in later.items():
        repository.put(key, body)
    repository.delete(next(iter(later)))
    repository.act(before=before)
    assert repository.content() == {**repository.good, **later}
    hidden = repository.act(before=before, hide_newer=True)
    assert hidden["actions"] == {"unmark": 0, "copy": 0, "hide": 2}
    assert repository.content() == repository.good


def test_an_object_that_was_uploaded_in_parts(repository: Repository) -> None:
    upload = repository.cluster.create_multipart_upload(Bucket=repository.bucket, Key=f"{FULL}/bundle/2")["UploadId"]
    target = {"Bucket": repository.bucket, "Key": f"{FULL}/bundle/2", "UploadId": upload}
    part = repository.cluster.upload_part(PartNumber=1, Body=LARGE, **target)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    repository.cluster.complete_multipart_upload(MultipartUpload=parts, **target)
    before = repository.wait()
    repository.put(f"{FULL}/bundle/2", b"evil")
    repository.act(before=before)
    assert repository.content()[f"{FULL}/bundle/2"] == LARGE
    assert repository.act(before=before)["changed"] is False


def test_a_run_that_is_killed_half_way_goes_on(repository: Repository, tmp_path: Path) -> None:
    before = repository.attack()
    params = {k: v for k, v in repository.params(before=before, workers=1).items() if v is not None}
    (tmp_path / "args.json").write_text(json.dumps({"ANSIBLE_MODULE_ARGS": params}))
    # Slow, so that it can be killed in the middle.
    (tmp_path / "sitecustomize.py").write_text(
        "import time, botocore.client\n"
        "call = botocore.client.BaseClient._make_api_call\n"
        "def slowly(self, name, given):\n"
        "    time.sleep(0.3 if name in ('CopyObject', 'DeleteObject') else 0)\n"
        "    return call(self, name, given)\n"
        "botocore.client.BaseClient._make_api_call = slowly\n"
    )
    top = Path(s3_repository_restore.__file__).parents[5]
    run = subprocess.Popen(
        [sys.executable, s3_repository_restore.__file__, str(tmp_path / "args.json")],
        env={"PYTHONPATH": f"{tmp_path}:{top}", "PATH": "/usr/bin:/bin"},
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while len(repository.content()) < 5 and time.monotonic() < deadline:
        time.sleep(0.1)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    half = repository.content()
    assert 5 <= len(half) < len(repository.good)
    answer = repository.act(before=before)
    assert 0 < answer["objects"] < len(repository.good), "what was brought back is not brought back again"
    assert repository.content() == repository.good


def test_a_key_that_may_not_take_markers_away_copies(repository: Repository) -> None:
    """As that of the cluster: nothing it could destroy with it."""
    before = repository.attack()
    access_key, secret_key = repository.store.keys("key", "key_secret")
    repository.act(before=before, access_key=access_key, secret_key=secret_key)
    assert repository.content() == repository.good
    assert repository.act(before=before)["changed"] is False


def test_a_bucket_without_versions_is_refused(object_store: t.Any) -> None:
    """What is gone leaves no trace there: to find nothing to do would read as if all were well."""
    repository = Repository(object_store, lock_days=None)
    with pytest.raises(InputError, match="never versioned"):
        repository.act()


def test_a_wrong_key_and_a_moment_without_offset_are_refused(repository: Repository) -> None:
    with pytest.raises(UnknownError, match="SignatureDoesNotMatch"):
        repository.act(secret_key="another")
    with pytest.raises(UnknownError, match="NoSuchBucket"):
        repository.act(bucket="nobodys-bucket")
    with pytest.raises(InputError, match="offset from UTC"):
        repository.act(before="2026-11-26 09:41:07")


def test_only_markers_are_ever_deleted(repository: Repository) -> None:
    listed = s3.objects(s3.Store.of(repository.params())).versions
    content = next(one for one in listed if not one.marker)
    step = Step("unmark", content.key, content, (content,))
    s3.take(s3.Store.of(repository.params()), [step], workers=1)
    assert content.id in repository.ids()


def test_whoever_destroys_faster_than_it_is_brought_back_is_told(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = repository.attack()

    def nothing(*_given: t.Any) -> int:
        return 0

    monkeypatch.setattr(s3, "take", nothing)
    with pytest.raises(UnknownError, match="15 objects are not what they were, the first") as told:
        repository.act(before=before)
    assert told.value.changed


def test_a_store_that_refuses_to_copy_is_told(repository: Repository) -> None:
    missing = Version(SEGMENTS[0], "no-such-version", 0.0, False, size=1)
    with pytest.raises(RefusedError, match="refuses to bring objects back"):
        s3.take(s3.Store.of(repository.params()), [Step("copy", SEGMENTS[0], missing)])


def test_nothing_is_planned_for_a_whole_repository(repository: Repository) -> None:
    found = s3.objects(s3.Store.of(repository.params()))
    assert object_versions.damages(found, 30) == []
    assert repository.act()["changed"] is False
