# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the inventory to what is looked at, and from several looks to an answer."""

from __future__ import annotations

import shutil
import threading
import time
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from sample_cluster import KINDS, Lab, Standing

from ansible_collections.fraiseql.resilience.plugins.action import detection as action
from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import Deadline
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.fencing import Agent
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    CommandTimedOut,
    InputError,
    UnknownError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import detection
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue

Result = dict[str, t.Any]

GIVEN: Result = {
    "within": 0.0, "deadline": 2.0, "severity": None, "severity_reason": "", "budget_burn": None,
    "descriptor": "/observer.json",
}  # fmt: skip
GROUPS = {
    "orders": list(KINDS),
    "members": ["pg-a1", "pg-a2", "pg-b1", "pg-of-others"],
    "gateways": ["observer"],
    "observers": ["observer"],
    "repositories": ["repo-a"],
}


def inventory(**variables: Result) -> action.Inventory:
    """``variables``: those of each host, by its name with underscores; every host knows its cluster."""
    hosts = {host: {"resilience_cluster": "orders", **variables.get(host.replace("-", "_"), {})} for host in KINDS}
    return action.Inventory({"groups": GROUPS, "hostvars": hosts, "inventory_hostname": "observer"})


# The inventory --------------------------------------------------------------------------------------------------------


def test_each_host_of_the_cluster_is_looked_at_where_it_answers() -> None:
    found = inventory(
        pg_a1={"resilience_address": "198.18.1.11", "health_port": 8010, "ansible_port": 2222},
        pg_b1={"resilience_address": "fd00::1"},
    )
    assert found.kinds == KINDS
    places = found.places()
    assert places["agents"] == {
        "pg-a1": "http://198.18.1.11:8010", "pg-a2": "http://pg-a2:8008", "pg-b1": "http://[fd00::1]:8008",
        "observer": "http://observer:8008",
    }  # fmt: skip
    assert places["hosts"] == {
        "pg-a1": ["198.18.1.11", 2222], "pg-a2": ["pg-a2", 22], "pg-b1": ["fd00::1", 22], "observer": ["observer", 22],
        "repo-a": ["repo-a", 22],
    }  # fmt: skip
    assert places["alerts"] is None


def test_what_observers_are_told_of_ssh_goes_before_the_way_of_the_control_node() -> None:
    behind_nat = {"ansible_host": "203.0.113.7", "ansible_port": 10022, "resilience_address": "10.0.0.11"}
    found = inventory(
        pg_a1=behind_nat,
        pg_a2={**behind_nat, "observer_ssh_port": "2200"},
        repo_a={"observer_ssh_port": 0, "ansible_port": 2222},
        observer={"observer_ssh_port": 2022},
    ).places()["hosts"]
    assert {host: port for host, (_address, port) in found.items()} == {
        "pg-a1": 2022, "pg-a2": 2200, "pg-b1": 2022, "observer": 2022, "repo-a": 2222,
    }  # fmt: skip


def test_prometheus_is_asked_where_there_is_one() -> None:
    found = inventory(observer={"resilience_monitoring": "true", "resilience_address": "o.example"}).places()["alerts"]
    assert (found["host"], found["port"], found["cluster"]) == ("o.example", 9090, "orders")
    assert found["tls"]["cert"] == "/etc/fraiseql-resilience/tls/host.crt"


def test_groups_may_have_other_names_and_a_cluster_has_to_be_known() -> None:
    hosts = {host: {"resilience_cluster": "orders", "resilience_members_group": "dbs"} for host in KINDS}
    groups = {**GROUPS, "dbs": ["pg-a1"]}
    found = action.Inventory({"groups": groups, "hostvars": hosts, "inventory_hostname": "observer"})
    assert [host for host, kinds in found.kinds.items() if "member" in kinds] == ["pg-a1"]
    with pytest.raises(InputError, match="cluster of this host is not known"):
        action.Inventory({"groups": GROUPS, "hostvars": {"observer": {}}, "inventory_hostname": "observer"})


def test_fence_agents_are_those_of_members() -> None:
    lab = {"resilience_fence_agent": {"path": "fence_lab", "options": {"plug": "lab-pg-a1", "port": 7}}}
    found = inventory(pg_a1=lab, repo_a=lab, pg_a2={"resilience_fence_agent": None}).fence_agents()
    assert found == {"pg-a1": Agent("fence_lab", {"plug": "lab-pg-a1", "port": "7"})}


# Fence agents ---------------------------------------------------------------------------------------------------------


def told(status: dict[str, t.Any]) -> t.Any:
    """A runner of fence agents: what the status of each plug ends with, or the event after which it ends so."""

    def run(argv: t.Sequence[str], *, timeout: float, stdin: str = "", **_more: t.Any) -> Completed:
        assert "action=status" in stdin
        code = status[stdin.partition("plug=")[2].strip()]
        if isinstance(code, Exception):
            raise code
        if isinstance(code, threading.Event):
            assert code.wait(60)
            code = 0
        return Completed(tuple(argv), code, "", "", 0.0)

    return run


