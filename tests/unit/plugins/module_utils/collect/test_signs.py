# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look: who answers is heard, and who does not keeps nobody waiting."""

from __future__ import annotations

import contextlib
import http.server
import json
import shutil
import socket
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest
from local_port import reserved
from sample_cluster import Lab

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import members as members_of
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import signs
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.patroni import Engine
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.topology import Member, Standing

#: Seconds of a look in which everybody answers: as long as a busy machine may take.
PATIENT = 60.0
FACTS = {"cluster": "orders", "members": [], "receivers": ["repo-a-receiver"]}
ALERTS = [
    {"state": "firing", "labels": {"alertname": "NoPrimary", "severity": "sev1", "cluster": "orders"},
     "annotations": {"summary": "No member of orders is a primary"}},
    {"state": "firing", "labels": {"alertname": "JobMissing", "severity": "sev2"}, "annotations": {}},
    {"state": "pending", "labels": {"alertname": "HostDown", "severity": "sev2"}, "annotations": {}},
    {"state": "firing", "labels": {"alertname": "PoolWaits", "severity": "sev2", "cluster": "bills"},
     "annotations": {}},
    {"state": "firing", "labels": {"alertname": "Watchdog", "severity": "none"}, "annotations": {}},
]  # fmt: skip


@contextlib.contextmanager
def serving(answers: dict[str, tuple[int, t.Any]]) -> t.Iterator[int]:
    """A port where each path has its answer."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, content = answers[self.path]
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: t.Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def silent() -> t.Iterator[int]:
    """As a frozen host: its kernel takes connections, and nobody says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextlib.contextmanager
