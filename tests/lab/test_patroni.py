# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patroni in charge, from outside: who may ask it, who may change something, and that nobody else starts PostgreSQL."""

from __future__ import annotations

import json

import pytest
from lab_hosts import Lab

TLS = "/etc/fraiseql-resilience/tls"
ASK = f"curl --silent --show-error --max-time 5 --write-out '\\n%%{{http_code}}' --cacert {TLS}/ca.crt"
OWN = f"--cert {TLS}/host.crt --key {TLS}/host.key"


@pytest.fixture(autouse=True)
def in_charge(lab: Lab) -> None:
    if lab.engine == "manual":
        pytest.skip("the lab's engine is manual")


def asked(lab: Lab, words: str, place: str) -> tuple[str, str]:
    """Content and status of an answer, asked from the observer."""
    [observer] = lab.group("observers")
    said = lab.said(observer, f"{ASK} {words} %s", place).rpartition("\n")
    return said[0], said[2]


def test_who_leads_is_who_accepts_writes(lab: Lab) -> None:
    members = lab.group("members")
    content, status = asked(lab, "", f"https://{members[0]}:8009/cluster")
    assert status == "200"
    [leader] = [one["name"] for one in json.loads(content)["members"] if one["role"] == "leader"]
    assert [name for name in members if lab.value(name, "SELECT pg_is_in_recovery()") == "f"] == [leader]


def test_whoever_shows_no_certificate_changes_nothing(lab: Lab) -> None:
    # Patroni refuses an empty change; this one takes away what is not there.
    change = "--request PATCH --header 'Content-Type: application/json' --data '{\"of_nobody\": null}'"
    for member in lab.group("members"):
        assert asked(lab, change, f"https://{member}:8009/config")[1] == "403"
        assert asked(lab, f"{change} {OWN}", f"https://{member}:8009/config")[1] == "200"


def test_etcd_answers_nobody_without_a_certificate(lab: Lab) -> None:
    [observer] = lab.group("observers")
    for host in lab.group("etcd"):
        assert asked(lab, OWN, f"https://{host}:2379/version")[1] == "200"
        assert lab.on(observer).run(f"{ASK} %s", f"https://{host}:2379/version").rc != 0


def test_nobody_but_patroni_starts_postgresql(lab: Lab) -> None:
    for member in lab.group("members"):
        unit = json.loads(lab.said(member, "cat /etc/fraiseql-resilience/member.json"))["server_unit"]
        assert lab.on(member).run("systemctl is-enabled %s", unit).stdout.strip() == "masked"
        assert lab.said(member, "systemctl is-enabled patroni.service") == "enabled"


def test_another_regions_member_neither_confirms_nor_takes_over(lab: Lab) -> None:
    members = lab.group("members")
    home = lab.variable(members[0], "resilience_region")
    content = asked(lab, "", f"https://{members[0]}:8009/cluster")[0]
    tagged = {one["name"]: one.get("tags", {}) for one in json.loads(content)["members"]}
    for member in members:
        away = lab.variable(member, "resilience_region") != home
        assert (tagged[member].get("nofailover", False), tagged[member].get("nosync", False)) == (away, away)


def test_the_receiver_has_a_slot_wherever_the_primary_goes(lab: Lab) -> None:
    statement = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'repo_a_receiver'"
    assert {lab.value(member, statement) for member in lab.group("members") if member.startswith("pg-a")} == {"1"}
