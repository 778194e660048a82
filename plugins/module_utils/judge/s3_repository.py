# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Would a repository in an object store survive whoever steals its key? Pure.

What the store does not implement, or does not tell, is unknown in its own words.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.object_versions import Damage
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.second_repository import Demand, compared
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.window import utc

#: Groups of S3 that are not somebody.
EVERYBODY = ("AllUsers", "AuthenticatedUsers")
#: Where objects take hours to come back from.
ARCHIVED = ("GLACIER", "DEEP_ARCHIVE")
#: Refusals that mean what they say.
REFUSED = ("AccessDenied", "403", "401", "Forbidden", "Unauthorized")

Facts = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Told:
    """One answer of the store. ``known`` is false where it gave none, and ``words`` are its own then.

    ``value`` is None where there is no such thing.
    """

    value: t.Any = None
    known: bool = True
    words: str = ""


NOT_ASKED = Told(known=False, words="it was not asked")


@dataclass(frozen=True)
class Bucket:
    """What a store told of a bucket.

    ``lock``: its default retention, ``{"mode", "days"}``, empty if there is none. ``samples``: whether each object that
    was looked into begins as pgBackRest's encryption does. ``anonymous`` and ``writer``: what was tried without a key,
    or with the cluster's, and the code of the answer; an empty code is a success.
    """

    versioning: Told = NOT_ASKED
    lock: Told = NOT_ASKED
    encryption: Told = NOT_ASKED
    samples: Told = NOT_ASKED
    policy: Told = NOT_ASKED
    grants: Told = NOT_ASKED
    lifecycle: Told = NOT_ASKED
    anonymous: Told = NOT_ASKED
    writer: Told = NOT_ASKED
    damages: Told = NOT_ASKED


def judge(bucket: Bucket, demand: Demand, window: Facts | None, now: float) -> list[Check]:
    """Every check.

    :param window: what recovery_window said of all repositories; None where pgBackRest was not asked.
    :param now: seconds since 1970.
    """
    return [
        _told("versioning", bucket.versioning, versioning),
        _told("object_lock", bucket.lock, lambda value: object_lock(value, demand.retention_days)),
        encryption(bucket),
        _told("anonymous_access", bucket.anonymous, anonymous_access),
        _told("policy", bucket.policy, policy),
        _told("acl", bucket.grants, grants),
        _told("writer_rights", bucket.writer, writer_rights),
        _told("lifecycle", bucket.lifecycle, lambda value: lifecycle(value, demand)),
        _told("history", bucket.damages, history),
        *compared(demand, window, now),
    ]


def reached(problem: str, words: str) -> list[Check]:
    """Can the bucket be asked at all, and is who answers who it should be?

    :param problem: untrusted, unreachable, missing or refused; empty for none.
    """
    certificate = {
        "untrusted": (Verdict.FAILED, words),
        "unreachable": (Verdict.UNKNOWN, words),
    }.get(problem, (Verdict.PASSED, "signed by the authority that was given, and for this name"))
    bucket = {
        "": (Verdict.PASSED, "it answers to the key"),
        "missing": (Verdict.FAILED, words),
    }.get(problem, (Verdict.UNKNOWN, words))
    return [Check("certificate", *certificate), Check("bucket", *bucket)]


def _told(name: str, told: Told, judged: t.Callable[[t.Any], tuple[Verdict, str]]) -> Check:
    if not told.known:
        return Check(name, Verdict.UNKNOWN, told.words)
    return Check(name, *judged(told.value))


def versioning(value: str | None) -> tuple[Verdict, str]:
    if value == "Enabled":
        return Verdict.PASSED, "what is overwritten or deleted stays as an older version"
    state = f"is {value.lower()}" if value else "was never enabled"
    return Verdict.FAILED, f"versioning {state}: what is overwritten or deleted is gone"


def object_lock(value: Facts | None, retention_days: float) -> tuple[Verdict, str]:
    if value is None:
        return Verdict.FAILED, "no object lock: whoever may delete versions can delete all of them"
    if not value:
        return Verdict.FAILED, "object lock without a default retention locks nothing, as pgBackRest asks for none"
    found = f"each version is locked for {value['days']:g} days ({str(value['mode']).lower()})"
    if value["days"] < retention_days:
        return Verdict.FAILED, f"{found}, and backups are kept for {retention_days:g}"
    return Verdict.PASSED, found


def encryption(bucket: Bucket) -> Check:
    """Is the content unreadable without a key? pgBackRest's own encryption is looked for in the objects themselves."""
    store = f"the store encrypts with {bucket.encryption.value}" if bucket.encryption.value else ""
    if bucket.samples.known and bucket.samples.value:
        clear = sorted(key for key, encrypted in bucket.samples.value.items() if not encrypted)
        if not clear:
            looked = f"{len(bucket.samples.value)} objects are encrypted by pgBackRest"
            return Check("encryption", Verdict.PASSED, "; ".join(filter(None, [looked, store])))
        if store:
            return Check("encryption", Verdict.PASSED, f"{store}; pgBackRest does not: {clear[0]}")
        words = "the bucket has no encryption" if bucket.encryption.known else bucket.encryption.words
        return Check("encryption", Verdict.FAILED, f"{clear[0]} is not encrypted by pgBackRest; {words}")
    if store:
        return Check("encryption", Verdict.PASSED, store)
    told = [bucket.samples.words or "there is no object to look into"]
    told.append(bucket.encryption.words or "the bucket has no encryption")
    return Check("encryption", Verdict.UNKNOWN, "; ".join(dict.fromkeys(told)))


def anonymous_access(tried: t.Mapping[str, str]) -> tuple[Verdict, str]:
    """Was each thing refused that was tried without a key?"""
    return _refused(tried, "without a key", "everybody can")


