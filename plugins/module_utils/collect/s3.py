# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket that holds a repository, and every version of its objects.

Needs boto3, whose absence :data:`MISSING` tells. The certificate of the store is always verified.
"""

from __future__ import annotations

import traceback
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.object_versions import Objects, Step, Version
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.s3_repository import Told

MISSING: str | None = None
try:
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, SSLError
except ImportError:
    MISSING = traceback.format_exc()

#: What a store says where there is no such thing, which is an answer.
ABSENT = (
    "NoSuchBucketPolicy",
    "NoSuchLifecycleConfiguration",
    "ObjectLockConfigurationNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
)
#: Metadata of a copy, which names the version that it was made from.
ORIGIN = "resilience-restored-from"
#: Above this, a store copies in parts.
LARGEST_COPY = 5 * 2**30


@dataclass(frozen=True)
class Store:
    """Where the store is, and who asks. ``prefix``: the repository's folder in the bucket, with a slash at the end."""

    endpoint: str
    port: int
    region: str
    bucket: str
    prefix: str
    uri_style: str
    ca_file: str | None
    key: str | None
    secret: str | None
    timeout: float = 30.0

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> Store:
        """The store of a module's options."""
        path = params["path"].strip("/")
        return cls(
            endpoint=params["endpoint"],
            port=params["port"],
            region=params["region"],
            bucket=params["bucket"],
            prefix=f"{path}/" if path else "",
            uri_style=params["uri_style"],
            ca_file=params["ca_file"] or None,
            key=params["access_key"],
            secret=params["secret_key"],
            timeout=params["timeout"],
        )

    def client(self, workers: int = 10) -> t.Any:
        """A client of boto3, which does not connect yet."""
        anonymous = {"signature_version": UNSIGNED} if self.key is None else {}
        config = Config(
            s3={"addressing_style": "path" if self.uri_style == "path" else "virtual"},
            retries={"max_attempts": 2, "mode": "standard"},
            connect_timeout=min(10.0, self.timeout),
            read_timeout=self.timeout,
            max_pool_connections=workers,
            **anonymous,
        )
        try:
            return boto3.client(
                "s3",
                endpoint_url=f"https://{self.endpoint}:{self.port}",
                region_name=self.region,
                aws_access_key_id=self.key,
                aws_secret_access_key=self.secret,
                verify=self.ca_file or True,
                config=config,
            )
        except (BotoCoreError, ValueError) as error:
            raise InputError(f"no store can be reached like this: {error}", given=self.endpoint) from error

    def asked_by(self, key: str | None, secret: str | None) -> Store:
        return replace(self, key=key, secret=secret)


def code_of(error: Exception) -> str:
    """What the store calls an error; the kind of error where no store answered."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "unknown"))
    return type(error).__name__


def reach(store: Store) -> tuple[str, str]:
    """Why the bucket cannot be asked, and the words for it; both empty if it can."""
    try:
        store.client().list_objects_v2(Bucket=store.bucket, Prefix=store.prefix, MaxKeys=1)
    except SSLError as error:
        return "untrusted", str(error)
    except ClientError as error:
        return ("missing" if code_of(error) in ("NoSuchBucket", "404") else "refused"), str(error)
    except (BotoCoreError, OSError) as error:
        return "unreachable", str(error)
    return "", ""


def demand_reached(store: Store) -> None:
    """:raises UnknownError: the bucket cannot be asked."""
    problem, words = reach(store)
    if problem:
        steps = {
            "untrusted": "check the authority (ca_file) and the name in the store's certificate",
            "missing": "correct the bucket's name",
            "refused": "check the key, its secret, and what it may do",
        }
        step = steps.get(problem, "see that the object store answers")
        raise UnknownError(f"the bucket cannot be asked: {words}", given=store.bucket, next_step=step)


def demand_versioned(store: Store) -> None:
    """:raises InputError: the bucket never kept older versions, so there is nothing to bring back."""
    client = store.client()
    told = ask(lambda: client.get_bucket_versioning(Bucket=store.bucket).get("Status"))
    if told.known and told.value is None:
        raise InputError(
            "the bucket was never versioned, so what was overwritten or deleted is gone",
            given=store.bucket,
            next_step="recover from another repository, and enable versioning for the next time",
        )


def ask(question: t.Callable[[], t.Any]) -> Told:
    """One answer, or the store's words for why there is none."""
    try:
        return Told(question())
    except ClientError as error:
        if code_of(error) in ABSENT:
            return Told(None)
        return Told(known=False, words=str(error))
    except BotoCoreError as error:
        return Told(known=False, words=str(error))


