# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway when the cluster changes under it: nobody stays at a demoted member, nobody gets to two primaries."""

from __future__ import annotations

import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab_hosts import Lab, eventually

MARKER = "/var/lib/fraiseql-resilience/fenced"
HOLD = "/var/lib/fraiseql-resilience/hold.json"
#: Longer than the test that needs it: one that is over before it is stopped fails that test.
LISTENER_SECONDS = 60
#: Stands for the demotion, and stops nothing.
LISTENER = f"""
import psycopg2, time
connection = psycopg2.connect("dbname=postgres application_name=resilience-demotion")
connection.autocommit = True
connection.cursor().execute("LISTEN resilience_switchover")
time.sleep({LISTENER_SECONDS})
"""
LISTENERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'resilience-demotion' AND query LIKE 'LISTEN%'"
)
HAPROXY = """
import socket, sys
for command in sys.argv[1:]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect("/run/haproxy/admin.sock")
        client.sendall(command.encode() + b"\\n")
        while client.recv(65536):
            pass
"""


@pytest.fixture
def gateway(lab: Lab, application: dict[str, t.Any]) -> t.Iterator[str]:
    """The gateway's host; afterwards clients are served again."""
    [only] = lab.group("gateways")
    yield only
    assert eventually(lambda: lab.client("SELECT 1", **application).rows == [["1"]], seconds=15)


@pytest.fixture
def fenced(lab: Lab) -> t.Iterator[t.Callable[[str], None]]:
    """Mark members as fenced; the marker is taken away by itself after half a minute, should the test be killed."""
    marked: list[str] = []

    def mark(member: str) -> None:
        marked.append(member)
        lab.said(member, "install -d -m 0755 /var/lib/fraiseql-resilience")
        lab.said(member, f"systemd-run --quiet --collect --on-active=30 rm -f {MARKER}")
        lab.said(member, f"touch {MARKER}")

    yield mark
    for member in marked:
        lab.said(member, f"rm -f {MARKER}")


def haproxy(lab: Lab, host: str, *commands: str) -> None:
    lab.said(host, "python3 -c %s" + " %s" * len(commands), HAPROXY, *commands)


def test_sessions_on_a_demoted_member_are_closed(
    lab: Lab,
    application: dict[str, t.Any],
    monitor: dict[str, t.Any],
    gateway: str,
    fenced: t.Callable[[str], None],
) -> None:
    primary = lab.primary
    with ThreadPoolExecutor(1) as pool:
        session = pool.submit(lab.client, "SELECT pg_sleep(20)", **application)
        assert eventually(lambda: sleepers(lab, primary) == "1", seconds=10)
        fenced(primary)
        begin = time.monotonic()
        answer = session.result(timeout=15)
    assert answer.error, "the session outlived its member's demotion"
    assert time.monotonic() - begin < 5, "it took too long"
    straight = {**monitor, "host": "127.0.0.1", "port": 5000, "sslmode": "verify-ca"}
    assert lab.client("SELECT 1", gateway, **straight).error, "a new session still reached the demoted member"


def sleepers(lab: Lab, member: str, seconds: int = 20) -> str:
    return lab.value(member, f"SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep({seconds})'")


def test_two_members_that_say_primary_get_no_new_session(lab: Lab, gateway: str, monitor: dict[str, t.Any]) -> None:
    straight = {**monitor, "host": "127.0.0.1", "port": 5000, "sslmode": "verify-ca"}
    other = lab.standbys[0]
    assert lab.client("SELECT pg_is_in_recovery()", gateway, **straight).rows == [["False"]]
    try:
        haproxy(lab, gateway, f"disable health primary/{other}", f"set server primary/{other} health up")
        assert lab.client("SELECT 1", gateway, **straight).error
    finally:
        haproxy(lab, gateway, f"set server primary/{other} health down", f"enable health primary/{other}")
    assert eventually(lambda: lab.client("SELECT 1", gateway, **straight).rows == [["1"]], seconds=15)


def test_a_hold_that_is_killed_lets_its_clients_go(lab: Lab, gateway: str, application: dict[str, t.Any]) -> None:
    primary, program = lab.primary, "/usr/local/lib/fraiseql-resilience/hold_clients.py"
    lab.said(
        primary,
        "systemd-run --quiet --collect --unit=test-listener --uid=postgres python3 -c %s",
        LISTENER,
    )
    assert eventually(lambda: lab.value(primary, LISTENERS) == "1", seconds=10)
    lab.said(gateway, f"rm -f {HOLD}")
    lab.said(
        gateway,
        "systemd-run --quiet --collect --unit=resilience-hold --service-type=exec"
        f" -p 'ExecStopPost={program} --resume --token test'"
        f" {program} --token test --old-primary {primary} --deadline 15",
    )
    assert eventually(lambda: "notified" in lab.on(gateway).run(f"cat {HOLD}").stdout, seconds=10)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lab.client, "SELECT 1", **application)
        time.sleep(1)
        assert not waiting.done(), "a client was served while clients were held"
        lab.said(gateway, "systemctl kill -s KILL resilience-hold.service")
        assert waiting.result(timeout=10).rows == [["1"]]
    # They are let go first, and that is written down then.
    assert eventually(lambda: '"outcome": "killed"' in lab.said(gateway, f"cat {HOLD}"), seconds=10)
    lab.said(primary, "systemctl stop test-listener.service")


def test_the_agent_comes_back_and_nobody_notices(lab: Lab, gateway: str, application: dict[str, t.Any]) -> None:
    """systemd keeps the agent's socket open while it restarts."""
    felt: list[str] = []
    # HAProxy waits a good second for it, and a busy machine may take longer to start it: one of three goes unnoticed.
    for seconds in (51, 52, 53):
        felt.append(felt_of_a_restart(lab, application, seconds))
        if not felt[-1]:
            return
        assert eventually(lambda: lab.client("SELECT 1", **application).rows == [["1"]], seconds=15)
    raise AssertionError(felt)


def felt_of_a_restart(lab: Lab, application: dict[str, t.Any], seconds: int) -> str:
    """What ended a session that sleeps for so long while the primary's agent restarts; nothing where it went on."""
    primary = lab.primary
    with ThreadPoolExecutor(1) as pool:
        session = pool.submit(lab.client, f"SELECT pg_sleep({seconds})", **application)
        assert eventually(lambda: sleepers(lab, primary, seconds) == "1", seconds=10)
        lab.said(primary, "systemctl restart resilience-health.service")
        time.sleep(2)
        if session.done():
            return session.result().error or "it ended by itself"
        ended = f"query = 'SELECT pg_sleep({seconds})'"
        lab.sql(primary, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ended}")
    return ""


def test_readers_reach_a_standby(lab: Lab, gateway: str, monitor: dict[str, t.Any]) -> None:
    straight = {**monitor, "host": "127.0.0.1", "port": 5001, "sslmode": "verify-ca"}
    assert lab.client("SELECT pg_is_in_recovery()", gateway, **straight).rows == [["True"]]
