# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sites that are no lab: other names, ports, places and secrets; what is set for some hosts alone, others know too."""

from __future__ import annotations

import json
import re
import typing as t

import yaml

from ansible_collections.fraiseql.resilience.plugins.filter.health_problem import health_problem

REPO, GATE, A, B = "Repo-A.x", "0gate", "9-Pg.A1", "pg_B.x"
DATA = "/var/lib/postgresql/17"


def conf(text: str) -> dict[str, str]:
    """name = 'value' or name=value, the last one counts."""
    found = re.findall(r"^([\w-]+) *= *(.*)$", text, flags=re.MULTILINE)
    return {name: value.strip("'") for name, value in found}


def test_what_is_set_for_members_alone_is_known_to_those_who_reach_them(site: t.Any) -> None:
    site.of_group["members"] = {
        "resilience_postgresql_port": 6543,
        "resilience_postgresql_cluster_name": "orders",
        "health_port": 18008,
    }
    site.everywhere["pgbackrest_receiver_enabled"] = "true"
    backrest = site.rendered("pgbackrest")
    on_repository = conf(backrest[REPO]["/etc/pgbackrest.conf"])
    assert (on_repository["pg1-port"], on_repository["pg2-port"]) == ("6543", "6543")
    assert (on_repository["pg1-path"], on_repository["pg2-path"]) == (f"{DATA}/orders", f"{DATA}/orders")
    assert conf(backrest[A]["/etc/pgbackrest.conf"])["pg1-path"] == f"{DATA}/orders"
    described = json.loads(backrest[REPO]["/etc/fraiseql-resilience/repository.json"])
    assert [member["port"] for member in described["members"]] == [6543, 6543]
    assert described["receiver"]["health_port"] == 18008
    site.groups["gateways"], site.groups["observers"] = [GATE], [REPO]
    site.of_group["gateways"] = {"gateway_port": 16432}
    gateway = site.rendered("gateway")[GATE]
    assert "default-server port 18008 " in gateway["/etc/haproxy/haproxy.cfg"]
    assert f"server {A} {A}:6543 check" in gateway["/etc/haproxy/haproxy.cfg"]
    assert json.loads(gateway["/etc/fraiseql-resilience/gateway.json"])["pgbouncer"]["port"] == 16432
    observer = json.loads(site.rendered("observer")[REPO]["/etc/fraiseql-resilience/observer.json"])
    assert (observer["gateway"]["port"], observer["gateway"]["host"]) == (16432, GATE)


def test_observers_look_for_ssh_where_they_reach_it(site: t.Any) -> None:
    """ansible_port is one of the address that the control node goes by."""
    site.hosts[A] |= {"ansible_host": "203.0.113.7", "ansible_port": 10022, "observer_ssh_port": 2200}
    site.hosts[B] |= {"ansible_port": 2222}
    site.hosts[GATE] |= {"ansible_port": 10023}
    told = json.loads(site.rendered("observer")[GATE]["/etc/fraiseql-resilience/observer.json"])["members"]
    assert {member["name"]: member["ssh_port"] for member in told} == {A: 2200, B: 2222}
    del site.hosts[A]["observer_ssh_port"], site.hosts[B]["ansible_port"]
    told = json.loads(site.rendered("observer")[GATE]["/etc/fraiseql-resilience/observer.json"])["members"]
    assert {member["name"]: member["ssh_port"] for member in told} == {A: 10022, B: 22}


def test_a_receiver_is_known_to_everybody_by_the_name_that_it_shows(site: t.Any) -> None:
    """Another name in synchronous_standby_names, and each commit would wait for somebody who never comes."""
    site.of_group["repositories"] = {
        "pgbackrest_receiver_enabled": True,
        "pgbackrest_receiver_name": "WAL.keeper",
    }
    shown = json.loads(site.rendered("pgbackrest")[REPO]["/etc/fraiseql-resilience/repository.json"])["receiver"]
    assert (shown["name"], shown["slot"]) == ("WAL.keeper", "wal_keeper")
    settings = conf(site.rendered("replication")[A]["/etc/postgresql/17/main/conf.d/replication.conf"])
    assert settings["synchronous_standby_names"] == 'ANY 1 ("WAL.keeper")'
    member = json.loads(site.rendered("postgresql")[A]["/etc/fraiseql-resilience/member.json"])
    observer = json.loads(site.rendered("observer")[GATE]["/etc/fraiseql-resilience/observer.json"])
    assert member["receivers"] == observer["receivers"] == ["WAL.keeper"]
    patroni = yaml.safe_load(site.rendered("patroni")[A]["/etc/patroni/config.yml"])
    assert patroni["bootstrap"]["dcs"]["ttl"] == 20
    assert list(patroni["bootstrap"]["dcs"]["slots"]) == ["wal_keeper"]


