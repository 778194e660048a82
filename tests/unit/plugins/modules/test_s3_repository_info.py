# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module s3_repository_info against a real store: each check is shown a fault of its own, and has to find it."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from datetime import datetime, timezone
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.modules import s3_repository_info

NOW = datetime(2026, 11, 26, 12, tzinfo=timezone.utc).timestamp()
SALTED = b"Salted__12345678and what pgBackRest encrypted"
KEYS = ["archive/lab/archive.info", "backup/lab/backup.info", "backup/lab/20261126-000000F/backup.manifest"]
WINDOW = {
    "checks": [{"name": "repository 2: WAL has no gap", "verdict": "passed", "reason": ""}],
    "windows": [{"repo": repo, "backups": ["20261126-000000F"]} for repo in (1, 2)],
    "timelines": [
        {"repo": repo, "last_segment": "0" * 23 + "1", "last_time": "2026-11-26 11:59:00+00"} for repo in (1, 2)
    ],
}


def filled(store: t.Any, **given: t.Any) -> str:
    """A bucket with a small repository, written with the cluster's key."""
    bucket = store.bucket(**given)
    for key in KEYS:
        store.cluster.put_object(Bucket=bucket, Key=f"pgbackrest/{key}", Body=SALTED)
    # The catalogue of backups, in the clear on purpose.
    store.cluster.put_object(Bucket=bucket, Key="pgbackrest/resilience/lab/catalogue.jsonl", Body=b'{"label": "one"}')
    return t.cast(str, bucket)


@pytest.fixture
def bucket(object_store: t.Any) -> str:
    return filled(object_store)


def act(store: t.Any, bucket: str, **given: t.Any) -> dict[str, t.Any]:
    params = {name: option.get("default") for name, option in s3_repository_info.argument_spec().items()}
    writer = dict(zip(("writer_key", "writer_secret"), store.keys("key", "key_secret"), strict=True))
    options = {**params, **store.options(bucket), **writer, "retention_days": 30, "window": WINDOW}
    return s3_repository_info.act({**options, **given}, NOW)


def wrong(answer: dict[str, t.Any]) -> dict[str, tuple[str, str]]:
    checks = answer["checks"]
    return {one["name"]: (one["verdict"], one["reason"]) for one in checks if one["verdict"] != "passed"}


def test_a_bucket_as_the_lab_has_it_passes(object_store: t.Any, bucket: str) -> None:
    answer = act(object_store, bucket)
    assert wrong(answer) == {}
    assert (answer["verdict"], answer["changed"], answer["damaged"], answer["damaged_since"]) == (
        "passed",
        False,
        0,
        None,
    )


def test_a_bucket_without_versioning_and_lock(object_store: t.Any) -> None:
    found = wrong(act(object_store, filled(object_store, lock_days=None)))
    assert {name: verdict for name, (verdict, _reason) in found.items()} == dict.fromkeys(
        ("versioning", "object_lock"), "failed"
    )


def test_versioning_that_is_suspended(object_store: t.Any) -> None:
    bucket = object_store.bucket(lock_days=None)
    for status in ("Enabled", "Suspended"):
        object_store.client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
    assert "is suspended" in wrong(act(object_store, bucket))["versioning"][1]


def test_a_lock_without_a_default_and_one_that_is_too_short(object_store: t.Any) -> None:
    assert "without a default" in wrong(act(object_store, filled(object_store, lock_days=0)))["object_lock"][1]
    assert "for 7 days" in wrong(act(object_store, filled(object_store, lock_days=7)))["object_lock"][1]


