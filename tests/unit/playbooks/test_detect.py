# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook detect, run for real, with agents that say what they would of a fault."""

from __future__ import annotations

import contextlib
import http.server
import json
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import pytest
import yaml
from local_play import played
from sample_cluster import CHECKS_OF, KINDS, Lab, Standing


@contextlib.contextmanager
def agents(lab: Lab) -> t.Iterator[dict[str, int]]:
    """Ports where the agents of a lab answer."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(lab.healthz(names[self.server.server_address[1]])).encode()  # type: ignore[attr-defined]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: t.Any) -> None:
            pass

    servers = {host: http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) for host in CHECKS_OF}
    names = {server.server_address[1]: host for host, server in servers.items()}
    for server in servers.values():
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield {host: server.server_address[1] for host, server in servers.items()}
    finally:
        for server in servers.values():
            server.shutdown()
            server.server_close()


def detect(folder: Path, ports: dict[str, int], *options: str) -> subprocess.CompletedProcess[str]:
    hosts = {
        host: {"resilience_address": "127.0.0.1", "ansible_port": 1, "health_port": ports.get(host, 1)}
        for host in KINDS
    }
    groups = {"members": "member", "gateways": "gateway", "observers": "observer", "repositories": "repository"}
    inventory = {
        "all": {
            "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
            "children": {
                "orders": {"hosts": hosts, "vars": {"resilience_cluster": "orders"}},
                **{
                    name: {"hosts": {host: {} for host in KINDS if kind in KINDS[host]}}
                    for name, kind in groups.items()
                },
            },
        }
    }
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
    named = ("-e", "resilience_cluster=orders", "-e", "resilience_detection_file=detected.json")
    return played(folder, "fraiseql.resilience.detect", *named, *options, ANSIBLE_SHOW_CUSTOM_STATS="true")


@pytest.fixture
def crashed() -> t.Iterator[dict[str, int]]:
    lab = Lab().stops("pg-a1", Standing.REFUSED, "Connection refused", "connection refused").primary_lost()
    with agents(lab) as ports:
        yield ports


@pytest.mark.slow
def test_the_likely_runbook_is_named_however_much_is_wrong(crashed: dict[str, int], tmp_path: Path) -> None:
    answer = detect(tmp_path, crashed, "-e", "resilience_detection_within=10")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "Severity sev1, computed" in answer.stdout
    assert "primary_crash: The primary's PostgreSQL has ended" in answer.stdout
    assert '"resilience_detection": {' in answer.stdout
    kept = json.loads((tmp_path / "detected.json").read_text())
    assert kept["ranked"][0]["runbook"] == "primary_crash" and kept["recognised"] is True
    # No descriptor lies here, so nobody could ask the members; that is said, and keeps nothing else from being seen.
    assert any("the members could not be asked" in one for one in kept["unseen"])
    assert not {"screen", "changed", "failed"} & set(kept)


@pytest.mark.slow
def test_a_severity_that_is_refused_fails_after_all_was_said(crashed: dict[str, int], tmp_path: Path) -> None:
    answer = detect(tmp_path, crashed, "-e", "resilience_severity=sev3")
    assert answer.returncode != 0
    assert "primary_crash: The primary's PostgreSQL has ended" in answer.stdout
    assert "the facts say sev1, and less than that needs a reason" in answer.stdout
    again = detect(
        tmp_path, crashed, "-e", '{"resilience_severity": "sev3", "resilience_severity_reason": "it is a test"}'
    )
    assert again.returncode == 0, again.stdout + again.stderr
    assert json.loads((tmp_path / "detected.json").read_text())["severity_given_reason"] == "it is a test"


@pytest.mark.slow
def test_where_nothing_could_be_seen_it_fails_and_says_so(tmp_path: Path) -> None:
    answer = detect(tmp_path, {})
    assert answer.returncode != 0
    assert "Nothing could be seen, so what is wrong is unknown" in answer.stdout
    assert json.loads((tmp_path / "detected.json").read_text())["verdict"] == "unknown"
    assert json.loads((tmp_path / "detected.json").read_text())["ranked"] == []
    unreachable = detect(
        tmp_path, {}, "-e", "ansible_connection=ssh", "-e", "ansible_ssh_common_args='-o BatchMode=yes'"
    )
    assert unreachable.returncode != 0
    assert "Nothing could be seen, so what is wrong is unknown" in unreachable.stdout