def test_without_a_receiver_and_another_member_nobody_is_waited_for(site: t.Any) -> None:
    del site.hosts[B]
    site.groups["members"] = [A]
    files = site.rendered("replication")[A]
    assert conf(files["/etc/postgresql/17/main/conf.d/replication.conf"])["synchronous_standby_names"] == ""
    assert "repo2" not in site.rendered("pgbackrest")[A]["/etc/pgbackrest.conf"]


def test_an_ipv6_address_stands_in_brackets_where_a_port_follows(site: t.Any) -> None:
    site.hosts[B]["resilience_address"] = "fd00::b"
    site.groups["etcd"] = [A, B, REPO]
    etcd = conf(site.rendered("etcd")[B]["/etc/default/etcd"])
    assert etcd["ETCD_ADVERTISE_CLIENT_URLS"] == "https://[fd00::b]:2379"
    assert etcd["ETCD_LISTEN_PEER_URLS"] == "https://[::]:2380"
    assert f"{B}=https://[fd00::b]:2380" in etcd["ETCD_INITIAL_CLUSTER"].split(",")
    patroni = yaml.safe_load(site.rendered("patroni")[B]["/etc/patroni/config.yml"])
    assert "[fd00::b]:2379" in patroni["etcd3"]["hosts"]
    assert patroni["restapi"]["connect_address"] == "[fd00::b]:8009"
    assert patroni["restapi"]["listen"] == "[::]:8009"
    assert patroni["postgresql"]["connect_address"] == "[fd00::b]:5432"
    settings = conf(site.rendered("replication")[A]["/etc/postgresql/17/main/conf.d/replication.conf"])
    assert settings["primary_conninfo"].startswith(f"host={A},fd00::b port=5432,5432 ")


def test_certificates_may_lie_elsewhere(site: t.Any) -> None:
    """Every file of every role that names a certificate names it where role tls puts it."""
    site.everywhere |= {"tls_directory": "/srv/tls", "pgbackrest_receiver_enabled": True}
    site.everywhere |= {"pgbackrest_s3_endpoint": "s3", "pgbackrest_s3_key": "k", "pgbackrest_s3_key_secret": "s"}
    site.groups["etcd"] = [A, B, REPO]
    for role in ("backup", "etcd", "gateway", "observer", "patroni", "pgbackrest", "postgresql", "replication"):
        files = [text for written in site.rendered(role).values() for text in written.values()]
        assert any("/srv/tls/ca.crt" in text for text in files), role
        assert not any("/etc/fraiseql-resilience/tls" in text for text in files), role


#: What password makers, and people, come up with.
NASTY = """ a'b"c:d\\e%f$g #h;i=j,k|l@mé """


def pgpass_fields(line: str) -> list[str]:
    """As libpq reads a line: a colon ends a field, a backslash takes what follows as it is."""
    found, taken = [""], iter(line)
    for letter in taken:
        if letter == ":":
            found.append("")
        else:
            found[-1] += next(taken) if letter == "\\" else letter
    return found


