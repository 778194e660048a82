# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's configuration: completed, and refused by the name of its key."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.filter.health_problem import health_problem
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.checks import KINDS
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.settings import parse, read
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.dependencies import Need

MEMBER = {"descriptor": "/member.json", "fenced_marker": "/fenced"}
DISK = {"kind": "filesystem", "paths": ["/"]}


def checks(**given: t.Any) -> dict[str, t.Any]:
    return {"member": MEMBER, "checks": given}


def test_little_has_to_be_said() -> None:
    settings = parse({})
    assert (settings.member, settings.tls, dict(settings.checks)) == (None, None, {})
    assert settings.order == ("/readyz", "/healthz")


def test_a_check_is_completed_by_what_its_kind_knows() -> None:
    settings = parse(checks(disk=DISK, login={"kind": "login", "user": "app", "every": 3}))
    disk, login = settings.checks["disk"], settings.checks["login"]
    assert (disk.every, disk.deadline, disk.stale_after) == (15.0, 2.0, 32.0)
    assert (login.every, login.options["sslmode"], login.options["seconds"]) == (3.0, "prefer", (0.25, 2.0))
    assert settings.needs["/readyz"] == {"postgresql": Need.HARD, "login": Need.HARD}
    assert set(settings.needs["/healthz"]) == {"postgresql", "disk", "login"}


def test_looks_that_take_all_of_their_time_do_not_grow_old_in_between() -> None:
    for every, deadline in ((1.0, 2.0), (0.25, 1.0), (15.0, 2.0)):
        check = parse(checks(disk={**DISK, "every": every, "deadline": deadline})).checks["disk"]
        # The next result is there when this one is as old as that, and a moment later.
        assert check.stale_after > max(every, deadline) + deadline


def test_what_looks_at_a_member_needs_it() -> None:
    assert parse(checks(slots={"kind": "slots"})).needs["slots"] == {"postgresql": Need.HARD}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "the configuration is no mapping"),
        ({"chekcs": {}}, "chekcs is no option"),
        ({"checks": []}, None),
        ({"checks": ["disk"]}, "checks is no mapping"),
        ({"member": {}}, "member.descriptor is missing"),
        ({"member": {**MEMBER, "poll": 1}}, "member.poll is no option"),
        ({"member": {**MEMBER, "poll_seconds": "0.1"}}, "member.poll_seconds cannot be that"),
        ({"member": {**MEMBER, "stale_after": 0.3}}, "member.stale_after is too short"),
        ({"access": {"networks": ["10.0.0.1/8"]}}, "access.networks cannot be that"),
        ({"access": {"networks": "10.0.0.0/8"}}, "access.networks cannot be that"),
        ({"tls": {"port": 0, "certificate": "c", "key": "k"}}, "tls.port cannot be that"),
        ({"tls": {"port": 1}}, "tls.certificate is missing"),
        (checks(disk={}), "checks.disk.kind is no kind of check"),
        (checks(disk="full"), "checks.disk.kind is no kind of check"),
        (checks(disk={"kind": ["filesystem"]}), "checks.disk.kind is no kind of check"),
        (checks(disk={"kind": "disc"}), "checks.disk.kind is no kind of check"),
        (checks(disk={"kind": "filesystem"}), "checks.disk.paths is missing"),
        (checks(disk={**DISK, "paths": []}), "checks.disk.paths cannot be that"),
        (checks(disk={**DISK, "free_percent": [5, 15]}), "checks.disk.free_percent cannot be that"),
        (checks(disk={**DISK, "free_percent": 15}), "checks.disk.free_percent cannot be that"),
        (checks(disk={**DISK, "every": True}), "checks.disk.every cannot be that"),
        (checks(disk={**DISK, "ready": "maybe"}), "checks.disk.ready cannot be that"),
        (checks(disk={**DISK, "needs": {"login": "hard"}}), "disk needs login, which is not there"),
        (checks(disk={**DISK, "needs": {"postgresql": "much"}}), "checks.disk.needs cannot be that"),
        (checks(postgresql=DISK), "checks.postgresql is a name that is taken"),
        (checks(**{"/readyz": DISK}), "checks./readyz is a name that is taken"),
        (checks(app={"kind": "http", "url": "ftp://app"}), "checks.app.url cannot be that"),
        (checks(app={"kind": "http", "url": "http://app", "profile": "x"}), "checks.app.profile cannot be that"),
        ({"checks": {"slots": {"kind": "slots"}}}, "checks.slots.kind looks at a member"),
        (checks(far={"kind": "vantages", "points": {}}), "checks.far: fewer vantage points than three"),
        (checks(far={"kind": "vantages", "points": {"a": {"url": "http://a", "x": 1}}}), "checks.far.points"),
        (checks(a={**DISK, "needs": {"b": "hard"}}, b={**DISK, "needs": {"a": "soft"}}), "in a circle"),
        (checks(a={**DISK, "needs": {"/readyz": "hard"}, "ready": "hard"}), "in a circle"),
    ],
)
def test_what_cannot_be_right_is_refused_by_its_key(given: t.Any, said: str | None) -> None:
    if said is None:
        parse(given)
        return
    with pytest.raises(InputError) as refused:
        parse(given)
    assert said in str(refused.value.as_result()["msg"])
    assert said in health_problem(given)


def test_a_circle_is_shown() -> None:
    given = checks(
        a={**DISK, "needs": {"b": "hard"}}, b={**DISK, "needs": {"c": "hard"}}, c={**DISK, "needs": {"a": "soft"}}
    )
    assert "a → b → c → a" in health_problem(given)


def test_secrets_are_not_repeated() -> None:
    for given in (
        {"access": {"token": 123456}},
        checks(login={"kind": "login", "user": "app", "password": 123456}),
    ):
        assert "123456" not in health_problem(given)


def test_there_is_no_problem_with_what_the_agent_takes() -> None:
    assert health_problem(checks(disk=DISK)) == ""


def test_a_file_that_is_not_there_or_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read(str(tmp_path / "none.json"))
    (tmp_path / "half.json").write_text('{"checks": ')
    with pytest.raises(InputError, match="no JSON"):
        read(str(tmp_path / "half.json"))
    (tmp_path / "whole.json").write_text(json.dumps(checks(disk=DISK)))
    assert list(read(str(tmp_path / "whole.json")).checks) == ["disk"]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_kind_takes_its_own_defaults(kind: str) -> None:
    """A default that its reader would refuse could not be written down either."""
    for name, option in KINDS[kind].options.items():
        if option.default is not None and isinstance(option.default, tuple):
            assert option.read(list(option.default)) == option.default, name