def agents(*plugs: str) -> dict[str, Agent]:
    return {plug: Agent("/bin/true", {"plug": plug}) for plug in plugs}


def test_who_is_gone_is_on_or_off_or_nobody_knows() -> None:
    status = {"pg-a1": 2, "pg-a2": 0, "pg-b1": 1, "pg-b2": CommandTimedOut("no answer")}
    powers = action.Powers(agents(*status), told(status))
    assert powers.of([*status, "observer"], 60.0) == {"pg-a1": False, "pg-a2": True}
    assert powers.of([], 2.0) == {} and not powers.asking()


def test_a_slow_fence_agent_is_not_waited_for_and_counts_later() -> None:
    held = threading.Event()
    powers = action.Powers(agents("pg-a1"), told({"pg-a1": held}))
    begin = time.monotonic()
    assert powers.of(["pg-a1"], 0.1) == {} and powers.asking()
    assert time.monotonic() - begin < 30
    held.set()
    assert powers.of(["pg-a1"], 60.0) == {"pg-a1": True} and not powers.asking()


def test_an_answer_that_comes_after_a_look_is_not_part_of_it() -> None:
    """Else what was judged without the answer would count as judged with it."""
    held, answered = threading.Event(), threading.Event()

    def run(argv: t.Sequence[str], **_more: t.Any) -> Completed:
        assert held.wait(60)
        answered.set()
        return Completed(tuple(argv), 0, "", "", 0.0)

    powers = action.Powers(agents("pg-a1"), run)
    assert powers.of(["pg-a1"], 0.0) == {}
    held.set()
    assert answered.wait(60)
    time.sleep(0.05)
    assert powers.asking()
    assert powers.of(["pg-a1"], 60.0) == {"pg-a1": True} and not powers.asking()


def test_a_host_that_was_back_meanwhile_is_not_what_it_was_before() -> None:
    """On, when it was only slow to answer, and off, when it is lost soon after: the fence agent may need seconds."""
    early, late = threading.Event(), threading.Event()
    status: dict[str, t.Any] = {"pg-a1": 0}
    powers = action.Powers(agents("pg-a1"), told(status))
    assert powers.of(["pg-a1"], 2.0) == {"pg-a1": True}
    status["pg-a1"] = early
    assert powers.of(["pg-a1"], 0.0) == {"pg-a1": True}
    was_asked = powers._asked["pg-a1"]
    assert powers.of([], 2.0) == {}
    status["pg-a1"] = late
    assert powers.of(["pg-a1"], 0.0) == {} and powers.asking()
    early.set()
    was_asked.join(5)
    assert powers.of(["pg-a1"], 0.0) == {} and powers.asking(), "that was an answer to an earlier question"
    late.set()
    assert powers.of(["pg-a1"], 2.0) == {"pg-a1": True} and not powers.asking()


# Looks ----------------------------------------------------------------------------------------------------------------


class Looking(action.ActionModule):
    """One whose looks are told."""

    def __init__(self, *looks: Lab) -> None:
        self.looks = list(looks)
        self.asked: list[Result] = []

    def _execute_module(self, module_name: str, module_args: Result, task_vars: Result) -> Result:
        assert module_name == "fraiseql.resilience.detection"
        self.asked.append(module_args)
        lab = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return {"changed": False, "seen": lab.seen()}

    def watched(self, hosts: Result | None = None, **given: t.Any) -> Result:
        books, _left_out = action.runbooks(catalogue.RUNBOOKS)
        return self._watched({**GIVEN, **given}, books, inventory(**(hosts or {})), {})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "APART", 0.05)


def crashed() -> Lab:
    return Lab().stops("pg-a1", Standing.REFUSED, "Connection refused", "connection refused").primary_lost()


def test_one_look_is_enough_where_no_time_is_given() -> None:
    looking = Looking(crashed())
    found = looking.watched()
    assert len(looking.asked) == 1
    assert looking.asked[0]["deadline"] == 2.0 and looking.asked[0]["places"]["agents"]["pg-a1"] == "http://pg-a1:8008"
    assert (found["recognised"], found["verdict"], found["ranked"][0]["runbook"]) == (True, "passed", "primary_crash")
    assert (found["severity"], found["cluster"], found["blind"]) == ("sev1", "orders", False)
    assert found["ranked"][0]["signs_for"][0].startswith("postgresql at pg-a1 is unknown")


def test_it_looks_until_the_same_one_is_first_again() -> None:
    looking = Looking(Lab(), Lab().warns("pg-a1", "certificate", "ends in 20 days"), crashed())
    found = looking.watched(within=60.0)
    assert len(looking.asked) == 4
    assert found["recognised"] and found["ranked"][0]["runbook"] == "primary_crash" and found["seconds"] < 60