def greeting() -> t.Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _peer = server.accept()
                    connection.sendall(b"SSH-2.0-OpenSSH\r\n")
                    connection.close()

        threading.Thread(target=greet, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A descriptor, and members that are read in an instant."""
    path = tmp_path / "observer.json"
    path.write_text(json.dumps(FACTS))
    members = list(Lab().members.values())
    monkeypatch.setattr(signs, "read_members", lambda facts, timeout, run: members)
    monkeypatch.setattr(signs, "read_engine", lambda facts, timeout: None)
    # SSH of this machine is no host's.
    monkeypatch.setattr(members_of, "SSH_PORT", 1)
    return path


def places(**given: t.Any) -> dict[str, t.Any]:
    return {"agents": {}, "hosts": {}, "alerts": None, **given}


def test_an_agent_is_heard_whether_it_is_well_or_not(cluster: Path) -> None:
    lab = Lab().fails("pg-a1", "login", "app gets no session")
    with serving({"/healthz": (503, lab.healthz("pg-a1"))}) as port:
        seen = signs.look(places(agents={"pg-a1": f"http://127.0.0.1:{port}"}), str(cluster), PATIENT)
    agent = seen["agents"]["pg-a1"]
    assert agent["answered"] and agent["reading"]["in_recovery"] is False
    assert agent["components"]["login"] == {"own": "fail", "fault": "own", "reason": "app gets no session"}
    assert "/readyz" not in agent["components"]


def test_an_agent_that_tells_no_details_and_one_that_is_none(cluster: Path) -> None:
    with serving({"/healthz": (200, {"status": "pass"})}) as plain, serving({"/healthz": (200, b"<html>")}) as web:
        asked = {"plain": f"http://127.0.0.1:{plain}", "web": f"http://127.0.0.1:{web}"}
        seen = signs.look(places(agents=asked), str(cluster), PATIENT)["agents"]
    assert (seen["plain"]["answered"], seen["plain"]["components"]) == (True, None)
    assert not seen["web"]["answered"] and "not as a health agent" in seen["web"]["reason"]


def test_whoever_is_frozen_or_refuses_keeps_nobody_waiting(cluster: Path) -> None:
    well = {"/healthz": (200, Lab().healthz("pg-a2"))}
    with silent() as frozen, serving(well) as port, greeting() as ssh:
        asked = places(
            agents={"pg-a1": f"http://127.0.0.1:{frozen}", "pg-a2": f"http://127.0.0.1:{port}", "pg-b1": "http://127.0.0.1:1"},
            hosts={"pg-a1": ["127.0.0.1", frozen], "pg-a2": ["127.0.0.1", ssh], "repo-a": ["127.0.0.1", 1]},
            alerts={"host": "127.0.0.1", "port": frozen, "tls": None, "cluster": "orders"},
        )  # fmt: skip
        begin = time.monotonic()
        seen = signs.look(asked, str(cluster), 4.0)
        took = time.monotonic() - begin
    assert took < 5.5, "one after the other, the three that are frozen take 6 s"
    assert {name: one["answered"] for name, one in seen["agents"].items()} == {
        "pg-a1": False, "pg-a2": True, "pg-b1": False,
    }  # fmt: skip
    assert "refused" in seen["agents"]["pg-b1"]["reason"]
    assert {name: one["answered"] for name, one in seen["hosts"].items()} == {
        "pg-a1": False, "pg-a2": True, "repo-a": False,
    }  # fmt: skip
    assert seen["alerts"] is None and seen["alerts_reason"]
    assert seen["cluster"]["hazards"] == []


def test_what_hangs_is_left_behind() -> None:
    held = threading.Event()
    begin = time.monotonic()
    found = signs.all_within({"name": lambda: held.wait(60), "quick": lambda: 7}, 0.5, {})
    assert time.monotonic() - begin < 30
    held.set()
    assert found["quick"].value == 7
    assert (found["name"].value, found["name"].reason) == (None, "no answer within 0.5 s")


def test_the_cluster_is_seen_with_its_hazards(cluster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stalled = [Member("pg-a1", "a", Standing.STALLED, reason="its storage is full"), *Lab().members.values()][:1]
    monkeypatch.setattr(signs, "read_members", lambda facts, timeout, run: stalled)
    monkeypatch.setattr(signs, "read_engine", lambda facts, timeout: Engine(seen=False))
    seen = signs.look(places(), str(cluster), PATIENT)["cluster"]
    assert seen["members"] == [
        {"name": "pg-a1", "standing": "stalled", "reason": "its storage is full", "receiving_from": None}
    ]
    assert [one["code"] for one in seen["hazards"]] == ["no_primary", "member_stalled", "patroni_unseen"]
    assert seen["engine"] == "patroni"


def test_receivers_of_the_cluster_are_missed(cluster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = list(Lab().receiver_away().members.values())
    monkeypatch.setattr(signs, "read_members", lambda facts, timeout, run: members)
    seen = signs.look(places(), str(cluster), PATIENT)["cluster"]
    assert [one["code"] for one in seen["hazards"]] == ["receiver_away"]


def test_an_observer_that_does_not_know_its_cluster_says_so(tmp_path: Path) -> None:
    seen = signs.look(places(), str(tmp_path / "none.json"), 1.0)
    assert seen["cluster"] is None and "does not know its cluster" in seen["cluster_reason"]


def test_alerts_that_fire_about_the_cluster_are_told(cluster: Path) -> None:
    with serving({"/api/v1/alerts": (200, {"status": "success", "data": {"alerts": ALERTS}})}) as port:
        asked = {"host": "127.0.0.1", "port": port, "tls": None, "cluster": "orders"}
        seen = signs.look(places(alerts=asked), str(cluster), PATIENT)
    assert seen["alerts"] == [
        {"name": "NoPrimary", "severity": "sev1", "instance": "", "summary": "No member of orders is a primary"},
        {"name": "JobMissing", "severity": "sev2", "instance": "", "summary": ""},
    ]
    with serving({"/api/v1/alerts": (503, b"Service Unavailable")}) as port:
        seen = signs.look(places(alerts={**asked, "port": port}), str(cluster), PATIENT)
    assert (seen["alerts"], seen["alerts_reason"]) == (None, "Prometheus answers with 503: Service Unavailable")


@pytest.mark.slow
def test_a_real_prometheus_tells_its_alerts(cluster: Path, tmp_path: Path) -> None:
    assert shutil.which("prometheus"), "Debian's package prometheus is missing: make setup"
    rules = {"groups": [{"name": "one", "interval": "1s", "rules": [
        {"alert": "NoPrimary", "expr": "vector(1)", "annotations": {"summary": "There is none"},
         "labels": {"severity": "sev1", "cluster": "orders", "instance": "pg-a1"}},
        {"alert": "Watchdog", "expr": "vector(1)", "labels": {"severity": "none"}},
    ]}]}  # fmt: skip
    (tmp_path / "rules.yml").write_text(json.dumps(rules))
    (tmp_path / "prometheus.yml").write_text(json.dumps({"rule_files": ["rules.yml"]}))
    with reserved() as port:
        process = subprocess.Popen(
            ["prometheus", f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}",
             f"--web.listen-address=127.0.0.1:{port}"],
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        asked = places(alerts={"host": "127.0.0.1", "port": port, "tls": None, "cluster": "orders"})
        try:
            end = time.monotonic() + 60
            while not (told := signs.look(asked, str(cluster), 2.0)["alerts"]):
                assert time.monotonic() < end, "it tells no alert"
                time.sleep(0.2)
        finally:
            process.terminate()
            process.wait(60)
    assert told == [{"name": "NoPrimary", "severity": "sev1", "instance": "pg-a1", "summary": "There is none"}]
