# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module gateway_hold and module_utils/hold.py: one hold at a time, its end read with a bound."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils import hold as domain
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.modules import gateway_hold

DONE: dict[str, t.Any] = {
    "token": "T",
    "old_primary": "pg-a1",
    "state": "done",
    "outcome": "resumed_on_new_primary",
    "new_primary": "pg-a2",
    "reason": "pg-a2 is writable behind HAProxy",
    "next_step": "",
    "held_seconds": 0.4,
    "blockers": [],
    "events": [],
}


class Host:
    """The gateway host: systemd and the program, and the state file that a started unit leaves."""

    def __init__(self, state_file: Path, *, active: str = "inactive", leaves: dict[str, t.Any] | None = None) -> None:
        self.state_file = state_file
        self.active = active
        self.leaves = leaves
        self.plan: dict[str, t.Any] = {"outcome": "possible", "clients": 8, "blockers": []}
        self.ends_with: dict[str, t.Any] | None = None
        self.goes_after: int | None = None
        self.ran: list[list[str]] = []

    def run(self, argv: t.Sequence[str], *, timeout: float, **_more: t.Any) -> Completed:
        assert timeout > 0
        self.ran.append(list(argv))
        stdout = ""
        if argv[0] == "systemctl":
            stdout = f"{self.active}\n"
            if self.ends_with is not None and len(self.ran) > 1:
                self.state_file.write_text(json.dumps(self.ends_with), encoding="utf-8")
            if len(self.ran) == self.goes_after:
                self.active = "inactive"
        elif argv[0] == "systemd-run":
            assert not self.state_file.exists(), "a former hold's state would be read as this one's"
            if self.leaves is not None:
                self.state_file.write_text(json.dumps(self.leaves), encoding="utf-8")
        elif "--plan" in argv:
            stdout = json.dumps(self.plan)
        return Completed(tuple(argv), 0, stdout, "", 0.0)

    def programs(self) -> list[str]:
        return [argv[0] for argv in self.ran]


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, t.Any]:
    descriptor = tmp_path / "gateway.json"
    descriptor.write_text("{}", encoding="utf-8")
    return {
        "old_primary": "pg-a1",
        "token": "T",
        "deadline": 5.0,
        "pause_timeout": 2.0,
        "program": "/usr/local/lib/fraiseql-resilience/hold_clients.py",
        "descriptor": str(descriptor),
        "state_file": str(tmp_path / "hold.json"),
    }


