# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab with monitoring, from outside: what Prometheus answers, and what is told where its alerts go."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from lab_hosts import Lab

TLS = "/etc/fraiseql-resilience/tls"


def prometheus(lab: Lab, path: str) -> t.Any:
    """What Prometheus answers at its API, with the certificate of the observer."""
    certificate = f"--cacert {TLS}/ca.crt --cert {TLS}/host.crt --key {TLS}/host.key"
    said = lab.said("observer", f"curl -sS --max-time 10 {certificate} %s", f"https://observer:9090/api/v1/{path}")
    return json.loads(said)["data"]


class Told:
    """Alerts as Alertmanager sends them, each with the moment (CLOCK_MONOTONIC) at which it came."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, t.Any]] = []

    def of(self, name: str, status: str = "firing", since: float = 0.0) -> list[dict[str, t.Any]]:
        return [
            one for one in self.alerts
            if (one["labels"]["alertname"], one["status"]) == (name, status) and one["at"] >= since
        ]  # fmt: skip

    def names(self) -> list[str]:
        return sorted({one["labels"]["alertname"] for one in self.alerts})


@contextlib.contextmanager
def receiver(lab: Lab) -> t.Iterator[Told]:
    told = Told()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.alerts.extend({**one, "at": time.monotonic()} for one in body["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_said: t.Any) -> None:
            pass

    [outside] = lab.variable("observer", "monitoring_receivers")
    place = urlsplit(outside["url"])
    with ThreadingHTTPServer((place.hostname or "", place.port or 80), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
            thread.join(10)
