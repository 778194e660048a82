# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway: one address that always leads to the primary, and to nobody else."""

from __future__ import annotations

import typing as t
import uuid

from lab_hosts import Lab

HAPROXY = """
import socket
with socket.socket(socket.AF_UNIX) as client:
    client.settimeout(5)
    client.connect("/run/haproxy/admin.sock")
    client.sendall(b"show stat\\n")
    print(b"".join(iter(lambda: client.recv(65536), b"")).decode())
"""


def gateway(lab: Lab) -> str:
    [only] = lab.group("gateways")
    return only


def test_services_run_and_come_back_after_a_boot(lab: Lab) -> None:
    for name in ("haproxy", "pgbouncer"):
        service = lab.on(gateway(lab)).service(name)
        assert service.is_running, name
        assert service.is_enabled, name


def servers(lab: Lab) -> dict[str, str]:
    """What HAProxy says of each member as the primary."""
    table = [line.split(",") for line in lab.said(gateway(lab), "python3 -c %s", HAPROXY).splitlines() if line]
    columns = {name.lstrip("# "): at for at, name in enumerate(table[0])}
    return {row[columns["svname"]]: row[columns["status"]] for row in table[1:] if row[0] == "primary"}


def test_only_the_primary_is_behind_it(lab: Lab, wait: t.Callable[..., t.Any]) -> None:
    """Two answers of a member that came too late, as from a busy host, take it away until the next one."""

    def up() -> list[str]:
        known = servers(lab)
        return [name for name in lab.members if known[name].startswith("UP")]

    assert wait(lambda: up() == [lab.primary], seconds=10), servers(lab)


def test_it_leads_to_the_primary(lab: Lab, application: dict[str, t.Any]) -> None:
    answer = lab.client("SELECT pg_is_in_recovery(), host(inet_server_addr())", **application)
    assert answer.rows == [["False", lab.variable(lab.primary, "ansible_host")]], answer.error


def test_what_was_acknowledged_is_found(lab: Lab, application: dict[str, t.Any]) -> None:
    run = str(uuid.uuid4())
    acked = lab.client(
        "INSERT INTO resilience.probe (run, client, seq)"
        f" SELECT '{run}', 0, n FROM generate_series(1, 200) n RETURNING seq",
        **application,
    )
    assert len(acked.rows) == 200, acked.error
    assert lab.value(lab.primary, f"SELECT count(*) FROM resilience.probe WHERE run = '{run}'", "resilience") == "200"


def test_it_refuses_plain_connections_and_wrong_passwords(lab: Lab, application: dict[str, t.Any]) -> None:
    assert lab.client("SELECT 1", **application).rows == [["1"]]
    assert lab.client("SELECT 1", **{**application, "sslmode": "disable"}).error
    assert "authentication failed" in lab.client("SELECT 1", **{**application, "password": "wrong"}).error