@pytest.fixture
def host(arguments: dict[str, t.Any]) -> Host:
    return Host(Path(arguments["state_file"]), leaves=DONE)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"token": ""}, "token"),
        ({"token": "a b"}, "token"),
        ({"token": "$(reboot)"}, "token"),
        ({"token": "--resume"}, "token"),
        ({"token": "x" * 65}, "token"),
        ({"deadline": 0.0}, "time"),
        ({"pause_timeout": -1.0}, "time"),
        ({"descriptor": "/nowhere/gateway.json"}, "no gateway"),
    ],
)
def test_bad_input_is_named_before_anything_runs(
    arguments: dict[str, t.Any], wrong: dict[str, t.Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as error:
        domain.Request(**{**arguments, **wrong})
    assert str(next(iter(wrong.values()))).rstrip("0").rstrip(".") in str(error.value.given)


def test_a_hold_runs_as_a_unit_that_lets_go_however_it_ends(host: Host, arguments: dict[str, t.Any]) -> None:
    assert domain.hold(host.run, domain.Request(**arguments)) == DONE
    assert host.programs() == ["systemctl", "systemd-run"]
    command = host.ran[-1]
    assert f"--unit={domain.UNIT}" in command
    assert "--property=RuntimeMaxSec=12" in command
    [let_go] = [word for word in command if word.startswith("--property=ExecStopPost=")]
    assert let_go.startswith(f"--property=ExecStopPost={arguments['program']} --resume") and "--token T" in let_go


def test_a_former_state_is_not_taken_for_the_new_one(host: Host, arguments: dict[str, t.Any]) -> None:
    host.state_file.write_text(json.dumps({**DONE, "outcome": "refused"}), encoding="utf-8")
    assert domain.hold(host.run, domain.Request(**arguments))["outcome"] == "resumed_on_new_primary"


def test_the_same_hold_under_way_is_joined_and_not_begun_again(host: Host, arguments: dict[str, t.Any]) -> None:
    host.active = "active"
    host.state_file.write_text(json.dumps({**DONE, "state": "holding"}), encoding="utf-8")
    host.ends_with = DONE
    assert domain.hold(host.run, domain.Request(**arguments)) == DONE
    assert "systemd-run" not in host.programs()


def test_a_unit_that_is_about_to_end_is_waited_for(host: Host, arguments: dict[str, t.Any]) -> None:
    host.active = "deactivating"
    host.goes_after = 3
    host.state_file.write_text(json.dumps({**DONE, "token": "former", "outcome": "refused"}), encoding="utf-8")
    assert domain.hold(host.run, domain.Request(**arguments)) == DONE
    assert host.programs()[-1] == "systemd-run"


def test_another_hold_under_way_refuses(host: Host, arguments: dict[str, t.Any]) -> None:
    host.active = "active"
    host.state_file.write_text(json.dumps({**DONE, "token": "other", "state": "holding"}), encoding="utf-8")
    with pytest.raises(RefusedError, match="another hold"):
        domain.hold(host.run, domain.Request(**arguments))
    assert host.programs() == ["systemctl"]


@pytest.mark.parametrize("leaves", [None, {**DONE, "state": "holding"}, {**DONE, "token": "other"}])
def test_a_hold_that_never_tells_its_end_is_unknown(
    host: Host, arguments: dict[str, t.Any], leaves: dict[str, t.Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "WAIT_BEYOND", 0.05)
    host.leaves = leaves
    with pytest.raises(UnknownError, match="in vain"):
        domain.hold(host.run, domain.Request(**{**arguments, "deadline": 0.01, "pause_timeout": 0.01}))


def test_a_unit_that_died_is_not_waited_for(host: Host, arguments: dict[str, t.Any]) -> None:
    host.leaves = None
    with pytest.raises(UnknownError, match="without saying how") as error:
        domain.hold(host.run, domain.Request(**arguments))
    assert error.value.changed


def test_the_plan_changes_nothing(host: Host, arguments: dict[str, t.Any]) -> None:
    assert domain.plan(host.run, domain.Request(**arguments))["clients"] == 8
    host.plan = {"outcome": "refused", "reason": "pg-a1 is not a primary", "next_step": "ask cluster_info"}
    with pytest.raises(RefusedError, match="not a primary"):
        domain.plan(host.run, domain.Request(**arguments))
    assert all("--plan" in argv for argv in host.ran)


@pytest.mark.parametrize(
    ("outcome", "kind", "changed"),
    [
        ("refused", RefusedError, False),
        ("resumed_on_old_primary", RefusedError, False),
        ("deadline", UnknownError, True),
        ("killed", UnknownError, True),
    ],
)
def test_how_a_hold_failed_says_whether_anything_changed(outcome: str, kind: type, changed: bool) -> None:
    error = domain.as_error({**DONE, "outcome": outcome, "reason": "why", "next_step": "do this"})
    assert isinstance(error, kind)
    result = error.as_result()
    assert result["changed"] is changed and result["next_step"] == "do this"
    assert ("Nothing was changed." in result["msg"]) is not changed


def test_success_is_no_error_and_blockers_are_named() -> None:
    assert domain.as_error(DONE) is None
    blocker = {"user": "app", "database": "orders", "client": "198.18.3.9:4711", "application_name": "report"}
    error = domain.as_error({**DONE, "outcome": "refused", "reason": "1 transaction(s)", "blockers": [blocker]})
    assert error is not None and "app@orders from 198.18.3.9:4711 (report)" in error.message


class Ended(Exception):
    def __init__(self, failed: bool, result: dict[str, t.Any]) -> None:
        super().__init__(result)
        self.failed = failed
        self.result = result


def module_run(
    monkeypatch: pytest.MonkeyPatch, host: Host, arguments: dict[str, t.Any], *, check_mode: bool = False
) -> Ended:
    class Module:
        def __init__(self, argument_spec: dict[str, t.Any], supports_check_mode: bool) -> None:
            assert supports_check_mode and set(argument_spec) == set(arguments)
            self.params = arguments
            self.check_mode = check_mode

        def exit_json(self, **result: t.Any) -> t.NoReturn:
            raise Ended(False, result)

        def fail_json(self, **result: t.Any) -> t.NoReturn:
            raise Ended(True, result)

    monkeypatch.setattr(gateway_hold, "AnsibleModule", Module)
    monkeypatch.setattr(gateway_hold, "run", host.run)
    with pytest.raises(Ended) as ended:
        gateway_hold.main()
    return ended.value


def test_the_module_reports_a_success(monkeypatch: pytest.MonkeyPatch, host: Host, arguments: dict[str, t.Any]) -> None:
    ended = module_run(monkeypatch, host, arguments)
    assert not ended.failed and ended.result["changed"] is True
    assert (ended.result["outcome"], ended.result["new_primary"]) == ("resumed_on_new_primary", "pg-a2")


def test_a_second_run_with_the_same_token_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, host: Host, arguments: dict[str, t.Any]
) -> None:
    module_run(monkeypatch, host, arguments)
    host.ran.clear()
    ended = module_run(monkeypatch, host, arguments)
    assert not ended.failed and ended.result["changed"] is False and host.ran == []


def test_a_failed_hold_fails_the_module_and_keeps_its_record(
    monkeypatch: pytest.MonkeyPatch, host: Host, arguments: dict[str, t.Any]
) -> None:
    host.leaves = {**DONE, "outcome": "deadline", "reason": "no writable server was seen", "new_primary": None}
    ended = module_run(monkeypatch, host, arguments)
    assert ended.failed and ended.result["changed"] is True
    assert ended.result["outcome"] == "deadline" and ended.result["held_seconds"] == 0.4


def test_check_mode_starts_nothing(monkeypatch: pytest.MonkeyPatch, host: Host, arguments: dict[str, t.Any]) -> None:
    ended = module_run(monkeypatch, host, arguments, check_mode=True)
    assert not ended.failed and ended.result["changed"] is True and ended.result["outcome"] == "possible"
    assert "systemd-run" not in host.programs()


def test_the_module_refuses_bad_input_without_a_trace(
    monkeypatch: pytest.MonkeyPatch, host: Host, arguments: dict[str, t.Any]
) -> None:
    ended = module_run(monkeypatch, host, {**arguments, "token": "a b"})
    assert ended.failed and ended.result["changed"] is False and host.ran == []
    assert ended.result["error"] == "InputError"


def test_documented_defaults_are_the_real_ones() -> None:
    import yaml

    documented = yaml.safe_load(gateway_hold.DOCUMENTATION)["options"]
    assert {name: option.get("default") for name, option in documented.items()} == {
        name: option.get("default") for name, option in gateway_hold.ARGUMENTS.items()
    }
