# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a fault to the page, with everything real but the hosts: what the role writes, run on this machine's loopback.

A PostgreSQL, PgBouncer, HAProxy and the health agent; the exporters, Prometheus and Alertmanager with the files and
arguments that the role gives them, by TLS on both sides; and a web server that is told, as somebody on call is.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import typing as t
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import loopback
import pytest
from alert_cases import TOP
from real_agent import Agent

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import operation_metrics
from ansible_collections.fraiseql.resilience.plugins.module_utils.prometheus import exposition

pytestmark = pytest.mark.slow

#: Seconds that a page may take.
OBJECTIVE = 60
#: Addresses of the loopback network, one a host; those of the standby answer nothing.
ADDRESSES = {
    loopback.MEMBER: "127.0.0.1",
    loopback.STANDBY: "127.0.0.2",
    loopback.REPOSITORY: "127.0.0.3",
    loopback.OBSERVER: "127.0.0.4",
}
PORTS = {
    "resilience_postgresql_port": 27432,
    "health_port": 27008,
    "gateway_port": 27433,
    "gateway_primary_port": 27434,
    "gateway_metrics_port": 27404,
    "monitoring_prometheus_port": 27090,
    "monitoring_alertmanager_port": 27093,
    "monitoring_blackbox_port": 27115,
    "monitoring_node_port": 27100,
    "monitoring_postgres_port": 27187,
}
PROGRAMS = (
    "prometheus", "prometheus-alertmanager", "prometheus-blackbox-exporter", "prometheus-node-exporter",
    "prometheus-postgres-exporter", "haproxy", "pgbouncer", "openssl", "setpriv", "psql", "curl",
    "chromium",
)  # fmt: skip
#: A component that is not well, and is what it is by itself.
FULL = {"kind": "filesystem", "paths": ["/"], "free_percent": [100, 0.01]}
AS_POSTGRES = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")


