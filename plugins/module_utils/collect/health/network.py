# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What answers over a network, within a deadline for the whole of it: TCP, HTTP, and the clocks of peers."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from urllib.parse import urlsplit

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.health.member import LookFailed
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.answer import Answer
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.host import Offset
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Status
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.vantage import Sighting

#: What is read of an answer at most, in bytes.
MOST = 1 << 20
T = t.TypeVar("T")


class Refused(LookFailed):
    """The other side is seen not to answer, which is a finding about it."""


def tcp(host: str, port: int, deadline: float) -> float:
    """Seconds that a connection takes.

    :raises Refused: there is none within the deadline.
    """
    begin = time.monotonic()
    try:
        socket.create_connection((host, port), timeout=max(0.01, deadline - begin)).close()
    except OSError as error:
        raise Refused(f"{host}:{port} does not answer: {error}") from error
    return time.monotonic() - begin


def get(url: str, deadline: float, *, token: str = "", ca: str = "") -> Answer:
    """What a GET answers. Each read has what is left of the deadline, so a server that drips ends, too.

    :raises Refused: there is no whole answer within the deadline.
    """
    parts = urlsplit(url)
    begin = time.monotonic()
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with contextlib.closing(_connection(parts.scheme, parts.netloc, ca, deadline - begin)) as connection:
            connection.request("GET", path, headers={**headers, "Connection": "close"})
            if connection.sock is not None:
                connection.sock.settimeout(max(0.01, deadline - time.monotonic()))
            answer = connection.getresponse()
            body = _body(answer, connection, deadline)
    except (OSError, http.client.HTTPException) as error:
        raise Refused(f"{url} does not answer: {error or type(error).__name__}") from error
    return Answer(answer.status, body, time.monotonic() - begin)


def _connection(scheme: str, place: str, ca: str, timeout: float) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(place, timeout=max(0.01, timeout))
    context = ssl.create_default_context(cafile=ca or None)
    # As libpq verifies; from 3.13 on, Python also asks authorities for their key usage.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return http.client.HTTPSConnection(place, timeout=max(0.01, timeout), context=context)


def _body(answer: http.client.HTTPResponse, connection: http.client.HTTPConnection, deadline: float) -> bytes:
    found = b""
    while chunk := answer.read1(65536):
        found += chunk
        left = deadline - time.monotonic()
        if left <= 0 or len(found) > MOST:
            raise TimeoutError("the answer does not end")
        if connection.sock is not None:
            connection.sock.settimeout(left)
    if answer.length:
        raise http.client.IncompleteRead(found, answer.length)
    return found


def offsets(peers: t.Mapping[str, str], deadline: float) -> list[Offset]:
    """Each peer's clock against ours, by what its agent says at ``/livez``: good to half of the round trip."""
    return _all_at_once(lambda name: _offset(name, f"{peers[name]}/livez", deadline), list(peers))


def _offset(peer: str, url: str, deadline: float) -> Offset:
    before = time.time()
    try:
        answer = get(url, deadline)
        theirs = datetime.fromisoformat(json.loads(answer.body)["time"]).timestamp()
    except (LookFailed, ValueError, KeyError, TypeError):
        return Offset(peer, None)
    return Offset(peer, theirs - (before + answer.seconds / 2), answer.seconds / 2)


def leading(members: t.Mapping[str, str], deadline: float) -> dict[str, bool | None]:
    """Who says at ``/primary`` that it is the primary, and serves as one; None of whoever gives no answer."""
    names = list(members)
    return dict(zip(names, _all_at_once(lambda name: _leads(f"{members[name]}/primary", deadline), names), strict=True))


def _leads(url: str, deadline: float) -> bool | None:
    try:
        code = get(url, deadline).code
    except LookFailed:
        return None
    return {200: True, 503: False}.get(code)


def sightings(points: t.Mapping[str, t.Mapping[str, str]], deadline: float) -> list[Sighting]:
    """What other agents see of a service, by their ``/healthz``. An agent that tells nothing sees nothing."""
    return _all_at_once(lambda name: _sighting(name, points[name], deadline), list(points))


def _all_at_once(ask: t.Callable[[str], T], names: t.Sequence[str]) -> list[T]:
    """One that gives no answer must not take the time of the others."""
    with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
        return list(pool.map(ask, names))


def _sighting(name: str, point: t.Mapping[str, str], deadline: float) -> Sighting:
    try:
        answer = get(f"{point['url']}/healthz", deadline, token=point["token"], ca=point["ca"])
        components = json.loads(answer.body)["components"]
        service, control = (components[point[key]] for key in ("service", "control"))
        return Sighting(name, Status(service["own"]), Status(control["own"]), service["reason"])
    except (LookFailed, ValueError, KeyError, TypeError) as error:
        return Sighting(name, Status.UNKNOWN, Status.UNKNOWN, str(error))
