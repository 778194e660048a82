# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent answers: each path, method and caller, for each reading and age."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.health.answers import Access, Answer, Answers, Caller
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.settings import parse
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.member import Reading, Result
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Finding, Look, Status

PRIMARY = Reading(
    in_recovery=False,
    timeline=3,
    current_lsn="0/5000000",
    receive_lsn=None,
    replay_lsn=None,
    streaming=False,
    lag_bytes=None,
    system_identifier="7711290069494587645",
    fenced=False,
)
STANDBY = dataclasses.replace(
    PRIMARY,
    in_recovery=True,
    current_lsn=None,
    receive_lsn="0/5000000",
    replay_lsn="0/4000000",
    streaming=True,
    lag_bytes=100,
)
ALONE = dataclasses.replace(STANDBY, streaming=False, lag_bytes=None)
EVERYBODY = Caller(details=True)
NOBODY = Caller(details=False)
MEMBER = {"descriptor": "/member.json", "fenced_marker": "/fenced"}
LOGIN = {"kind": "login", "user": "app"}
DISK = {"kind": "filesystem", "paths": ["/"]}


def result(reading: Reading | None, began: float = 100.0, error: str | None = None) -> Result:
    return Result(began=began, seen_at="2026-11-23T09:00:00.000+00:00", reading=reading, error=error)


def answers(latest: Result | None, *, now: float = 100.1, looks: t.Any = None, **settings: t.Any) -> Answers:
    known = {"member": MEMBER, "service": "pg-a1", **settings}
    return Answers(parse(known), lambda: latest, (looks or {}).get, now=lambda: now)


def ask(
    latest: Result | None, path: str, *, query: str = "", method: str = "GET", caller: Caller = EVERYBODY, **more: t.Any
) -> tuple[int, dict[str, t.Any] | None, dict[str, str]]:
    return told(answers(latest, **more).respond(method, path, query, caller))


def told(answer: Answer) -> tuple[int, dict[str, t.Any] | None, dict[str, str]]:
    return answer.code, json.loads(answer.body) if answer.body else None, dict(answer.headers)


def seen(status: Status, reason: str, began: float = 99.9) -> Look:
    return Look(began, "2026-11-23T09:00:00.000+00:00", (Finding(status, reason, "seconds", 0.5, "s"),))


@pytest.mark.parametrize(
    ("reading", "path", "query", "code", "status"),
    [
        (PRIMARY, "/primary", "", 200, "pass"),
        (PRIMARY, "/readyz", "", 200, "pass"),
        (PRIMARY, "/replica", "", 503, "fail"),
        (STANDBY, "/primary", "", 503, "fail"),
        (STANDBY, "/readyz", "", 200, "pass"),
        (STANDBY, "/replica", "", 200, "pass"),
        (STANDBY, "/replica", "lag=100", 200, "pass"),
        (STANDBY, "/replica", "lag=99", 503, "fail"),
        (ALONE, "/replica", "", 200, "warn"),
        (ALONE, "/readyz", "", 200, "warn"),
        (ALONE, "/replica", "lag=999999999", 503, "fail"),  # an unknown lag is over any limit
        (ALONE, "/primary", "", 503, "fail"),
    ],
)
def test_answers_for_a_fresh_reading(reading: Reading, path: str, query: str, code: int, status: str) -> None:
    given_code, body, headers = ask(result(reading), path, query=query)
    assert body is not None
    assert (given_code, body["status"]) == (code, status)
    assert headers["Content-Type"] == "application/health+json"
    assert headers["Cache-Control"] == "no-store"
    assert body["checks"]["postgresql:age"][0]["observedValue"] == 0.1
    assert body["reading"]["timeline"] == 3
    assert body["serviceId"] == "pg-a1"


@pytest.mark.parametrize("path", ["/readyz", "/primary", "/replica"])
@pytest.mark.parametrize(
    ("latest", "reason"),
    [
        (None, "not been looked at yet"),
        (result(PRIMARY, began=99.0), "1.10 s old"),
        (result(STANDBY, began=99.0), "1.10 s old"),
        (result(None, error="the database system is starting up"), "starting up"),
        (result(dataclasses.replace(PRIMARY, fenced=True)), "fenced"),
        (result(dataclasses.replace(STANDBY, fenced=True)), "fenced"),
    ],
)
def test_what_is_not_known_or_fenced_is_never_good(latest: Result | None, reason: str, path: str) -> None:
    code, body, _headers = ask(latest, path)
    assert body is not None
    assert (code, body["status"]) == (503, "fail")
    assert reason in body["output"]


def test_liveness_looks_at_nothing_but_itself() -> None:
    broken = {"login": seen(Status.FAIL, "no session")}
    for latest in (None, result(None, error="gone"), result(PRIMARY, began=0.0)):
        assert ask(latest, "/livez", looks=broken, checks={"login": LOGIN})[0] == 200


