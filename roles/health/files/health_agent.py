#!/usr/bin/python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says over HTTP how this host and its member are, as load balancers, scrapers and people ask it.

Threads look and keep their last results. The server's one loop reads these and their age and touches nothing else, so
it answers at once while PostgreSQL is stopped, storage is frozen, or all connection slots are taken. What is not known
is never reported as good.

    Watcher, Checker (threads) --results--> Answers --ASGI--> HAProxy, the WAL receiver, Prometheus, people
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import os
import signal
import socket
import ssl
import sys
import time
import typing as t
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.availability import Recorder
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.health.member import Descriptor, Member
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.health import settings as configured
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.answers import Access, Answers
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.recording import Recording
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.settings import Check, Settings
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.watch import Checker, Looker, Watcher, say
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health import metrics
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.member import Result
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Look

CONFIGURATION = "/etc/fraiseql-resilience/health.json"
#: systemd hands over its listening sockets from this file descriptor on (sd_listen_fds(3)).
FIRST_INHERITED_SOCKET = 3
#: Connections that wait to be accepted, and seconds after which one that asks nothing is closed.
BACKLOG, SILENT_SECONDS = 512, 10.0
#: Seconds between two looks at whether the certificate was replaced.
RENEWAL_SECONDS = 30.0
#: Seconds between two looks at the addresses of hosts that are told details, and while one has none.
NAMES_SECONDS, NAMELESS_SECONDS = 60.0, 5.0
#: What a wrong configuration ends with: systemd does not start it again until it is changed.
WRONG_CONFIGURATION = 78

Scope = t.MutableMapping[str, t.Any]
Send = t.Callable[[dict[str, t.Any]], t.Awaitable[None]]


class Looking:
    """All that looks, by one thread each."""

    def __init__(self, settings: Settings) -> None:
        self.descriptor: Descriptor | None = None
        self.watcher: Watcher | None = None
        if settings.member is not None:
            known = settings.member
            self.descriptor = Descriptor(known["descriptor"], known["user"])
            member = Member(self.descriptor, known["fenced_marker"], deadline=known["stale_after"] * 0.8)
            self.watcher = Watcher(member.look, known["poll_seconds"])
        self.checkers = {name: self._checker(check) for name, check in settings.checks.items()}

    def _checker(self, check: Check) -> Checker:
        look = check.kind.make(check.options, self.descriptor)
        folder = check.options.get("record")
        record = Recording(Recorder(Path(folder)), 2 * check.stale_after, say) if folder else None
        return Checker(check.name, lambda: look(time.monotonic() + check.deadline), check.every, record)

    def start(self, patience: float) -> None:
        """Whoever asks meanwhile waits in the socket's queue: a restart must not make a healthy primary unknown."""
        if self.watcher is not None:
            self.watcher.start()
            self.watcher.looked.wait(patience)
        for checker in self.checkers.values():
            checker.start()

    def latest(self) -> Result | None:
        return None if self.watcher is None else self.watcher.latest

    def look(self, name: str) -> Look | None:
        return self.checkers[name].latest


class Scraped:
    """What prometheus_client asks a collector for: the health as it is known now."""

    def __init__(self, answers: Answers, looking: Looking) -> None:
        self._answers = answers
        self._looking = looking

    def collect(self) -> t.Iterator[t.Any]:
        from prometheus_client.core import GaugeMetricFamily

        looks = {name: self._answers.fresh(name) for name in self._looking.checkers}
        for metric in metrics.metrics(self._answers.standings(), looks, self._looking.latest()):
            names = list(metric.samples[0][0]) if metric.samples else []
            family = GaugeMetricFamily(metric.name, metric.help, labels=names)
            for labels, value in metric.samples:
                family.add_metric([str(one) for one in labels.values()], value)
            yield family


def exposition(scraped: Scraped) -> t.Callable[[], bytes]:
    """The health, with this process's own memory, CPU and file descriptors."""
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

    registry = CollectorRegistry()
    registry.register(scraped)
    ProcessCollector(registry=registry)
    return lambda: t.cast("bytes", generate_latest(registry))


# --- answering -------------------------------------------------------------------------------------------------------


