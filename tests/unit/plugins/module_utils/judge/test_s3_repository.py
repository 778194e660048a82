# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bucket must be so that a repository in it survives, check by check."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import s3_repository, second_repository
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.object_versions import DAY, Damage
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.s3_repository import Bucket, Told
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.second_repository import Demand
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.window import parse_time

NOW = parse_time("2026-11-26 12:00:00+00")
DEMAND = Demand(retention_days=30, prefix="pgbackrest/")
NOT_TOLD = Told(known=False, words="An error occurred (NotImplemented): not by this store")
REFUSED = {"list the bucket": "AccessDenied", "read an object": "AccessDenied"}
GOOD: dict[str, t.Any] = {
    "versioning": Told("Enabled"),
    "lock": Told({"mode": "GOVERNANCE", "days": 30}),
    "encryption": Told(None),
    "samples": Told({"pgbackrest/archive/lab/archive.info": True}),
    "policy": Told(None),
    "grants": Told([{"Grantee": {"Type": "CanonicalUser", "ID": "owner"}, "Permission": "FULL_CONTROL"}]),
    "lifecycle": Told([{"ID": "old", "Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 31}}]),
    "anonymous": Told(REFUSED),
    "writer": Told({"delete versions": "AccessDenied", "set versioning": "AccessDenied"}),
    "damages": Told([]),
}
#: As recovery_window says it.
WINDOW: dict[str, t.Any] = {
    "checks": [{"name": f"repository {repo}: WAL has no gap", "verdict": "passed", "reason": ""} for repo in (1, 2)],
    "windows": [
        {"repo": 1, "backups": ["20261125-010000F", "20261125-010000F_20261126-110000I"]},
        {"repo": 2, "backups": ["20261122-020000F"]},
    ],
    "timelines": [
        {"repo": repo, "newest": 1, "last_segment": "0000000100000000000000A0", "last_time": "2026-11-26 11:59:00+00"}
        for repo in (1, 2)
    ],
}


def judged(window: t.Any = "whole", demand: Demand = DEMAND, **given: t.Any) -> dict[str, tuple[str, str]]:
    checks = s3_repository.judge(Bucket(**{**GOOD, **given}), demand, WINDOW if window == "whole" else window, NOW)
    return {check.name: (check.verdict.value, check.reason) for check in checks}


def wrong(**given: t.Any) -> dict[str, tuple[str, str]]:
    return {name: found for name, found in judged(**given).items() if found[0] != "passed"}


def rule(**given: t.Any) -> Told:
    return Told([{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, **given}])


def test_a_bucket_as_it_should_be_passes() -> None:
    assert wrong() == {}


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("versioning", "versioning"),
        ("lock", "object_lock"),
        ("policy", "policy"),
        ("grants", "acl"),
        ("lifecycle", "lifecycle"),
        ("anonymous", "anonymous_access"),
        ("writer", "writer_rights"),
        ("damages", "history"),
    ],
)
def test_what_the_store_does_not_tell_is_unknown_in_its_words(name: str, check: str) -> None:
    assert wrong(**{name: NOT_TOLD}) == {check: ("unknown", NOT_TOLD.words)}


@pytest.mark.parametrize(("value", "said"), [("Suspended", "is suspended"), (None, "was never enabled")])
def test_versioning_has_to_be_on(value: str | None, said: str) -> None:
    assert wrong(versioning=Told(value))["versioning"][0] == "failed"
    assert said in wrong(versioning=Told(value))["versioning"][1]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "no object lock"),
        ({}, "without a default retention"),
        ({"mode": "COMPLIANCE", "days": 29}, "for 29 days"),
    ],
)
def test_objects_are_locked_for_the_retention(value: t.Any, said: str) -> None:
    found = wrong(lock=Told(value))["object_lock"]
    assert (found[0], said in found[1]) == ("failed", True)


def test_encryption_is_looked_for_in_the_objects() -> None:
    clear = Told({"pgbackrest/archive/lab/archive.info": False})
    assert wrong(samples=clear)["encryption"][0] == "failed"
    assert "encryption" not in wrong(samples=clear, encryption=Told("AES256"))
    assert wrong(samples=Told({}))["encryption"] == (
        "unknown",
        "there is no object to look into; the bucket has no encryption",
    )
    assert wrong(samples=clear, encryption=NOT_TOLD)["encryption"][1].endswith(NOT_TOLD.words)


