# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent answers, from the last results and their age alone: nothing in here could wait."""

from __future__ import annotations

import functools
import hmac
import ipaddress
import json
import time
import typing as t
from dataclasses import asdict, dataclass
from urllib.parse import parse_qs

from ansible_collections.fraiseql.resilience.plugins.module_utils.health.settings import (
    HEALTHZ,
    POSTGRESQL,
    READYZ,
    Settings,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.health.watch import seen_now
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health import dependencies, member, status
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.dependencies import Standing
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.member import Result
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Judged, Look, Status

METHODS = ("GET", "HEAD", "OPTIONS")
#: Questions to the member's reading alone: they have to be as quick as the reading is.
QUESTIONS: dict[str, member.Question] = {"/primary": member.primary, "/replica": member.replica}
LIVEZ, STARTUPZ, METRICS = "/livez", "/startupz", "/metrics"
JSON, TEXT = "application/health+json", "text/plain; version=0.0.4; charset=utf-8"
#: Answers are the same for this long, in seconds, so that many that ask at once cost as one.
TICK = 0.01

Body = dict[str, t.Any]


@dataclass(frozen=True)
class Answer:
    code: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True)
class Caller:
    """``details``: more than a status may be told. ``refused``: by a token that is wrong."""

    details: bool
    refused: bool = False