def test_a_fence_agent_that_may_tell_two_apart_is_heard_first(tmp_path: Path) -> None:
    """A primary that is silent is lost or hangs; which one, its fence agent knows a second later."""
    program = tmp_path / "fence_slow"
    program.write_text("#!/bin/sh\nsleep 1\nexit 0\n")
    program.chmod(0o755)
    hosts = {"pg_a1": {"resilience_fence_agent": {"path": str(program)}}}
    silent = Looking(Lab().loses("pg-a1").primary_lost())
    assert silent.watched(within=60.0)["ranked"][0]["runbook"] == "primary_host_lost"
    found = silent.watched(hosts, within=60.0, deadline=0.1)
    assert found["recognised"] and found["ranked"][0]["runbook"] == "primary_unresponsive"
    assert found["seconds"] >= 1


def test_it_ends_where_nothing_is_recognised_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1024.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(action, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    monkeypatch.setattr(detection, "APART", 0.125)
    monkeypatch.setattr(action, "Deadline", lambda seconds: Deadline(seconds, lambda: now[0]))
    looking = Looking(Lab().fails("pg-b1", "memory", "none is left"))
    found = looking.watched(within=0.3125)
    assert (found["recognised"], found["verdict"], found["ranked"]) == (False, "unknown", [])
    assert found["unexplained"] == found["wrong"] == ["memory at pg-b1 fails: none is left"]
    assert (len(looking.asked), found["seconds"]) == (4, 0.3), "at 0, 1/8 and 2/8 s, and at the end"
    assert Looking(Lab()).watched()["verdict"] == "passed"


def test_an_observer_that_cannot_look_fails_the_task() -> None:
    class Broken(Looking):
        def _execute_module(self, module_name: str, module_args: Result, task_vars: Result) -> Result:
            return {"failed": True, "msg": "no python"}

    with pytest.raises(UnknownError, match="no python"):
        Broken(Lab()).watched()


def test_a_severity_that_is_refused_takes_nothing_of_what_was_seen_with_it() -> None:
    found = Looking(crashed()).watched(severity="sev3")
    assert found["failed"] and "the facts say sev1" in found["msg"]
    assert found["ranked"][0]["runbook"] == "primary_crash" and found["severity"] == "sev1"
    lowered = Looking(crashed()).watched(severity="sev3", severity_reason="nobody uses it yet")
    assert "failed" not in lowered
    assert (lowered["severity"], lowered["severity_computed"]) == ("sev3", "sev1")
    assert Looking(Lab()).watched(severity="sev2")["severity"] == "sev2"
    assert Looking(Lab()).watched(budget_burn=20.0)["severity"] == "sev1"


@pytest.mark.parametrize("given", [{"within": -1.0, "deadline": 2.0}, {"within": 0.0, "deadline": 0.0}])
def test_a_time_that_is_none_is_refused(given: Result) -> None:
    with pytest.raises(InputError, match="no time to look"):
        action.demand_times(given)


def test_a_runbook_that_is_broken_hides_no_other(tmp_path: Path) -> None:
    for name in ("primary_crash", "data_loss", "region_lost"):
        shutil.copytree(catalogue.RUNBOOKS / name, tmp_path / name)
    (tmp_path / "data_loss" / "runbook.yml").write_text("a: [")
    (tmp_path / "region_lost" / "runbook.yml").write_text("a: 1")
    books, left_out = action.runbooks(tmp_path)
    assert [book.id for book in books] == ["primary_crash"]
    assert len(left_out) == 2 and all(one.startswith("left out: ") for one in left_out)
    shutil.rmtree(tmp_path / "primary_crash")
    with pytest.raises(InputError, match="no runbook can be read"):
        action.runbooks(tmp_path)


# The screen -----------------------------------------------------------------------------------------------------------


def test_the_screen_begins_with_the_severity_and_goes_on_to_a_runbook() -> None:
    lines = Looking(crashed()).watched()["screen"]
    assert lines[0] == "Severity sev1, computed"
    assert lines[1].startswith("  sev1: no transaction commits")
    text = "\n".join(lines)
    assert "primary_crash: The primary's PostgreSQL has ended, its host answers" in text
    assert "for: postgresql at pg-a1 is unknown" in text
    assert "    -e resilience_cluster=orders -e resilience_runbook=primary_crash" in lines
    assert any(line.startswith("Only people can notice") for line in lines) and "data_loss" in text
    assert len(lines) <= 40 and max(map(len, lines)) < 400


def test_the_screen_says_what_nobody_could_see() -> None:
    lab = Lab()
    lab.alerts_reason = "Connection refused"
    lines = Looking(lab).watched()["screen"]
    assert lines[0] == "Nothing is wrong that could be seen (unknown)"
    assert "  Prometheus could not be asked: Connection refused" in lines
    assert "No runbook is known by what was seen" in lines
    for host in ("pg-a1", "pg-a2", "pg-b1", "observer"):
        lab.loses(host)
    assert Looking(lab).watched()["screen"][0].startswith("Nothing could be seen")
    lines = Looking(crashed()).watched(severity="sev2", severity_reason="a test")["screen"]
    assert lines[0] == "Severity sev2, given by a person; the facts say sev1"
