# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing that a client writes, and no secret, is on the wire in clear; seen from the machine that the lab runs on."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
import uuid
from pathlib import Path

import pytest
from lab_hosts import Lab

WIRE = Path(__file__).resolve().parent / "wire.py"
#: Seconds after which the look ends, whatever became of the test.
SECONDS = 300
POSTGRES, BOUNCER, PGBACKREST, HEALTH, SSH, CONTROL = 5432, 6432, 8432, 8008, 22, 8999
#: The health agent says who is primary, and no more: it has nothing to hide. SSH has a cipher of its own.
PLAIN = {HEALTH, SSH, CONTROL}
#: Shorter ones could be there by chance.
SECRET_LENGTH = 12
LISTEN = f"import socket; s = socket.create_server(('', {CONTROL})); s.settimeout(20); c, _ = s.accept(); c.recv(100)"
#: Who listens may still be starting.
SPEAK = f"""
import socket, sys, time
for left in reversed(range(75)):
    try:
        speaker = socket.create_connection((sys.argv[1], {CONTROL}), 10)
        break
    except ConnectionRefusedError:
        if not left:
            raise
        time.sleep(0.2)
speaker.sendall(sys.argv[2].encode())
"""


class Wire(t.NamedTuple):
    """What was seen while a marker was written everywhere, and another one was sent in clear on purpose."""

    marker: str
    in_clear: str
    flows: list[dict[str, t.Any]]

    def of(self, port: int) -> list[dict[str, t.Any]]:
        return [flow for flow in self.flows if port in (flow["flow"][1], flow["flow"][3]) and flow["bytes"]]


def run(*command: str) -> subprocess.Popen[str]:
    become = [] if os.geteuid() == 0 else ["sudo", "-n"]
    pipe = subprocess.PIPE
    return subprocess.Popen([*become, *command], stdin=pipe, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture(scope="module")
def wire(lab: Lab) -> Wire:
    marker, in_clear = (f"wire-marker-{uuid.uuid4()}" for _way in range(2))
    secrets = [value for value in lab.secrets.values() if len(value) >= SECRET_LENGTH]
    hosts = {host for group in ("members", "repositories", "gateways", "observers") for host in lab.group(group)}
    addresses = [lab.variable(host, "ansible_host") for host in sorted(hosts)]
    looking = run("python3", str(WIRE), str(SECONDS), ",".join(addresses))
    assert looking.stdin is not None and looking.stdout is not None and looking.stderr is not None
    looking.stdin.write(json.dumps([marker, in_clear, *secrets]) + "\n")
    looking.stdin.flush()
    assert looking.stderr.readline().strip() == "ready", looking.stderr.read()
    written_everywhere(lab, marker)
    sent_in_clear(lab, in_clear)
    looking.stdin.close()
    said = json.loads(looking.stdout.read())
    assert said["dropped"] == 0, "what was dropped was not looked at"
    return Wire(marker, in_clear, said["flows"])


def written_everywhere(lab: Lab, marker: str) -> None:
    """By a client through the gateway, so in WAL to standbys, receiver and repositories; and in a backup to each."""
    words: dict[str, t.Any] = {
        "user": "resilience_probe",
        "password": lab.secrets["resilience_probe_password"],
        "dbname": "resilience",
    }
    words |= {"sslmode": "verify-full", "sslrootcert": "/etc/fraiseql-resilience/tls/ca.crt"}
    statement = (
        f"INSERT INTO resilience.marker (name, lsn) VALUES ('{marker}', pg_current_wal_insert_lsn()) RETURNING name"
    )
    [gateway] = lab.group("gateways")
    # Not from the observer: where the gateway is on its host, nothing of that is on a wire.
    for host, port in ((gateway, BOUNCER), (lab.primary, POSTGRES)):
        words |= {"origin": lab.standbys[0], "host": host, "port": port}
        answer = lab.client(statement.replace(marker, f"{marker}-{port}"), **words)
        assert answer.rows == [[f"{marker}-{port}"]], answer.error
    lab.said(lab.primary, "cd / && runuser -u postgres -- pgbackrest --stanza=lab check")
    [repository] = lab.group("repositories")
    for repo in ("1", "2"):
        lab.said(
            repository, "cd / && runuser -u postgres -- pgbackrest --stanza=lab --repo=%s --type=incr backup", repo
        )


def sent_in_clear(lab: Lab, marker: str) -> None:
    """From a member to the repository host, past everything."""
    [repository] = lab.group("repositories")
    lab.said(repository, "nohup python3 -c %s >/dev/null 2>&1 &", LISTEN)
    lab.said(lab.primary, "python3 -c %s %s %s", SPEAK, repository, marker)


def test_what_is_sent_in_clear_is_seen(wire: Wire) -> None:
    """Else nothing below would prove anything."""
    [seen] = [flow for flow in wire.of(CONTROL) if flow["words"]]
    assert seen["words"] == [wire.in_clear] and seen["clear"] == seen["bytes"]


def test_neither_what_was_written_nor_a_secret_is_seen(wire: Wire) -> None:
    assert [flow for flow in wire.flows if set(flow["words"]) - {wire.in_clear}] == []


def test_all_but_health_is_tls_byte_by_byte(wire: Wire) -> None:
    assert [flow for flow in wire.flows if flow["clear"] and PLAIN.isdisjoint(flow["flow"])] == []


@pytest.mark.parametrize("port", [POSTGRES, BOUNCER, PGBACKREST, "store"])
def test_each_kind_of_traffic_was_there_and_began_with_a_handshake(lab: Lab, wire: Wire, port: int | str) -> None:
    number = int(lab.variable(lab.primary, "pgbackrest_s3_port")) if port == "store" else int(port)
    flows = wire.of(number)
    assert sum(flow["records"] for flow in flows) > 0
    assert any(flow["whole"] and flow["handshake"] for flow in flows), "no connection was seen from its begin"


def test_wal_to_standbys_and_receiver_was_there(lab: Lab, wire: Wire) -> None:
    """Their connections are older than the look, so they are known by where they go, and read from a record on."""
    primary = lab.variable(lab.primary, "ansible_host")
    receivers = [*lab.standbys, *lab.group("repositories")]
    for host in receivers:
        address = lab.variable(host, "ansible_host")
        flows = [flow for flow in wire.of(POSTGRES) if flow["flow"][0] == primary and flow["flow"][2] == address]
        assert any(flow["records"] and not flow["whole"] for flow in flows), f"no WAL went to {host}"
