# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a store says of a bucket's settings, and what it refuses.

What is tried with the cluster's key or without one changes nothing where it is allowed: it asks for what is so already,
or for what is not there.
"""

from __future__ import annotations

import contextlib
import json
import typing as t

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.s3 import Store, ask, code_of
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.object_versions import Version, own, within
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.s3_repository import Bucket, Told

with contextlib.suppress(ImportError):
    from botocore.exceptions import BotoCoreError, ClientError

#: How a file begins that pgBackRest, as OpenSSL, encrypted with a passphrase.
ENCRYPTED = b"Salted__"
#: Objects that are looked into.
SAMPLES = 5
#: A name that no repository has.
NOBODY = "fraiseql-resilience-audit"


def bucket_facts(store: Store, writer: Store | None, objects: Told, damages: Told | None = None) -> Bucket:
    """What the store says of the bucket's settings, and what is refused.

    :param writer: the store as the cluster asks it; None where its key is not known.
    :param objects: its objects, as :func:`objects` found them.
    :param damages: what the judge found among them; by default what keeps them from being listed.
    """
    client, name = store.client(), {"Bucket": store.bucket}
    versioning = ask(lambda: client.get_bucket_versioning(**name).get("Status"))
    lifecycle = ask(lambda: client.get_bucket_lifecycle_configuration(**name).get("Rules", []))
    return Bucket(
        versioning=versioning,
        lock=ask(lambda: default_retention(client.get_object_lock_configuration(**name)["ObjectLockConfiguration"])),
        encryption=ask(lambda: default_encryption(client.get_bucket_encryption(**name))),
        samples=samples(client, store, objects),
        policy=ask(lambda: json.loads(client.get_bucket_policy(**name)["Policy"])),
        grants=ask(lambda: client.get_bucket_acl(**name)["Grants"]),
        lifecycle=lifecycle,
        anonymous=anonymous(store.asked_by(None, None), objects),
        writer=Told(known=False, words="the cluster's key was not given (options writer_key and writer_secret)")
        if writer is None
        else rights(writer, versioning, lifecycle),
        damages=damages or objects,
    )


def default_retention(configuration: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
    """``{"mode", "days"}`` of an object lock; empty without a default, None without a lock."""
    if configuration.get("ObjectLockEnabled") != "Enabled":
        return None
    given = configuration.get("Rule", {}).get("DefaultRetention", {})
    if not given:
        return {}
    return {"mode": given.get("Mode", "?"), "days": given.get("Days", 0) or given.get("Years", 0) * 365}


def default_encryption(configuration: t.Mapping[str, t.Any]) -> str | None:
    rules = configuration["ServerSideEncryptionConfiguration"]["Rules"]
    found = [rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm") for rule in rules]
    return next((str(one) for one in found if one), None)


def samples(client: t.Any, store: Store, objects: Told) -> Told:
    """Whether a few objects, the newest of each kind, begin as an encrypted file does."""
    if not objects.known:
        return objects
    current = [
        one
        for one in objects.value.versions
        if one.latest and not one.marker and one.size >= len(ENCRYPTED) and own(store.prefix, one.key)
    ]
    by_kind: dict[tuple[str, str], Version] = {}
    for one in sorted(current, key=lambda version: version.modified):
        by_kind[within(store.prefix, one.key)[1][0], one.key.rpartition(".")[2]] = one
    keys = [one.key for one in sorted(by_kind.values(), key=lambda version: -version.modified)[:SAMPLES]]
    span = f"bytes=0-{len(ENCRYPTED) - 1}"

    def look() -> dict[str, bool]:
        answers = {key: client.get_object(Bucket=store.bucket, Key=key, Range=span) for key in keys}
        return {key: answer["Body"].read(len(ENCRYPTED)) == ENCRYPTED for key, answer in answers.items()}

    return ask(look)


def attempt(action: t.Callable[[], t.Any]) -> str:
    """The code of a refusal; empty if it was allowed."""
    try:
        action()
    except (ClientError, BotoCoreError) as error:
        return code_of(error)
    return ""


def anonymous(store: Store, objects: Told) -> Told:
    """What everybody can do: list, and read an object that is there."""
    client, bucket = store.client(), store.bucket
    tried = {"list the bucket": attempt(lambda: client.list_objects_v2(Bucket=bucket, MaxKeys=1))}
    there = [one.key for one in objects.value.versions if one.latest and not one.marker] if objects.known else []
    if there:
        tried["read an object"] = attempt(lambda: client.get_object(Bucket=bucket, Key=there[0]))
        return Told(tried)
    if not tried["list the bucket"]:
        return Told(tried)
    return Told(known=False, words=f"there is no object that reading could be tried with; {objects.words}".rstrip("; "))


def rights(store: Store, versioning: Told, lifecycle: Told) -> Told:
    """What whoever steals the cluster's key could do to what versions protect."""
    client, bucket = store.client(), store.bucket
    known = ask(lambda: client.list_objects_v2(Bucket=bucket, Prefix=store.prefix, MaxKeys=1))
    if not known.known:
        return Told(known=False, words=f"the cluster's key does not work: {known.words}")
    state = {"Status": versioning.value}
    same = {"Rules": lifecycle.value or []}
    tried = {
        "delete versions": attempt(
            lambda: client.delete_object(Bucket=bucket, Key=f"{store.prefix}{NOBODY}", VersionId="null")
        )
    }
    if versioning.value:
        tried["set versioning"] = attempt(
            lambda: client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=state)
        )
    if lifecycle.known:
        tried["set the lifecycle"] = attempt(
            lambda: client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=same)
        )
    return Told(tried)