@pytest.mark.parametrize(
    ("tried", "verdict", "said"),
    [
        ({**REFUSED, "read an object": ""}, "failed", "everybody can read an object"),
        ({**REFUSED, "list the bucket": ""}, "failed", "everybody can list the bucket"),
        ({**REFUSED, "read an object": "ReadTimeoutError"}, "unknown", "ReadTimeoutError"),
        ({}, "unknown", "nothing"),
    ],
)
def test_access_without_a_key_has_to_be_refused(tried: dict[str, str], verdict: str, said: str) -> None:
    found = wrong(anonymous=Told(tried))["anonymous_access"]
    assert (found[0], said in found[1]) == (verdict, True)


def test_whoever_steals_the_clusters_key_must_not_delete_versions() -> None:
    found = wrong(writer=Told({"delete versions": "", "set versioning": "AccessDenied"}))["writer_rights"]
    assert found == ("failed", "whoever steals the cluster's key can delete versions")


EVERYBODY = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}


@pytest.mark.parametrize(
    ("statement", "verdict"),
    [
        (EVERYBODY, "failed"),
        ({**EVERYBODY, "Principal": {"AWS": ["*"]}}, "failed"),
        ({**EVERYBODY, "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}}, "unknown"),
        ({**EVERYBODY, "Effect": "Deny"}, "passed"),
        ({**EVERYBODY, "Principal": {"AWS": "arn:aws:iam::123456789012:role/backup"}}, "passed"),
    ],
)
def test_a_policy_allows_nothing_to_everybody(statement: dict[str, t.Any], verdict: str) -> None:
    assert judged(policy=Told({"Statement": [statement]}))["policy"][0] == verdict


@pytest.mark.parametrize("group", ["AllUsers", "AuthenticatedUsers"])
def test_the_access_control_list_grants_nothing_to_everybody(group: str) -> None:
    grant = {"Grantee": {"URI": f"http://acs.amazonaws.com/groups/global/{group}"}, "Permission": "READ"}
    assert wrong(grants=Told([grant]))["acl"] == ("failed", f"the access control list grants READ to {group}")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"NoncurrentVersionExpiration": {"NoncurrentDays": 29}}, "older versions after 29 days, of 30"),
        ({"NoncurrentVersionExpiration": {"NewerNoncurrentVersions": 3, "NoncurrentDays": 1}}, "after 1 days, of 30"),
        ({"Expiration": {"Days": 7}}, "deletes objects after 7 days"),
        ({"Expiration": {"Days": 400}}, "archive.info, which is written once, after 400 days"),
        ({"Expiration": {"Date": "2027-01-01"}}, "deletes everything on 2027-01-01"),
        ({"Transitions": [{"Days": 1, "StorageClass": "DEEP_ARCHIVE"}]}, "DEEP_ARCHIVE"),
        ({"Filter": {"Prefix": "pgbackrest/backup/"}, "Expiration": {"Days": 7}}, "after 7 days"),
        ({"Filter": {}, "Prefix": "pgback", "Expiration": {"Days": 7}}, "after 7 days"),
    ],
)
def test_a_rule_that_removes_too_early_fails(given: dict[str, t.Any], said: str) -> None:
    found = wrong(lifecycle=rule(**given))["lifecycle"]
    assert (found[0], said in found[1]) == ("failed", True), found


@pytest.mark.parametrize(
    "given",
    [
        {"Status": "Disabled", "Expiration": {"Days": 1}},
        {"Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 1}},
        {"Filter": {"Prefix": "pgbackrest/backup/"}, "Expiration": {"Days": 400}},
        {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}},
        {"Expiration": {"ExpiredObjectDeleteMarker": True}},
        {"Transitions": [{"Days": 1, "StorageClass": "STANDARD_IA"}]},
    ],
)
def test_a_rule_that_touches_nothing_too_early_passes(given: dict[str, t.Any]) -> None:
    assert wrong(lifecycle=rule(**given)) == {}


def test_a_rule_for_tagged_objects_is_unknown() -> None:
    given = {"And": {"Prefix": "", "Tags": [{"Key": "k", "Value": "v"}]}}
    assert wrong(lifecycle=rule(Filter=given, Expiration={"Days": 1}))["lifecycle"][0] == "unknown"