def test_a_policy_that_lets_everybody_read(object_store: t.Any, bucket: str) -> None:
    statement = {
        "Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    object_store.client().put_bucket_policy(Bucket=bucket, Policy=policy)
    found = wrong(act(object_store, bucket))
    assert found["anonymous_access"] == ("failed", "everybody can list the bucket and read an object")
    assert found["policy"] == ("failed", "the bucket's policy allows everybody s3:GetObject, s3:ListBucket")


def test_a_rule_that_removes_older_versions_too_early(object_store: t.Any, bucket: str) -> None:
    rule = {
        "ID": "thrift", "Status": "Enabled", "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 3},
    }  # fmt: skip
    object_store.client().put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    found = wrong(act(object_store, bucket))
    assert found["lifecycle"] == ("failed", "rule thrift removes older versions after 3 days, of 30")


def test_a_key_of_the_cluster_that_may_destroy_versions(object_store: t.Any, bucket: str) -> None:
    owner = object_store.options(bucket)
    given = {"writer_key": owner["access_key"], "writer_secret": owner["secret_key"]}
    assert wrong(act(object_store, bucket, **given))["writer_rights"] == (
        "failed",
        "whoever steals the cluster's key can delete versions and set versioning and set the lifecycle",
    )
    assert wrong(act(object_store, bucket)) == {}, "what was tried changed nothing"


def test_a_key_of_the_cluster_that_is_not_known_or_does_not_work(object_store: t.Any, bucket: str) -> None:
    missing = wrong(act(object_store, bucket, writer_key=None, writer_secret=None))["writer_rights"]
    assert missing[0] == "unknown"
    bad = wrong(act(object_store, bucket, writer_secret="another"))["writer_rights"]
    assert (bad[0], "SignatureDoesNotMatch" in bad[1]) == ("unknown", True)


def test_objects_in_the_clear(object_store: t.Any, bucket: str) -> None:
    object_store.cluster.put_object(Bucket=bucket, Key="pgbackrest/backup/lab/backup.info.copy", Body=b"[backrest]")
    assert wrong(act(object_store, bucket))["encryption"][0] == "failed"


def test_deleted_and_overwritten_objects_and_since_when(object_store: t.Any, bucket: str) -> None:
    cluster = object_store.cluster
    cluster.delete_object(Bucket=bucket, Key=f"pgbackrest/{KEYS[0]}")
    cluster.put_object(Bucket=bucket, Key=f"pgbackrest/{KEYS[2]}", Body=b"Salted__ransom")
    answer = act(object_store, bucket)
    assert (answer["verdict"], answer["damaged"]) == ("failed", 2)
    assert answer["damaged_since"] in wrong(answer)["history"][1]
    assert "1 deleted and 1 overwritten" in wrong(answer)["history"][1]


def test_delete_markers_on_everything(object_store: t.Any, bucket: str) -> None:
    for key in KEYS:
        object_store.cluster.delete_object(Bucket=bucket, Key=f"pgbackrest/{key}")
    answer = act(object_store, bucket)
    assert answer["damaged"] == len(KEYS)
    assert wrong(answer)["encryption"][0] == "unknown", "nothing is left to look into"


def test_a_second_repository_that_is_stale_beside_the_first(object_store: t.Any, bucket: str) -> None:
    first, second = WINDOW["timelines"]
    ahead = {**first, "last_segment": "0" * 23 + "5", "last_time": "2026-11-26 11:30:00+00"}
    found = wrong(act(object_store, bucket, window={**WINDOW, "timelines": [ahead, second]}))
    assert found["newest_wal"][0] == "failed"


def test_a_wrong_key_leaves_everything_unknown(object_store: t.Any, bucket: str) -> None:
    answer = act(object_store, bucket, secret_key="another", window=None)
    verdicts = {name: verdict for name, (verdict, _reason) in wrong(answer).items()}
    assert answer["verdict"] == "unknown"
    assert set(verdicts.values()) == {"unknown"}
    assert "SignatureDoesNotMatch" in wrong(answer)["bucket"][1]


def test_a_bucket_that_is_not_there(object_store: t.Any) -> None:
    found = wrong(act(object_store, "nobodys-bucket"))
    assert (found["bucket"][0], "NoSuchBucket" in found["bucket"][1]) == ("failed", True)


def test_a_certificate_that_is_not_trusted(object_store: t.Any, bucket: str, tmp_path: Path) -> None:
    openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl += ["-subj", "/CN=localhost", "-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "other.crt")]
    subprocess.run(openssl, check=True, capture_output=True)
    found = wrong(act(object_store, bucket, ca_file=str(tmp_path / "other.crt")))
    assert (found["certificate"][0], "CERTIFICATE_VERIFY_FAILED" in found["certificate"][1]) == ("failed", True)
    named = wrong(act(object_store, bucket, endpoint="127.0.0.1"))
    assert named["certificate"][0] == "failed", "the certificate is for another name"


def test_a_store_that_does_not_answer(object_store: t.Any, bucket: str) -> None:
    answer = act(object_store, bucket, port=9, timeout=2.0)
    assert answer["verdict"] == "unknown"
    assert "Could not connect" in wrong(answer)["certificate"][1]


def test_a_missing_library_is_told_as_ansible_tells_it(tmp_path: Path) -> None:
    """With a Python that has Ansible and no boto3."""
    (tmp_path / "boto3.py").write_text("raise ImportError('no boto3')\n")
    arguments = {"endpoint": "e", "bucket": "b", "access_key": "k", "secret_key": "s", "retention_days": 1}
    (tmp_path / "args.json").write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    top = Path(s3_repository_info.__file__).parents[5]
    done = subprocess.run(
        [sys.executable, s3_repository_info.__file__, str(tmp_path / "args.json")],
        env={"PYTHONPATH": f"{tmp_path}:{top}", "PATH": "/usr/bin:/bin"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Failed to import the required Python library (boto3)" in json.loads(done.stdout)["msg"]
