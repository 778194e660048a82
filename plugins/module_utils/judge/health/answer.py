# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an HTTP answer says of the service behind it. Pure: one function for each profile of an answer."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Finding, Status

Profile = t.Callable[["Answer"], Finding]


@dataclass(frozen=True)
class Answer:
    code: int
    body: bytes
    seconds: float


def of_code(answer: Answer) -> Finding:
    """Whatever answers with 2xx or 3xx is well."""
    status = Status.PASS if 200 <= answer.code < 400 else Status.FAIL
    return Finding(status, f"HTTP {answer.code}", "code", float(answer.code))


#: FraiseQL's words. ``degraded`` comes with HTTP 200, so a look at the code alone misses it.
FRAISEQL_HEALTH = {"healthy": Status.PASS, "degraded": Status.WARN, "unhealthy": Status.FAIL}
FRAISEQL_READINESS = {"ready": Status.PASS, "not_ready": Status.FAIL}
HEALTH_JSON = {"pass": Status.PASS, "ok": Status.PASS, "up": Status.PASS, "warn": Status.WARN,
               "fail": Status.FAIL, "error": Status.FAIL, "down": Status.FAIL}  # fmt: skip
#: Parts of FraiseQL's ``/health`` that say in ``connected`` or ``running`` whether they work.
PARTS = ("database", "secrets", "observers", "cache")


def fraiseql_health(answer: Answer) -> Finding:
    finding = _worded(answer, FRAISEQL_HEALTH)
    bad = [part for part in PARTS if _broken(_json(answer).get(part))]
    return _with(finding, f"not working: {', '.join(bad)}" if bad else "")


def fraiseql_readiness(answer: Answer) -> Finding:
    return _with(_worded(answer, FRAISEQL_READINESS), str(_json(answer).get("reason") or ""))


def health_json(answer: Answer) -> Finding:
    """application/health+json, as our own agents answer."""
    return _with(_worded(answer, HEALTH_JSON), str(_json(answer).get("output") or ""))


PROFILES: dict[str, Profile] = {
    "code": of_code,
    "fraiseql_health": fraiseql_health,
    "fraiseql_readiness": fraiseql_readiness,
    "health_json": health_json,
}


def _worded(answer: Answer, words: t.Mapping[str, Status]) -> Finding:
    word = str(_json(answer).get("status", "")).lower()
    status = words.get(word)
    if status is None:
        said = f"HTTP {answer.code}, without a status that is known: {word or 'none'}"
        return Finding(Status.UNKNOWN if of_code(answer).status is Status.PASS else Status.FAIL, said, "status")
    if of_code(answer).status is Status.FAIL:
        status = Status.FAIL
    return Finding(status, f"HTTP {answer.code}, {word}", "status")


def _with(finding: Finding, more: str) -> Finding:
    return Finding(finding.status, f"{finding.reason}; {more}", finding.measure) if more else finding


def _broken(part: t.Any) -> bool:
    return isinstance(part, dict) and (part.get("connected") is False or part.get("running") is False)


def _json(answer: Answer) -> dict[str, t.Any]:
    try:
        found = json.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