def test_no_rule_at_all_passes_and_says_what_it_costs() -> None:
    assert "only grows" in judged(lifecycle=Told(None))["lifecycle"][1]


def test_damage_fails_with_its_first_moment() -> None:
    found = [Damage("pgbackrest/b", "overwritten", NOW), Damage("pgbackrest/a", "deleted", NOW + 5)]
    assert wrong(damages=Told(found))["history"] == (
        "failed",
        "1 deleted and 1 overwritten since 2026-11-26 12:00:00+00, first pgbackrest/b",
    )


def test_without_pgbackrests_word_age_and_completeness_are_unknown() -> None:
    found = wrong(window=None)
    assert {name: verdict for name, (verdict, _reason) in found.items()} == dict.fromkeys(
        ("repository_whole", "newest_backup", "newest_wal"), "unknown"
    )


def edited(**given: t.Any) -> dict[str, t.Any]:
    return {**WINDOW, **given}


@pytest.mark.parametrize(("verdict", "reason"), [("failed", "missing: 0000000100000000000000A0"), ("unknown", "?")])
def test_a_repository_that_is_not_whole(verdict: str, reason: str) -> None:
    bad = {"name": "repository 2: WAL has no gap", "verdict": verdict, "reason": reason}
    found = wrong(window=edited(checks=[*WINDOW["checks"], bad]))
    assert found == {"repository_whole": (verdict, f"repository 2: WAL has no gap: {reason}")}


def test_a_repository_of_which_nothing_was_told_is_unknown() -> None:
    assert wrong(window=edited(checks=[]))["repository_whole"][0] == "unknown"


def test_the_newest_backup_is_not_too_old() -> None:
    demand = Demand(retention_days=30, prefix="pgbackrest/", backup_age_days=4)
    found = wrong(demand=demand)["newest_backup"]
    assert found[0] == "failed"
    assert (
        "20261122-020000F is 4.4 days old, of at most 4; repository 1 has 20261125-010000F_20261126-110000I" in found[1]
    )
    assert wrong(window=edited(windows=WINDOW["windows"][:1]))["newest_backup"][0] == "failed"


def ends(first: str, second: str | None, since: str) -> dict[str, t.Any]:
    told = [{"repo": 1, "last_segment": first, "last_time": since}]
    told += [{"repo": 2, "last_segment": second, "last_time": "2026-11-01 00:00:00+00"}] if second else []
    return edited(timelines=told)


LAST = "0000000100000000000000A0"


@pytest.mark.parametrize(
    ("first", "second", "since", "verdict"),
    [
        (LAST, LAST, "2026-11-26 11:00:00+00", "passed"),
        (LAST, "0000000100000000000000A1", "2026-11-26 11:00:00+00", "passed"),
        (LAST, "00000001000000000000009F", "2026-11-26 11:59:00+00", "passed"),
        (LAST, "00000001000000000000009F", "2026-11-26 11:54:00+00", "failed"),
        (LAST, "00000001000000000000008F", "2026-11-26 11:59:59+00", "failed"),
        ("000000020000000000000010", LAST, "2026-11-26 11:00:00+00", "failed"),
        (LAST, None, "2026-11-26 11:59:59+00", "failed"),
    ],
)
def test_wal_is_not_missing_for_long(first: str, second: str | None, since: str, verdict: str) -> None:
    assert judged(window=ends(first, second, since))["newest_wal"][0] == verdict


def test_a_first_repository_that_tells_nothing_leaves_wal_unknown() -> None:
    assert judged(window=edited(timelines=WINDOW["timelines"][1:]))["newest_wal"][0] == "unknown"


@pytest.mark.parametrize(
    ("problem", "certificate", "bucket"),
    [
        ("", "passed", "passed"),
        ("untrusted", "failed", "unknown"),
        ("unreachable", "unknown", "unknown"),
        ("missing", "passed", "failed"),
        ("refused", "passed", "unknown"),
    ],
)
def test_what_keeps_the_bucket_from_being_asked(problem: str, certificate: str, bucket: str) -> None:
    found = s3_repository.reached(problem, "words")
    assert [(one.name, one.verdict.value) for one in found] == [("certificate", certificate), ("bucket", bucket)]


def test_a_label_tells_when_the_backup_began() -> None:
    assert second_repository.label_time("20261125-010000F_20261126-110000I") == NOW - DAY / 24