def test_a_password_of_any_letters_arrives_as_it_is(site: t.Any) -> None:
    names = ("replication", "monitor", "probe")
    site.everywhere |= {f"resilience_{name}_password": f"{name}{NASTY}" for name in names}
    site.everywhere["pgbackrest_receiver_enabled"] = True
    site.everywhere["gateway_users"] = [{"name": 'o"app', "password": NASTY}]
    gateway, observer = (site.rendered(role)[GATE] for role in ("gateway", "observer"))
    userlist = re.findall(r'^"((?:[^"]|"")*)" "((?:[^"]|"")*)"$', gateway["/etc/pgbouncer/userlist.txt"], re.MULTILINE)
    assert [tuple(word.replace('""', '"') for word in line) for line in userlist] == [
        ("resilience_probe", f"probe{NASTY}"),
        ('o"app', NASTY),
    ]
    files = [
        gateway["/etc/fraiseql-resilience/gateway.pgpass"],
        observer["/etc/fraiseql-resilience/pgpass"],
        site.rendered("pgbackrest")[REPO]["/etc/fraiseql-resilience/replication.pgpass"],
        site.rendered("replication")[A]["/etc/fraiseql-resilience/replication.pgpass"],
    ]
    told = {field[3]: field[4] for text in files for field in map(pgpass_fields, text.splitlines())}
    assert told == {
        "resilience_monitor": f"monitor{NASTY}",
        "resilience_probe": f"probe{NASTY}",
        "resilience_replicator": f"replication{NASTY}",
    }
    patroni = yaml.safe_load(site.rendered("patroni")[A]["/etc/patroni/config.yml"])
    assert patroni["postgresql"]["authentication"]["rewind"]["password"] == f"replication{NASTY}"


def test_agents_are_told_what_they_take_and_what_their_hosts_are(site: t.Any) -> None:
    site.of_group["members"] = {"resilience_postgresql_port": 6543, "health_port": 18008}
    site.of_group["gateways"] = {"gateway_port": 16432, "health_checks": {"login": {"user": "orders"}, "memory": None}}
    site.everywhere["health_tls_port"] = "8443"
    files = site.rendered("health")
    told = {host: json.loads(written["/etc/fraiseql-resilience/health.json"]) for host, written in files.items()}
    for given in told.values():
        assert health_problem(given) == ""
    member, gate = told[A], told[GATE]
    assert member["checks"]["login"]["port"] == 6543
    assert member["checks"]["clock"]["peers"] == {B: f"http://{B}:18008", GATE: f"http://{GATE}:8008"}
    assert member["checks"]["filesystem"]["paths"][2] == f"{DATA}/main/pg_wal"
    assert (member["tls"]["port"], member["member"]["poll_seconds"]) == (8443, 0.1)
    assert gate["member"] is None
    checks = ["certificate", "clock", "filesystem", "haproxy", "heartbeat", "login", "pgbouncer", "primaries"]
    assert sorted(gate["checks"]) == checks
    assert gate["checks"]["primaries"]["members"] == {A: f"http://{A}:18008", B: f"http://{B}:18008"}
    assert all("\nFreeBind=true\n" in one["/etc/systemd/system/resilience-health.socket"] for one in files.values())
    beat = gate["checks"]["heartbeat"]
    assert (beat["host"], beat["port"], beat["record"]) == (GATE, 16432, "/var/lib/fraiseql-resilience/availability")
    assert "heartbeat_seen" in member["checks"] and "heartbeat_seen" not in gate["checks"]
    assert member["checks"]["latency"]["baseline"] == "/var/lib/fraiseql-resilience/latencies/latency"
    assert member["access"]["hosts"] == [GATE]
    assert (gate["checks"]["login"]["user"], gate["checks"]["login"]["port"]) == ("orders", 16432)
    socket = files[A]["/etc/systemd/system/resilience-health.socket"]
    assert "ListenStream=18008\nListenStream=8443\n" in socket
    assert "SupplementaryGroups=resilience-tls\n" in files[A]["/etc/systemd/system/resilience-health.service"]


def test_agents_keep_nothing_where_nobody_wants_it(site: t.Any) -> None:
    site.everywhere |= {"health_heartbeat": False, "health_baselines": False}
    files = site.rendered("health")
    told = {
        host: json.loads(written["/etc/fraiseql-resilience/health.json"])["checks"] for host, written in files.items()
    }
    assert "heartbeat" not in told[GATE] and "heartbeat_seen" not in told[A]
    assert told[A]["latency"]["baseline"] == ""
    units = {host: written["/etc/systemd/system/resilience-health.service"] for host, written in files.items()}
    assert not any("StateDirectory" in unit for unit in units.values())


def test_an_agent_is_not_told_what_cannot_be_right(site: t.Any) -> None:
    site.everywhere["health_checks"] = {"disk": {"kind": "filesystem", "path": "/data"}}
    written = site.rendered("health")[A]["/etc/fraiseql-resilience/health.json"]
    assert "checks.disk.path is no option" in health_problem(json.loads(written))