class Application:
    """What ASGI asks for: one request in, one answer out."""

    def __init__(self, answers: Answers, access: Access) -> None:
        self._answers = answers
        self._access = access

    async def __call__(self, scope: Scope, _receive: t.Any, send: Send) -> None:
        if scope["type"] != "http":
            return
        authorization = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        caller = self._access.caller(scope["client"][0] if scope["client"] else "", authorization)
        query = scope["query_string"].decode("latin-1")
        answer = self._answers.respond(scope["method"], scope["path"], query, caller)
        headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers]
        await send({"type": "http.response.start", "status": answer.code, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


def server(application: Application, tls: t.Mapping[str, t.Any] | None) -> t.Any:
    """uvicorn, which answers and does nothing else: no log of requests, no signals, no trust in forwarded addresses."""
    import uvicorn
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class Impatient(HttpToolsProtocol):  # type: ignore[misc,no-any-unimported]
        """Somebody who connects and says nothing must not hold a file descriptor for ever."""

        def connection_made(self, transport: t.Any) -> None:
            super().connection_made(transport)
            self._heard = self.loop.time()
            self.loop.call_later(SILENT_SECONDS, self._close_if_silent)

        def on_headers_complete(self) -> None:
            self._heard = self.loop.time()
            super().on_headers_complete()

        def _close_if_silent(self) -> None:
            if self.transport.is_closing():
                return
            if self.loop.time() - self._heard >= SILENT_SECONDS:
                self.transport.close()
            else:
                self.loop.call_later(SILENT_SECONDS, self._close_if_silent)

    class Server(uvicorn.Server):  # type: ignore[misc,no-any-unimported]
        def install_signal_handlers(self) -> None:
            """This program's own: several servers end at once."""

        @contextlib.contextmanager
        def capture_signals(self) -> t.Iterator[None]:
            """As newer versions call it."""
            yield

    config = uvicorn.Config(
        application,
        http=Impatient,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
    )
    config.load()
    if tls is not None:
        config.ssl = encrypted(tls)
    return Server(config)


def encrypted(tls: t.Mapping[str, t.Any]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls["certificate"], tls["key"])
    return context


async def renew(context: ssl.SSLContext, tls: t.Mapping[str, t.Any]) -> None:
    """New connections get the certificate that is there now."""
    seen = _written(tls)
    while True:
        await asyncio.sleep(RENEWAL_SECONDS)
        now = _written(tls)
        if now == seen:
            continue
        try:
            context.load_cert_chain(tls["certificate"], tls["key"])
            seen = now
            say("the certificate was replaced")
        except (OSError, ssl.SSLError) as error:
            # Half of a pair that is being replaced: the other half comes before the next look.
            say(f"the new certificate cannot be used: {error}")


def _written(tls: t.Mapping[str, t.Any]) -> list[int]:
    with contextlib.suppress(OSError):
        return [os.stat(tls[name]).st_mtime_ns for name in ("certificate", "key")]
    return []


class Names(Looker):
    """Keeps the addresses of hosts that are told details: at a boot, nobody may know them yet, and they change."""

    def __init__(self, hosts: t.Sequence[str], access: Access) -> None:
        super().__init__("names")
        self._hosts = hosts
        self._access = access

    def step(self) -> float:
        found, nameless = [], []
        for host in self._hosts:
            try:
                known = socket.getaddrinfo(host, None)
            except OSError:
                nameless.append(host)
                continue
            found += [ipaddress.ip_network(one[4][0].partition("%")[0]) for one in known]
        self._access.also(found)
        self.looked.set()
        self.tell(f"no address, so told no details: {', '.join(nameless)}" if nameless else "observers have addresses")
        return NAMELESS_SECONDS if nameless else NAMES_SECONDS


# --- running ---------------------------------------------------------------------------------------------------------


def listening_sockets(addresses: t.Sequence[tuple[str, int]], environ: t.Mapping[str, str]) -> list[socket.socket]:
    """The sockets that systemd holds open over restarts of this program, or own ones where it was started by hand."""
    if environ.get("LISTEN_PID") == str(os.getpid()) and environ.get("LISTEN_FDS") == str(len(addresses)):
        return [socket.socket(fileno=FIRST_INHERITED_SOCKET + number) for number in range(len(addresses))]
    return [socket.create_server(address) for address in addresses]


async def serve(settings: Settings, application: Application, sockets: t.Sequence[socket.socket]) -> None:
    servers = [server(application, tls) for tls in ([None, settings.tls] if settings.tls else [None])]
    loop = asyncio.get_running_loop()

    def end() -> None:
        for one in servers:
            one.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    renewal = asyncio.ensure_future(renew(servers[-1].config.ssl, settings.tls)) if settings.tls else None
    await asyncio.gather(*(one.serve(sockets=[own]) for one, own in zip(servers, sockets, strict=True)))
    if renewal is not None:
        renewal.cancel()


def main(argv: t.Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--configuration", default=CONFIGURATION)
    parser.add_argument("--check", action="store_true", help="say whether the configuration is right, and end")
    parser.add_argument("--port", type=int, default=8008, help="on loopback; used only without socket activation")
    given = parser.parse_args(argv)
    try:
        settings = configured.read(given.configuration)
    except ResilienceError as error:
        print(f"{given.configuration}: {error.as_result()['msg']}", file=sys.stderr)
        return WRONG_CONFIGURATION
    if given.check:
        return 0

    import uvloop

    looking = Looking(settings)
    answers = Answers(settings, looking.latest, looking.look)
    answers.metrics = exposition(Scraped(answers, looking))
    access = Access(settings.access["networks"], settings.access["token"])
    if settings.access["hosts"]:
        Names(settings.access["hosts"], access).start()
    addresses = [("127.0.0.1", given.port)]
    if settings.tls is not None:
        addresses.append((settings.tls["address"] or "127.0.0.1", settings.tls["port"]))
    sockets = listening_sockets(addresses, os.environ)
    looking.start(settings.member["stale_after"] if settings.member else 0.0)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, Application(answers, access), sockets))
    return 0


if __name__ == "__main__":
    sys.exit(main())
