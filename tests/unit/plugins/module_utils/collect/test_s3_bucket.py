# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket's settings in the words of S3, read; what a real store says: test_s3_repository_info.py."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import s3, s3_bucket


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ({}, None),
        ({"ObjectLockEnabled": "Enabled"}, {}),
        (
            {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 40}}},
            {"mode": "GOVERNANCE", "days": 40},
        ),
        (
            {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Years": 2}}},
            {"mode": "COMPLIANCE", "days": 730},
        ),
    ],
)
def test_a_default_retention_may_be_in_days_or_years(configuration: dict[str, t.Any], expected: t.Any) -> None:
    assert s3_bucket.default_retention(configuration) == expected


def test_a_default_encryption_names_its_algorithm() -> None:
    def said(*rules: dict[str, t.Any]) -> dict[str, t.Any]:
        return {"ServerSideEncryptionConfiguration": {"Rules": list(rules)}}

    kms = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"}}
    assert s3_bucket.default_encryption(said(kms)) == "aws:kms"
    assert s3_bucket.default_encryption(said({"BucketKeyEnabled": True})) is None


def test_a_folder_in_a_bucket_ends_with_a_slash_and_begins_without() -> None:
    params: dict[str, t.Any] = dict.fromkeys(s3.argument_spec())
    for path, prefix in (("/pgbackrest", "pgbackrest/"), ("a/b/", "a/b/"), ("/", "")):
        assert s3.Store.of({**params, "path": path}).prefix == prefix