def argument_spec() -> dict[str, t.Any]:
    """The options of every module that asks an object store, as doc fragment ``s3`` has them."""
    return {
        "endpoint": {"type": "str", "required": True},
        "port": {"type": "int", "default": 443},
        "region": {"type": "str", "default": "us-east-1"},
        "uri_style": {"type": "str", "choices": ["path", "host"], "default": "path"},
        "ca_file": {"type": "path"},
        "bucket": {"type": "str", "required": True},
        "path": {"type": "str", "default": "/pgbackrest"},
        "access_key": {"type": "str", "required": True, "no_log": True},
        "secret_key": {"type": "str", "required": True, "no_log": True},
        "timeout": {"type": "float", "default": 30.0},
    }


def objects(store: Store) -> Objects:
    """Every version of every object of the repository, as the store lists them: by key, newest first.

    :raises UnknownError: the store does not list them.
    """
    found: list[Version] = []
    try:
        pages = store.client().get_paginator("list_object_versions").paginate(Bucket=store.bucket, Prefix=store.prefix)
        for page in pages:
            found += [version(entry) for entry in page.get("Versions", [])]
            found += [version(entry, marker=True) for entry in page.get("DeleteMarkers", [])]
    except (ClientError, BotoCoreError) as error:
        raise UnknownError(f"the versions of the objects cannot be listed: {error}", given=store.bucket) from error
    return Objects(store.prefix, found)


def version(entry: t.Mapping[str, t.Any], *, marker: bool = False) -> Version:
    return Version(
        key=entry["Key"],
        id=entry["VersionId"],
        modified=entry["LastModified"].timestamp(),
        latest=bool(entry["IsLatest"]),
        marker=marker,
        size=entry.get("Size", 0),
        etag=entry.get("ETag", "").strip('"'),
    )


def with_origins(store: Store, found: Objects, workers: int = 8) -> Objects:
    """The same, where each current version that may be an earlier restore's copy says what it was copied from."""
    doubtful = found.doubtful()
    client = store.client(workers)

    def origin(one: Version) -> str:
        answer = client.head_object(Bucket=store.bucket, Key=one.key, VersionId=one.id)
        return str(answer.get("Metadata", {}).get(ORIGIN, ""))

    try:
        with ThreadPoolExecutor(workers) as pool:
            origins = dict(zip([one.id for one in doubtful], pool.map(origin, doubtful), strict=True))
    except (ClientError, BotoCoreError) as error:
        raise UnknownError(f"what a version was copied from cannot be read: {error}", given=store.bucket) from error
    return replace(found, origins=origins)


def take(store: Store, steps: t.Sequence[Step], workers: int = 8) -> int:
    """Take steps, several at a time. How many bytes became current again.

    :raises RefusedError: the store refuses one; others may have been taken.
    """
    client = store.client(workers)
    try:
        with ThreadPoolExecutor(workers) as pool:
            return sum(pool.map(lambda step: _take(client, store.bucket, step), steps))
    except (ClientError, BotoCoreError) as error:
        raise RefusedError(
            f"the store refuses to bring objects back: {error}",
            given=store.bucket,
            next_step="use a key that may read versions and write objects, then run this again: it goes on from here",
            changed=True,
        ) from error


def _take(client: t.Any, bucket: str, step: Step) -> int:
    if step.version is None:
        client.delete_object(Bucket=bucket, Key=step.key)
        return 0
    if step.action == "unmark" and _unmarked(client, bucket, step):
        return step.version.size
    source = {"Bucket": bucket, "Key": step.key, "VersionId": step.version.id}
    metadata = {ORIGIN: step.version.id}
    if step.version.size > LARGEST_COPY:
        client.copy(source, bucket, step.key, ExtraArgs={"Metadata": metadata, "MetadataDirective": "REPLACE"})
    else:
        client.copy_object(
            Bucket=bucket, Key=step.key, CopySource=source, Metadata=metadata, MetadataDirective="REPLACE"
        )
    return step.version.size


def _unmarked(client: t.Any, bucket: str, step: Step) -> bool:
    """Were the markers taken away? A key that may not do that can still copy."""
    for marker in step.markers:
        if not marker.marker:
            return False
        try:
            client.delete_object(Bucket=bucket, Key=step.key, VersionId=marker.id)
        except ClientError as error:
            if code_of(error) == "AccessDenied":
                return False
            raise
    return True
