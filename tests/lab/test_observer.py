# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The observer: it can see every member, keeps its passwords to itself, and a probe leaves a whole ledger."""

from __future__ import annotations

import json
import typing as t
import uuid

from lab_hosts import Lab

PROBE = "/var/lib/fraiseql-resilience/probe"
UNIT = "resilience-probe@lab-test.service"


def observer(lab: Lab) -> str:
    [only] = lab.group("observers")
    return only


def test_it_knows_every_member_and_the_gateway(lab: Lab) -> None:
    known = json.loads(lab.said(observer(lab), "cat /etc/fraiseql-resilience/observer.json"))
    assert [member["name"] for member in known["members"]] == sorted(lab.members)
    assert known["gateway"]["host"] in lab.group("gateways")


def test_passwords_are_for_root_alone(lab: Lab) -> None:
    pgpass = lab.on(observer(lab)).file("/etc/fraiseql-resilience/pgpass")
    assert (pgpass.user, pgpass.mode) == ("root", 0o600)
    assert lab.secrets["resilience_probe_password"] not in lab.said(
        observer(lab), "cat /etc/fraiseql-resilience/observer.json"
    )


def test_no_probe_was_left_running(lab: Lab) -> None:
    units = lab.said(observer(lab), "systemctl list-units --no-legend --state=active 'resilience-probe@*'")
    assert units == ""


def test_what_a_probe_acknowledged_is_in_the_table(
    lab: Lab, application: dict[str, t.Any], wait: t.Callable[..., t.Any]
) -> None:
    run, host = str(uuid.uuid4()), lab.on(observer(lab))
    words = {key: value for key, value in application.items() if key != "password"}
    config = {
        "name": "lab-test", "run": run, "ledger_dir": f"{PROBE}/lab-test", "clients": 2,
        "status": "/run/fraiseql-resilience/probe-lab-test.json",
        "connection": {**words, "passfile": "/etc/fraiseql-resilience/pgpass"},
    }  # fmt: skip
    lab.said(observer(lab), "mkdir -p %s", f"{PROBE}/lab-test")
    lab.said(observer(lab), "echo %s > %s", json.dumps(config), f"{PROBE}/lab-test/config.json")
    try:
        lab.said(observer(lab), "systemctl start %s", UNIT)
        ledger = f"{PROBE}/lab-test/{run}.jsonl"
        # Nothing is said while there is no ledger yet.
        assert wait(lambda: int(host.run("grep -c acked %s", ledger).stdout or 0) > 40, seconds=30)
        lab.said(observer(lab), "systemctl stop %s", UNIT)
        records = [json.loads(line) for line in lab.said(observer(lab), "cat %s", ledger).splitlines()]
    finally:
        host.run("systemctl stop %s; rm -r %s", UNIT, f"{PROBE}/lab-test")
    assert records[-1]["type"] == "footer"
    acked = {(str(one["client"]), str(one["seq"])) for one in records if one.get("outcome") == "acked"}
    assert len(acked) == records[-1]["attempts"] == len(records) - 2
    answer = lab.client(f"SELECT client, seq FROM resilience.probe WHERE run = '{run}'", **application)
    assert {tuple(row) for row in answer.rows} == acked, answer.error
    lab.client(f"DELETE FROM resilience.probe WHERE run = '{run}'", **application)