@pytest.mark.parametrize(("reading", "code"), [(PRIMARY, 200), (STANDBY, 503)])
def test_load_balancers_get_the_code_without_a_body(reading: Reading, code: int) -> None:
    head_code, head_body, head_headers = ask(result(reading), "/primary", method="HEAD")
    assert (head_code, head_body) == (code, None)
    assert int(head_headers["Content-Length"]) > 0  # as GET would say
    options_code, options_body, options_headers = ask(result(reading), "/primary", method="OPTIONS")
    assert (options_code, options_body, options_headers["Content-Length"]) == (code, None, "0")
    assert options_headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE"])
def test_nothing_else_is_a_method(method: str) -> None:
    code, _body, headers = ask(result(PRIMARY), "/primary", method=method)
    assert (code, headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


def test_bad_requests_say_what_is_possible() -> None:
    code, body, _headers = ask(result(PRIMARY), "/nope")
    assert code == 404 and body is not None and "/replica" in body["output"]
    for lag in ("lag=", "lag=-1", "lag=1.5", "lag=16MB", "lag=٣"):
        code, body, _headers = ask(result(STANDBY), "/replica", query=lag)
        assert code == 400 and body is not None and "number of bytes" in body["output"]


# Checks, and what is needed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("login", "ready", "code", "status"),
    [
        (seen(Status.PASS, "a session"), "hard", 200, "pass"),
        (seen(Status.WARN, "slow"), "hard", 200, "warn"),
        (seen(Status.FAIL, "no session"), "hard", 503, "fail"),
        (seen(Status.FAIL, "no session"), "soft", 200, "warn"),
        (seen(Status.FAIL, "no session"), "no", 200, "pass"),
        (seen(Status.PASS, "a session", began=90.0), "hard", 503, "fail"),  # nobody has looked for ten seconds
        (None, "hard", 503, "fail"),
    ],
)
def test_readiness_is_the_sum_of_what_it_needs(login: Look | None, ready: str, code: int, status: str) -> None:
    checks = {"login": {**LOGIN, "ready": ready}, "disk": DISK}
    looks = {"login": login, "disk": seen(Status.FAIL, "full")}
    found, body, _headers = ask(result(PRIMARY), "/readyz", checks=checks, looks=looks)
    assert body is not None
    assert (found, body["status"]) == (code, status)
    assert "disk" not in body["components"]
    if status == "fail" and login is not None and login.began > 99:
        assert body["output"] == "login: no session"
        assert body["checks"]["login:seconds"][0]["output"] == "no session"


def test_a_primary_that_lets_nobody_in_is_the_primary_still() -> None:
    """To take it out of service would end the sessions that it has."""
    looks = {"login": seen(Status.FAIL, "sorry, too many clients already")}
    assert ask(result(PRIMARY), "/primary", checks={"login": LOGIN}, looks=looks)[0] == 200
    assert ask(result(PRIMARY), "/readyz", checks={"login": LOGIN}, looks=looks)[0] == 503


def test_the_whole_health_tells_own_faults_from_inherited_ones() -> None:
    checks = {"login": {**LOGIN, "needs": {"postgresql": "hard"}}, "disk": DISK, "sessions": {"kind": "sessions"}}
    looks = {"login": seen(Status.FAIL, "no session"), "disk": seen(Status.PASS, "free"), "sessions": None}
    code, body, _headers = ask(result(None, error="gone"), "/healthz", checks=checks, looks=looks)
    assert code == 503 and body is not None
    faults = {name: one["fault"] for name, one in body["components"].items()}
    assert faults == {"postgresql": "own", "login": "inherited", "disk": "none", "sessions": "inherited"}
    assert body["components"]["login"]["causes"] == ["postgresql"]
    assert body["output"] == "postgresql: unknown: gone"
    assert body["components"]["sessions"]["status"] == "unknown"


def test_entries_are_those_of_the_draft() -> None:
    looks = {"disk": Look(99.9, "2026-11-23T09:00:00Z", (Finding(Status.UNKNOWN, "dark", "free", None, "%", "/data"),))}
    _code, body, _headers = ask(result(PRIMARY), "/healthz", checks={"disk": DISK}, looks=looks)
    assert body is not None
    assert body["checks"]["disk:free"] == [
        {
            "componentType": "system",
            "componentId": "/data",
            "status": "fail",
            "output": "dark",
            "time": "2026-11-23T09:00:00Z",
        }
    ]
    assert body["status"] == "fail"  # unknown is not pass


def test_what_was_found_too_long_ago_is_not_told_as_if_it_were_so() -> None:
    looks = {"disk": seen(Status.PASS, "free", began=60.0)}
    agent = answers(result(PRIMARY), checks={"disk": DISK}, looks=looks)
    _code, body, _headers = told(agent.respond("GET", "/healthz", "", EVERYBODY))
    assert body is not None
    assert "disk:seconds" not in body["checks"]
    assert body["components"]["disk"]["own"] == "unknown"
    assert agent.fresh("disk") is None


