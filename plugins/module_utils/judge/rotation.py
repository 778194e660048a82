# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The change from one key of the repositories to the next, judged by what can be restored. Pure.

    earlier key   |==== window ==========================|
    new key                        |full| |==== window ==========>
                                          |<- both ----->|          no point in time is in neither

Facts are what module recovery_window says: C(windows), each with repo, timeline, LSNs and times, and C(checks).
"""

from __future__ import annotations

import typing as t

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import lsn_number
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.generations import place
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.window import parse_time, utc

Facts = t.Mapping[str, t.Any]
DAY = 86400.0


def without_backup(looked: Facts, repos: t.Iterable[int]) -> list[int]:
    """Repositories in which a full backup has to be taken: they hold none from which all WAL since can be reached."""
    return [repo for repo in repos if not _open(looked, repo)]


def handover(looked: Facts, earlier: t.Sequence[int], new: t.Sequence[int]) -> list[Check]:
    """Can each point in time be restored, from before the change to now? One pair of checks for each place."""
    checks = []
    for repo in new:
        before = [one for one in earlier if place(one) == place(repo)]
        checks.append(_restorable(looked, repo))
        checks += [_meets(looked, old, repo) for old in before]
    return checks


def retirable(
    looked: Facts, earlier: t.Sequence[int], serving: t.Sequence[int], now: float, days: float
) -> list[Check]:
    """Does the serving key alone reach as far back as is promised, so that an earlier one is of no use any more?

    :param now: seconds since 1970.
    """
    if not earlier:
        return [Check("the earlier key has repositories", Verdict.FAILED, "no such generation is configured")]
    checks = []
    for repo in serving:
        name = f"repository {repo}: it reaches {days:g} days back"
        begins = [parse_time(one["from_time"]) for one in _open(looked, repo)]
        if not begins:
            checks.append(_unseen(looked, repo, name))
            continue
        due = min(begins) + days * DAY
        well = due <= now
        said = f"its window begins at {utc(min(begins))}" + ("" if well else f"; that is enough from {utc(due)} on")
        checks.append(Check(name, Verdict.PASSED if well else Verdict.FAILED, said))
    return checks


def _open(looked: Facts, repo: int) -> list[Facts]:
    """Windows on the newest timeline that reach to the end of the repository's WAL, oldest first."""
    newest = {one["repo"]: one["newest"] for one in looked["timelines"]}.get(repo)
    found = [
        one for one in looked["windows"] if one["repo"] == repo and one["timeline"] == newest and not one["ends_in_gap"]
    ]
    return sorted(found, key=lambda one: lsn_number(one["from_lsn"]))


def _restorable(looked: Facts, repo: int) -> Check:
    name = f"repository {repo}: all since its first backup can be restored"
    found = _open(looked, repo)
    if not found:
        return _unseen(looked, repo, name)
    return Check(name, Verdict.PASSED, f"{found[0]['from_lsn']} to {found[-1]['to_lsn']}")


def _meets(looked: Facts, earlier: int, repo: int) -> Check:
    """The earlier key's window reaches into the new one's, on the same timeline."""
    name = f"repositories {earlier} and {repo}: no point in time is in neither"
    old = [one for one in looked["windows"] if one["repo"] == earlier]
    if not old:
        return _unseen(looked, earlier, name)
    for new in _open(looked, repo):
        for one in old:
            if one["timeline"] == new["timeline"] and lsn_number(one["to_lsn"]) >= lsn_number(new["from_lsn"]):
                return Check(name, Verdict.PASSED, f"both hold {new['from_lsn']} to {one['to_lsn']}")
    ends = max(old, key=lambda one: lsn_number(one["to_lsn"]))
    begins = ", ".join(one["from_lsn"] for one in _open(looked, repo)) or "nowhere"
    said = f"the earlier one ends at {ends['to_lsn']} (timeline {ends['timeline']}), the new one begins at {begins}"
    return Check(name, Verdict.FAILED, said)


def _unseen(looked: Facts, repo: int, name: str) -> Check:
    """It holds nothing, or nobody could look."""
    reasons = [
        f"{one['name']}: {one['reason']}"
        for one in looked["checks"]
        if one["name"].startswith(f"repository {repo}:") and one["verdict"] != "passed"
    ]
    unread = any(
        one["name"] == f"repository {repo}: it can be read" and one["verdict"] == "unknown" for one in looked["checks"]
    )
    verdict = Verdict.UNKNOWN if unread else Verdict.FAILED
    return Check(name, verdict, "; ".join(reasons) or "it holds no window")