def writer_rights(tried: t.Mapping[str, str]) -> tuple[Verdict, str]:
    """Was each thing refused that whoever steals the cluster's key would try?"""
    return _refused(tried, "with the cluster's key", "whoever steals the cluster's key can")


def _refused(tried: t.Mapping[str, str], how: str, what: str) -> tuple[Verdict, str]:
    allowed = [action for action, code in tried.items() if not code]
    if allowed:
        return Verdict.FAILED, f"{what} {' and '.join(allowed)}"
    other = [f"{action}: {code}" for action, code in tried.items() if code not in REFUSED]
    if other or not tried:
        return Verdict.UNKNOWN, f"tried {how}, and neither allowed nor refused: {'; '.join(other) or 'nothing'}"
    return Verdict.PASSED, f"refused {how}: {', '.join(tried)}"


def policy(value: Facts | None) -> tuple[Verdict, str]:
    """Does the bucket's policy allow something to everybody?"""
    allowed = [one for one in (value or {}).get("Statement", []) if one.get("Effect") == "Allow" and _anybody(one)]
    bare = [one for one in allowed if not one.get("Condition")]
    if bare:
        return Verdict.FAILED, f"the bucket's policy allows everybody {_actions(bare[0])}"
    if allowed:
        said = f"the bucket's policy allows everybody {_actions(allowed[0])}, under conditions that are not judged here"
        return Verdict.UNKNOWN, said
    return Verdict.PASSED, "the bucket's policy allows nothing to everybody" if value else "there is no policy"


def _anybody(statement: Facts) -> bool:
    principal = statement.get("Principal")
    if isinstance(principal, t.Mapping):
        values = [one for given in principal.values() for one in (given if isinstance(given, list) else [given])]
        return "*" in values
    return principal == "*" or "NotPrincipal" in statement


def _actions(statement: Facts) -> str:
    given = statement.get("Action", statement.get("NotAction", "?"))
    return ", ".join(given) if isinstance(given, list) else str(given)


def grants(value: t.Sequence[Facts]) -> tuple[Verdict, str]:
    """Does the access control list grant something to a group of S3?"""
    open_to = [one for one in value if str(one.get("Grantee", {}).get("URI", "")).rpartition("/")[2] in EVERYBODY]
    if open_to:
        said = [f"{one['Permission']} to {one['Grantee']['URI'].rpartition('/')[2]}" for one in open_to]
        return Verdict.FAILED, f"the access control list grants {', '.join(said)}"
    return Verdict.PASSED, "the access control list grants nothing to everybody"


def lifecycle(rules: t.Sequence[Facts] | None, demand: Demand) -> tuple[Verdict, str]:
    """Does a rule remove what the retention promises, or what pgBackRest writes once and needs for ever?"""
    wrong: list[str] = []
    doubtful: list[str] = []
    for rule in rules or []:
        filtered = _filter(rule)
        if rule.get("Status") != "Enabled" or not _touches(str(filtered.get("Prefix") or ""), demand.prefix):
            continue
        reasons = _too_early(rule, demand, str(filtered.get("Prefix") or ""))
        (doubtful if filtered.get("tagged") else wrong).extend(f"rule {rule.get('ID', '?')} {why}" for why in reasons)
    if wrong:
        return Verdict.FAILED, "; ".join(wrong)
    if doubtful:
        return Verdict.UNKNOWN, f"for objects with a tag only: {'; '.join(doubtful)}"
    if not any("NoncurrentVersionExpiration" in rule for rule in rules or []):
        return (
            Verdict.PASSED,
            "no rule removes anything too early; none removes older versions, so the bucket only grows",
        )
    return Verdict.PASSED, f"no rule removes anything before {demand.retention_days:g} days"


def _filter(rule: Facts) -> dict[str, t.Any]:
    """A rule's prefix, and whether it wants a tag; rules from before filters have their prefix at the top."""
    given = rule.get("Filter") or {}
    inner = {**given, **(given.get("And") or {})}
    return {"Prefix": inner.get("Prefix", rule.get("Prefix")), "tagged": bool(inner.get("Tag") or inner.get("Tags"))}


def _touches(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _too_early(rule: Facts, demand: Demand, prefix: str) -> list[str]:
    found = []
    limit = demand.retention_days
    expiration, noncurrent = rule.get("Expiration") or {}, rule.get("NoncurrentVersionExpiration") or {}
    days = expiration.get("Days")
    if expiration.get("Date") is not None:
        found.append(f"deletes everything on {expiration['Date']}")
    elif days is not None and days < limit:
        found.append(f"deletes objects after {days} days, and backups are kept for {limit:g}")
    elif days is not None and _touches(prefix, f"{demand.prefix}archive/"):
        found.append(f"deletes archive.info, which is written once, after {days} days")
    if noncurrent and noncurrent.get("NoncurrentDays", 0) < limit:
        found.append(f"removes older versions after {noncurrent.get('NoncurrentDays', 0)} days, of {limit:g}")
    moved = [*(rule.get("Transitions") or []), *(rule.get("NoncurrentVersionTransitions") or [])]
    slow = sorted({str(one.get("StorageClass")) for one in moved} & set(ARCHIVED))
    if slow:
        found.append(f"moves objects to {', '.join(slow)}, from where they come back in hours")
    return found


def history(found: t.Sequence[Damage]) -> tuple[Verdict, str]:
    """Was anything destroyed that pgBackRest would have kept?"""
    if not found:
        return Verdict.PASSED, "nothing is deleted or overwritten that pgBackRest would have kept"
    counts = [f"{sum(one.what == what for one in found)} {what}" for what in ("deleted", "overwritten")]
    return Verdict.FAILED, f"{' and '.join(counts)} since {utc(found[0].at)}, first {found[0].key}"