def test_a_host_without_a_member_has_no_role() -> None:
    looks = {"disk": seen(Status.PASS, "free")}
    for path, code in (("/primary", 404), ("/replica", 404), ("/readyz", 200), ("/healthz", 200), ("/startupz", 200)):
        assert ask(None, path, member=None, checks={"disk": DISK}, looks=looks)[0] == code, path


def test_a_start_ends_once_and_for_all() -> None:
    looks: dict[str, Look] = {}
    state: dict[str, t.Any] = {"now": 100.1, "latest": None}
    agent = Answers(
        parse({"member": MEMBER, "checks": {"disk": DISK}}),
        lambda: state["latest"],
        looks.get,
        now=lambda: state["now"],
    )

    def started() -> tuple[int, str]:
        state["now"] += 1
        code, body, _headers = told(agent.respond("GET", "/startupz", "", EVERYBODY))
        assert body is not None
        return code, body["output"]

    assert started() == (503, "not seen yet: disk, postgresql")
    looks["disk"] = seen(Status.FAIL, "full")
    state["latest"] = result(None, error="the database system is starting up")
    assert started() == (503, "not seen yet: postgresql")
    state["latest"] = result(PRIMARY)
    assert started() == (200, "started")
    state["latest"] = result(None, error="gone")
    assert started() == (200, "started")


def test_many_who_ask_at_once_cost_as_one_and_nobody_is_told_what_is_old() -> None:
    state: dict[str, t.Any] = {"now": 100.101, "asked": 0}

    def latest() -> Result:
        state["asked"] += 1
        return result(PRIMARY)

    agent = Answers(parse({"member": MEMBER}), latest, {}.get, now=lambda: state["now"])
    first = agent.respond("GET", "/primary", "", EVERYBODY)
    cost = state["asked"]
    assert agent.respond("GET", "/primary", "", EVERYBODY) == first
    assert state["asked"] == cost
    assert agent.respond("GET", "/primary", "", NOBODY) != first
    state["now"] = 100.111
    assert agent.respond("GET", "/primary", "", EVERYBODY) != first


@pytest.mark.parametrize("path", ["/primary", "/replica", "/readyz", "/healthz"])
def test_an_answer_is_of_one_reading_although_the_watcher_goes_on(path: str) -> None:
    """A standby that is promoted while it is asked is not a standby that leads."""
    looks = iter([result(ALONE), *[result(PRIMARY)] * 10])
    agent = Answers(parse({"member": MEMBER}), lambda: next(looks), {}.get, now=lambda: 100.1)
    _code, body, _headers = told(agent.respond("GET", path, "", EVERYBODY))
    assert body is not None
    assert body["reading"]["in_recovery"] is True


# Who is told what ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/startupz", "/primary", "/replica", "/healthz"])
def test_others_are_told_a_status_alone(path: str) -> None:
    code, body, _headers = ask(result(PRIMARY), path, caller=NOBODY)
    assert body is not None
    assert set(body) <= {"status", "time"}
    assert code == ask(result(PRIMARY), path)[0]


def test_metrics_are_for_those_who_may_see_details() -> None:
    agent = answers(result(PRIMARY))
    agent.metrics = lambda: b"resilience_health_status 1\n"
    assert agent.respond("GET", "/metrics", "", NOBODY).code == 403
    answer = agent.respond("GET", "/metrics", "", EVERYBODY)
    assert (answer.code, answer.body) == (200, b"resilience_health_status 1\n")
    assert dict(answer.headers)["Content-Type"].startswith("text/plain; version=0.0.4")


def test_a_wrong_token_is_told_so_but_takes_nobody_out_of_service() -> None:
    wrong = Caller(details=False, refused=True)
    for path in ("/healthz", "/metrics"):
        code, _body, headers = ask(result(PRIMARY), path, caller=wrong)
        assert (code, headers["WWW-Authenticate"]) == (401, "Bearer")
    assert ask(result(PRIMARY), "/primary", caller=wrong)[:2] == (200, {"status": "pass"})


@pytest.mark.parametrize(
    ("address", "authorization", "details", "refused"),
    [
        ("10.1.2.3", b"", True, False),
        ("::ffff:10.1.2.3", b"", True, False),  # as a socket for both kinds of addresses tells it
        ("fd00::1", b"", True, False),
        ("fe80::1%eth0", b"", False, False),
        ("192.0.2.1", b"", False, False),
        ("192.0.2.1", b"Bearer s3cret", True, False),
        ("192.0.2.1", b"Bearer wrong", False, True),
        ("192.0.2.1", b"Basic s3cret", False, True),
        ("10.1.2.3", b"Bearer wrong", False, True),
        ("", b"", False, False),
    ],
)
def test_details_are_for_the_token_and_for_those_who_are_near(
    address: str, authorization: bytes, details: bool, refused: bool
) -> None:
    networks = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]
    assert Access(networks, "s3cret").caller(address, authorization) == Caller(details, refused)


def test_without_a_token_nobody_is_refused_for_one() -> None:
    assert Access([], "").caller("10.1.2.3", b"Bearer anything") == Caller(details=False)