class Told:
    """The receiver: what it was told of, and when."""

    def __init__(self) -> None:
        self.messages: list[tuple[float, dict[str, t.Any]]] = []
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                told.messages.append((time.monotonic(), json.loads(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_words: t.Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def alerts(self, since: float, status: str = "firing") -> list[tuple[float, str, str]]:
        """When, which alert, and its summary."""
        return [
            (at, alert["labels"]["alertname"], alert["annotations"]["summary"])
            for at, message in self.messages
            for alert in message["alerts"]
            if at >= since and alert["status"] == status
        ]

    def wait(self, name: str, since: float, seconds: float, status: str = "firing") -> float:
        """Seconds from ``since`` until it was told of the alert."""
        while time.monotonic() < since + seconds:
            for at, alert, _summary in self.alerts(since, status):
                if alert == name:
                    return at - since
            time.sleep(0.2)
        raise AssertionError(f"{name} was not {status} within {seconds} s; told: {self.alerts(since, status)}")


class Site:
    """The processes, and the folder that all their paths lead into."""

    def __init__(self, folder: Path, told: Told) -> None:
        self.folder = folder
        self.told = told
        self.processes: list[subprocess.Popen[bytes]] = []
        #: When each fault ended.
        self.over: dict[str, float] = {}
        (self.bin,) = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]

    def sql(self, statement: str) -> None:
        argv = ["psql", "-X", "-q", "-h", str(self.folder), "-p", str(PORTS["resilience_postgresql_port"])]
        subprocess.run([*argv, "-U", "postgres", "-c", statement], check=True, capture_output=True, timeout=20)

    def start(self, name: str, argv: t.Sequence[str], **environment: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(argv, stdout=log, stderr=log, env={**os.environ, **environment}, cwd=self.folder)
        self.processes.append(process)

    def unit(self, host: str, unit: str, texts: dict[str, str], *more: str) -> None:
        """Run a unit's program as systemd does: by the arguments and the environment of its file in /etc/default."""
        settings = dict(
            line.split("=", 1) for line in texts[f"/etc/default/{unit}"].splitlines() if not line.startswith("#")
        )
        environment = {name: shlex.split(value)[0] for name, value in settings.items()}
        arguments = environment.pop("ARGS").split()
        self.start(f"{host}-{unit}", [unit, *arguments, *more], **environment)

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
        self.told.server.shutdown()


def certificates(folder: Path) -> None:
    """An authority, and one certificate for all hosts, as the role tls lays them."""
    folder.mkdir()
    names = ",".join(f"IP:{address}" for address in ADDRESSES.values())
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    (folder / "names").write_text(f"subjectAltName={names}\n", encoding="ascii")
    for argv in (
        [*new, "-x509", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=authority"],
        [*new[:-2], "-keyout", "host.key", "-out", "host.csr", "-subj", "/CN=host"],
        ["openssl", "x509", "-req", "-in", "host.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
         "-days", "30", "-extfile", "names", "-out", "host.crt"],
    ):  # fmt: skip
        subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    for path in folder.iterdir():
        path.chmod(0o644)


def postgresql(site: Site) -> None:
    data = site.folder / "data"
    subprocess.run([*AS_POSTGRES, site.bin / "initdb", "-D", data, "-A", "trust"], check=True, capture_output=True)
    with (data / "postgresql.conf").open("a", encoding="utf-8") as conf:
        conf.write(
            f"port = {PORTS['resilience_postgresql_port']}\nlisten_addresses = '127.0.0.1'\nwal_level = replica\n"
            f"unix_socket_directories = '{site.folder}'\nshared_buffers = 16MB\nfsync = off\n"
        )
    site.start("postgresql", [*AS_POSTGRES, str(site.bin / "postgres"), "-D", str(data)])
    deadline = time.monotonic() + 30
    while True:
        try:
            return site.sql("SELECT")
        except subprocess.CalledProcessError:
            assert time.monotonic() < deadline, (site.folder / "postgresql.log").read_text(encoding="utf-8")
            time.sleep(0.2)


def gateway(site: Site) -> None:
    """PgBouncer with TLS before HAProxy, which asks the health agent and has its metrics as role gateway gives them."""
    template = (TOP / "roles/gateway/templates/haproxy.cfg.j2").read_text(encoding="utf-8")
    shown = template.split("frontend metrics\n")[1].split("{% endif %}")[0]
    for name, value in {
        "__resilience_place": ADDRESSES[loopback.OBSERVER],
        "gateway_metrics_port": str(PORTS["gateway_metrics_port"]),
        "__resilience_tls": str(site.folder / "tls"),
    }.items():
        shown = shown.replace(f"{{{{ {name} }}}}", value)
    assert "{" not in shown.replace("{ path /metrics }", "")
    (site.folder / "haproxy.cfg").write_text(
        "global\n\tssl-load-extra-del-ext\ndefaults\n\tmode tcp\n\ttimeout connect 1s\n\ttimeout client 1h\n"
        f"\ttimeout server 1h\nlisten primary\n\tbind 127.0.0.1:{PORTS['gateway_primary_port']}\n\toption httpchk\n"
        "\thttp-check send meth OPTIONS uri /primary\n\thttp-check expect status 200\n\tserver a 127.0.0.1:"
        f"{PORTS['resilience_postgresql_port']} check port {PORTS['health_port']} inter 200ms fall 2 "
        f"on-marked-down shutdown-sessions\nfrontend metrics\n{shown}",
        encoding="utf-8",
    )
    site.start("haproxy", ["haproxy", "-db", "-f", str(site.folder / "haproxy.cfg")])
    (site.folder / "users.txt").write_text('"resilience_probe" ""\n', encoding="ascii")
    (site.folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={PORTS['gateway_primary_port']}\n[pgbouncer]\n"
        f"listen_addr = {ADDRESSES[loopback.OBSERVER]}\nlisten_port = {PORTS['gateway_port']}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {site.folder}/users.txt\npool_mode = transaction\nserver_login_retry = 0.1\n"
        f"client_tls_sslmode = require\nclient_tls_cert_file = {site.folder}/tls/host.crt\n"
        f"client_tls_key_file = {site.folder}/tls/host.key\nignore_startup_parameters = extra_float_digits\n",
        encoding="utf-8",
    )
    site.start("pgbouncer", [*AS_POSTGRES, "pgbouncer", str(site.folder / "pgbouncer.ini")])


def agent(site: Site) -> None:
    descriptor = site.folder / "member.json"
    descriptor.write_text(
        json.dumps({"socket_dir": str(site.folder), "port": PORTS["resilience_postgresql_port"]}), encoding="utf-8"
    )
    member = {"descriptor": str(descriptor), "fenced_marker": str(site.folder / "fenced"), "user": "postgres"}
    told = {"member": member, "access": {"networks": ["127.0.0.0/8"]}, "checks": {"full": FULL}}
    made = Agent(site.folder, told, 1, port=PORTS["health_port"])
    made.start()
    assert made.process is not None
    site.processes.append(made.process)


def monitoring(site: Site) -> None:
    """Every program of the role, with the files that it writes."""
    variables = {
        **PORTS,
        "resilience_monitoring": True,
        "tls_directory": str(site.folder / "tls"),
        "backup_metrics_directory": str(site.folder / "text"),
        "monitoring_watchdog_url": f"{site.told.url}/watchdog",
        "monitoring_receivers": [{"kind": "webhook", "severities": ["sev1", "sev2", "sev3"], "url": site.told.url}],
    }
    told = {host: {"resilience_address": address} for host, address in ADDRESSES.items()}
    # Its package of Debian 12 does not work with PgBouncer of Debian 12.
    files = loopback.rendered(site.folder / "ansible", variables, debian="12", **told)
    for host, texts in files.items():
        own = site.folder / host
        own.mkdir()
        moved = {
            place: text.replace("/etc/prometheus", str(own)).replace("/var/run/postgresql", str(site.folder))
            for place, text in texts.items()
        }
        for place, text in moved.items():
            below = Path(place).relative_to(
                "/etc/prometheus" if place.startswith("/etc/prometheus") else "/etc/default"
            )
            (own / below).parent.mkdir(exist_ok=True)
            (own / below).write_text(text, encoding="utf-8")
        if host != loopback.STANDBY:
            # No systemd has to run here.
            quiet = [*moved["/etc/default/prometheus-node-exporter"].split(" --collector.systemd")[:1], "'"]
            moved["/etc/default/prometheus-node-exporter"] = "".join(quiet)
            site.unit(host, "prometheus-node-exporter", moved)
        if host in (loopback.MEMBER, loopback.OBSERVER):
            site.unit(host, "prometheus-postgres-exporter", moved)
        if host == loopback.OBSERVER:
            site.unit(host, "prometheus-blackbox-exporter", moved)
            site.unit(host, "prometheus-alertmanager", moved, f"--storage.path={own}/alerts")
            site.unit(host, "prometheus", moved, f"--storage.tsdb.path={own}/series")


@pytest.fixture(scope="module")
def site() -> t.Iterator[Site]:
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing or os.geteuid() != 0 or not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        pytest.skip(f"it takes root, PostgreSQL and {', '.join(missing)}")
    # Not below pytest's own folder, into which no other user may look.
    folder = Path(tempfile.mkdtemp(prefix="site-"))
    folder.chmod(0o755)
    shutil.chown(folder, "postgres")
    site = Site(folder, Told())
    (folder / "ansible").mkdir()
    (folder / "text").mkdir()
    try:
        certificates(folder / "tls")
        postgresql(site)
        site.sql("CREATE ROLE resilience_monitor LOGIN; GRANT pg_monitor TO resilience_monitor")
        site.sql("CREATE ROLE resilience_probe LOGIN")
        site.sql("CREATE DATABASE resilience OWNER resilience_probe")
        backups(site, gaps=0)
        agent(site)
        gateway(site)
        monitoring(site)
        yield site
    finally:
        site.stop()
        shutil.rmtree(folder)


def backups(site: Site, gaps: int) -> None:
    """What role backup writes, as far as it matters here."""
    labels = '{stanza="orders",repo="1"}'
    text = f"resilience_archive_gaps{labels} {gaps}\n"
    text += f'resilience_backup_metrics_timestamp_seconds{{stanza="orders"}} {time.time()}\n'
    (site.folder / "text" / "new").write_text(text, encoding="ascii")
    (site.folder / "text" / "new").rename(site.folder / "text" / "resilience_backup.prom")


def frozen(site: Site, stop: bool) -> None:
    """The postmaster and all its backends, as where the host hangs."""
    postmaster = int((site.folder / "data" / "postmaster.pid").read_text(encoding="ascii").splitlines()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii").split()
    for process in [postmaster, *map(int, children)]:
        os.kill(process, signal.SIGSTOP if stop else signal.SIGCONT)


def without_standby(site: Site, stop: bool) -> None:
    site.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{'ghost' if stop else ''}'")
    site.sql("SELECT pg_reload_conf()")


FAULTS: dict[str, t.Callable[[Site, bool], None]] = {
    "NoPrimary": frozen,
    "CommitsHang": without_standby,
    "ArchiveHasGaps": lambda site, stop: backups(site, gaps=int(stop)),
}


@pytest.fixture(scope="module")
def calm(site: Site) -> float:
    """The site as it is without a fault: the watchdog is heard, and nobody is called."""
    began = time.monotonic()
    site.told.wait("Watchdog", began, 180)
    # The slowest of those that are to be told meanwhile.
    site.told.wait("HostDown", began, 180)
    return began


def test_nobody_is_called_while_all_is_well(site: Site, calm: float) -> None:
    """But for what is wrong: the standby's host does not answer."""
    called = {name for _at, name, _summary in site.told.alerts(calm)}
    assert not called & {*FAULTS, "TransactionsFail", "ServiceUnmeasured", "GatewayDown", "GatewayLeadsNowhere"}
    assert {"Watchdog", "HostDown"} <= called


# --- the observer's page ----------------------------------------------------------------------------------------------


def fetched(site: Site, path: str) -> str:
    """What Prometheus answers a browser that has a certificate of the cluster's authority."""
    tls = site.folder / "tls"
    known = ["--cacert", tls / "ca.crt", "--cert", tls / "host.crt", "--key", tls / "host.key"]
    url = f"https://{ADDRESSES[loopback.OBSERVER]}:{PORTS['monitoring_prometheus_port']}/{path}"
    answer = subprocess.run(
        ["curl", "-sS", "--fail-with-body", *known, url], check=False, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def shown(site: Site) -> str:
    return fetched(site, "consoles/dashboard.html")


def drilled(site: Site) -> None:
    """What playbooks tell the observer of their evidence."""
    report = {
        "operation": "drill", "scenario": "data_loss", "cluster": loopback.CLUSTER, "verdict": "passed",
        "ended_utc": "2026-11-26T18:00:00Z", "rto_seconds": 4.25, "rpo": {"seconds": 0.0, "transactions": 7},
    }  # fmt: skip
    text = exposition(operation_metrics.metrics({"20261126T180000Z-drill": report}))
    (site.folder / "text" / "operations").write_text(text, encoding="utf-8")
    (site.folder / "text" / "operations").rename(site.folder / "text" / "resilience_operations.prom")


def words(page: str) -> str:
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL).split())


def test_the_page_says_how_it_is(site: Site, calm: float) -> None:
    drilled(site)
    deadline = time.monotonic() + 40
    while "data_loss" not in (page := shown(site)):
        assert time.monotonic() < deadline, words(page)
        time.sleep(1)
    said = words(page)
    assert "clients can write yes" in said and f"primary {loopback.MEMBER}" in said, said
    assert "HostDown sev2" in said or "HostDown sev1" in said, said
    assert re.search(rf"{re.escape(loopback.MEMBER)} primary yes 1 ", said), said
    assert f"{loopback.MEMBER} full warn" in said, said
    assert "drill data_loss passed 4.25s 0s 7 20261126T180000Z-drill" in said, said
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://|\son\w+=|NaN|no value", page)


def test_the_page_fits_a_phone_and_a_screen(site: Site, calm: float, tmp_path: Path) -> None:
    measure = "<script>document.title = document.documentElement.scrollWidth</script></body>"
    (tmp_path / "page.html").write_text(shown(site).replace("</body>", measure), encoding="utf-8")
    for width in (390, 1280):
        found = subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile",
             f"--window-size={width},900", "--dump-dom", f"file://{tmp_path}/page.html"],
            check=True, capture_output=True, text=True, timeout=60,
        ).stdout  # fmt: skip
        # Headless Chromium has a narrowest window of its own, 500 pixels.
        [wide] = re.findall(r"<title>(\d+)</title>", found)
        assert int(wide) <= max(width, 500)


def test_prometheus_can_answer_what_grafana_asks(site: Site, calm: float) -> None:
    path = TOP / "roles/monitoring/files/grafana_dashboard.json"
    dashboard = json.loads(path.read_text(encoding="utf-8"))
    asked = {target["expr"]: panel["title"] for panel in dashboard["panels"] for target in panel["targets"]}
    answers = {}
    for query, title in asked.items():
        filled = urllib.parse.quote(query.replace("$cluster", loopback.CLUSTER))
        said = json.loads(fetched(site, f"api/v1/query?query={filled}"))
        assert said["status"] == "success", (query, said)
        answers.setdefault(title, []).extend(said["data"]["result"])
    # What needs a repository host, or a standby that answers, has nothing here.
    assert {"Clients can write", "Primary", "Budget used, 30 days", "Alerts", "Sessions in use"} <= {
        title for title, results in answers.items() if results
    }


@pytest.mark.parametrize("alert", FAULTS)
def test_a_fault_calls_somebody_in_time(
    site: Site, calm: float, alert: str, record_property: t.Callable[[str, object], None]
) -> None:
    began = time.monotonic()
    FAULTS[alert](site, True)
    try:
        took = site.told.wait(alert, began, 2 * OBJECTIVE)
        record_property(f"fault_to_page_seconds_{alert}", round(took, 1))
        print(f"{alert}: {took:.1f} s from the fault to the page; {site.told.alerts(began)}")
    finally:
        FAULTS[alert](site, False)
        site.over[alert] = time.monotonic()
    assert took <= OBJECTIVE


@pytest.mark.parametrize("alert", FAULTS)
def test_somebody_is_told_that_it_is_over(site: Site, alert: str) -> None:
    """Within a turn of Alertmanager's for what goes on, a minute, and the scrape and the evaluation before."""
    site.told.wait(alert, site.over[alert], 120, "resolved")