class Access:
    """Who is told more than a status: whoever has the token, or asks from a network that is listed."""

    def __init__(self, networks: t.Sequence[t.Any], token: str) -> None:
        self._listed_networks = networks
        self._networks = tuple(networks)
        self._token = f"Bearer {token}".encode() if token else b""
        self._known: dict[str, bool] = {}

    def also(self, networks: t.Sequence[t.Any]) -> None:
        """These, besides those that are listed; what was known of addresses is looked up anew."""
        self._networks = (*self._listed_networks, *networks)
        self._known = {}

    def caller(self, address: str, authorization: bytes) -> Caller:
        if self._token and authorization:
            right = hmac.compare_digest(authorization, self._token)
            return Caller(details=right, refused=not right)
        return Caller(details=self._near(address))

    def _near(self, address: str) -> bool:
        # Another thread may put an empty one in its place.
        known = self._known
        if address not in known:
            if len(known) > 1000:
                known.clear()
            known[address] = self._listed(address)
        return known[address]

    def _listed(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        # A socket for IPv6 and IPv4 tells IPv4 addresses as a part of IPv6.
        mapped = getattr(found, "ipv4_mapped", None)
        return any((mapped or found) in network for network in self._networks)


class Answers:
    """
    :param latest: the member's last result.
    :param looks: by check, its last look.
    """

    def __init__(
        self,
        settings: Settings,
        latest: t.Callable[[], Result | None],
        looks: t.Callable[[str], Look | None],
        now: t.Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._latest = latest
        self._looks = looks
        #: What a scraper is told.
        self.metrics: t.Callable[[], bytes] = bytes
        self._now = now
        self._started = False
        self._tick = -1
        self._same: dict[tuple[str, str, bool], tuple[int, bytes]] = {}
        self._paths: dict[str, t.Callable[[str], tuple[Status, Body]]] = {
            LIVEZ: self._live,
            STARTUPZ: self._startup,
            READYZ: lambda _query: self._endpoint(READYZ),
            HEALTHZ: lambda _query: self._endpoint(HEALTHZ),
        }
        if settings.member is not None:
            self._paths |= {path: functools.partial(self._question, path) for path in QUESTIONS}

    @property
    def paths(self) -> list[str]:
        return [*self._paths, METRICS]

    def respond(self, method: str, path: str, query: str, caller: Caller) -> Answer:
        if method not in METHODS:
            allowed = f"possible methods: {', '.join(METHODS)}"
            return self._answer(method, 405, {"status": "fail", "output": allowed})
        if caller.refused and path in {HEALTHZ, METRICS}:
            return self._answer(method, 401, {"status": "fail", "output": "this token is not the right one"})
        if path == METRICS:
            return self._scraped(method, caller)
        if path not in self._paths:
            possible = f"possible paths: {', '.join(self.paths)}"
            return self._answer(method, 404, {"status": "fail", "output": possible})
        try:
            code, payload = self._once(path, query, caller.details)
        except ValueError as error:
            return self._answer(method, 400, {"status": "fail", "output": str(error)})
        return self._headed(method, code, payload, JSON)

    def fresh(self, name: str) -> Look | None:
        """The last look of a check, unless it is too old: then what it found is not known any more."""
        look = self._looks(name)
        too_old = look is None or self._now() - look.began > self._settings.checks[name].stale_after
        return None if too_old else look

    def standings(self, names: t.Container[str] | None = None) -> dict[str, Standing]:
        """All components and endpoints, or those named, which have to hold all that they need."""
        return self._standings(self._latest(), names)

    def _standings(self, result: Result | None, names: t.Container[str] | None) -> dict[str, Standing]:
        order = [name for name in self._settings.order if names is None or name in names]
        return dependencies.cascade(self._settings.needs, order, {name: self._own(name, result) for name in order})

    def _own(self, name: str, result: Result | None) -> Judged:
        if name == POSTGRESQL:
            return self._asked(result, member.ready)
        if name in self._settings.checks:
            return status.judge(self._looks(name), self._now(), self._settings.checks[name].stale_after)
        return dependencies.PASSED if self._settings.needs[name] or name == READYZ else status.NEVER

    def _asked(self, result: Result | None, question: member.Question, lag: int | None = None) -> Judged:
        stale_after = (self._settings.member or {"stale_after": 0.0})["stale_after"]
        return member.judge(result, self._now(), stale_after, question, lag)

    # --- one for each path --------------------------------------------------------------------------------------------

    def _live(self, _query: str) -> tuple[Status, Body]:
        return Status.PASS, {"output": "the agent runs"}

    def _startup(self, _query: str) -> tuple[Status, Body]:
        """Passes for good once everything was looked at and PostgreSQL has answered: a start ends only once."""
        if not self._started:
            waiting = [name for name in self._settings.checks if self._looks(name) is None]
            result = self._latest()
            if self._settings.member is not None and (result is None or result.reading is None):
                waiting.append(POSTGRESQL)
            if waiting:
                return Status.FAIL, {"output": f"not seen yet: {', '.join(waiting)}"}
            self._started = True
        return Status.PASS, {"output": "started"}

    def _question(self, path: str, query: str) -> tuple[Status, Body]:
        # Of one result, all of it: the watcher goes on meanwhile, and a standby becomes a primary.
        result = self._latest()
        judged = self._asked(result, QUESTIONS[path], _lag(query))
        return judged.status, {"output": judged.reason, "checks": _age(judged, result), **_reading(result)}

    def _endpoint(self, endpoint: str) -> tuple[Status, Body]:
        result = self._latest()
        found = self._standings(result, self._needed(endpoint))
        standing = found.pop(endpoint)
        body: Body = {"output": self._output(standing, found), "checks": self._checks(found, result)}
        body["components"] = {name: _component(one) for name, one in found.items()}
        return standing.status, {**body, **_reading(result)}

    def _needed(self, name: str) -> set[str]:
        needs = self._settings.needs
        return {name}.union(*(self._needed(other) for other in needs[name]))

    def _output(self, standing: Standing, found: t.Mapping[str, Standing]) -> str:
        if standing.causes:
            return "; ".join(f"{cause}: {found[cause].own.reason}" for cause in standing.causes)
        return found[POSTGRESQL].own.reason if POSTGRESQL in found else standing.own.reason

    def _checks(self, found: t.Mapping[str, Standing], result: Result | None) -> Body:
        """As application/health+json lists them: by component and measure, an entry for each that was measured."""
        checks: Body = _age(found[POSTGRESQL].own, result) if POSTGRESQL in found else {}
        for name in found:
            look = self.fresh(name) if name in self._settings.checks else None
            for one in look.findings if look else ():
                entry: Body = {
                    "componentType": self._settings.checks[name].kind.component,
                    "status": one.status.word,
                    "output": one.reason,
                    "time": look.seen_at if look else "",
                }
                entry |= {"componentId": one.of} if one.of else {}
                if one.value is not None:
                    entry |= {"observedValue": round(one.value, 6), "observedUnit": one.unit}
                checks.setdefault(f"{name}:{one.measure}", []).append(entry)
        return checks

    # --- HTTP ---------------------------------------------------------------------------------------------------------

    def _once(self, path: str, query: str, details: bool) -> tuple[int, bytes]:
        tick = int(self._now() / TICK)
        if tick != self._tick:
            self._tick = tick
            self._same.clear()
        key = (path, query, details)
        if key not in self._same:
            found, body = self._paths[path](query)
            told: Body = {"status": found.word}
            if path == LIVEZ:
                told["time"] = seen_now()
            if details:
                service = {"serviceId": self._settings.service} if self._settings.service else {}
                told |= {**service, **body}
            self._same[key] = (200 if found.serves else 503, _encoded(told))
        return self._same[key]

    def _scraped(self, method: str, caller: Caller) -> Answer:
        if not caller.details:
            return self._answer(method, 403, {"status": "fail", "output": "only for those who may see details"})
        return self._headed(method, 200, self.metrics(), TEXT)

    def _answer(self, method: str, code: int, body: Body) -> Answer:
        return self._headed(method, code, _encoded(body), JSON)

    def _headed(self, method: str, code: int, payload: bytes, kind: str) -> Answer:
        headers = [("Content-Type", kind), ("Cache-Control", "no-store")]
        if code == 405 or method == "OPTIONS":
            headers.append(("Allow", ", ".join(METHODS)))
        if code == 401:
            headers.append(("WWW-Authenticate", "Bearer"))
        if method == "OPTIONS":
            payload = b""
        headers.append(("Content-Length", str(len(payload))))
        return Answer(code, tuple(headers), b"" if method == "HEAD" else payload)


def _encoded(body: Body) -> bytes:
    return (json.dumps(body) + "\n").encode()


def _age(judged: Judged, result: Result | None) -> Body:
    check: Body = {"componentType": "datastore", "status": judged.status.word, "output": judged.reason}
    if result is not None and judged.age is not None:
        check |= {"observedValue": round(judged.age, 3), "observedUnit": "s", "time": result.seen_at}
    return {f"{POSTGRESQL}:age": [check]}


def _reading(result: Result | None) -> Body:
    return {} if result is None or result.reading is None else {"reading": asdict(result.reading)}


def _component(standing: Standing) -> Body:
    """``status``: with all that it needs; ``own``: without. Both know a fourth word: unknown."""
    told: Body = {"status": standing.status.value, "own": standing.own.status.value, "reason": standing.reason}
    told |= {"fault": standing.fault.value, "causes": list(standing.causes)}
    if standing.own.age is not None:
        told["age_seconds"] = round(standing.own.age, 3)
    return told


def _lag(query: str) -> int | None:
    """The limit in bytes of ``?lag=``, if there is one."""
    values = parse_qs(query, keep_blank_values=True).get("lag")
    if values is None:
        return None
    if not values[-1].isascii() or not values[-1].isdigit():
        raise ValueError(f"lag is a number of bytes, such as lag=16777216; given: {values[-1]!r}")
    return int(values[-1])
