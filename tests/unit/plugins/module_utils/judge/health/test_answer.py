# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an HTTP answer says, and what a scraper sees."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.answer import PROFILES, Answer


def judged(profile: str, code: int, body: t.Any) -> tuple[str, str]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    finding = PROFILES[profile](Answer(code, raw, 0.01))
    return finding.status.value, finding.reason


@pytest.mark.parametrize(
    ("code", "status"), [(200, "pass"), (204, "pass"), (302, "pass"), (404, "fail"), (503, "fail")]
)
def test_a_code_alone(code: int, status: str) -> None:
    assert judged("code", code, b"")[0] == status


@pytest.mark.parametrize(
    ("code", "body", "status", "said"),
    [
        (200, {"status": "healthy", "database": {"connected": True}}, "pass", "healthy"),
        # HTTP 200, and not well: a look at the code alone misses it.
        (200, {"status": "degraded", "secrets": {"connected": False}}, "warn", "degraded; not working: secrets"),
        (200, {"status": "Degraded", "observers": {"running": False}}, "warn", "not working: observers"),
        (503, {"status": "unhealthy", "database": {"connected": False}}, "fail", "not working: database"),
        (503, {"status": "healthy"}, "fail", "HTTP 503"),
        (200, {"status": "splendid"}, "unknown", "splendid"),
        (200, b"<html>", "unknown", "without a status"),
        (200, [], "unknown", "without a status"),
        (502, b"Bad Gateway", "fail", "HTTP 502"),
    ],
)
def test_fraiseqls_health(code: int, body: t.Any, status: str, said: str) -> None:
    found = judged("fraiseql_health", code, body)
    assert found[0] == status and said in found[1]


@pytest.mark.parametrize(
    ("code", "body", "status", "said"),
    [
        (200, {"status": "ready"}, "pass", "ready"),
        (503, {"status": "not_ready", "reason": "database unreachable"}, "fail", "not_ready; database unreachable"),
        (200, {"status": "healthy"}, "unknown", "healthy"),
    ],
)
def test_fraiseqls_readiness(code: int, body: t.Any, status: str, said: str) -> None:
    found = judged("fraiseql_readiness", code, body)
    assert found[0] == status and said in found[1]


@pytest.mark.parametrize(
    ("code", "word", "status"),
    [(200, "pass", "pass"), (200, "UP", "pass"), (200, "warn", "warn"), (503, "fail", "fail"), (200, "", "unknown")],
)
def test_health_json(code: int, word: str, status: str) -> None:
    assert judged("health_json", code, {"status": word, "output": "why"}) == (
        status,
        f"HTTP {code}, {word.lower()}; why" if word else "HTTP 200, without a status that is known: none; why",
    )
