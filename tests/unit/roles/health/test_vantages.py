# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three places watch one service, each with a control target of its own, and a fourth agent counts what they see.

Real agents and real ports of this host. No network is between them: a place is cut off by taking away what it asks.
"""

from __future__ import annotations

import contextlib
import socket
import typing as t

import pytest
from real_agent import Agent, agent_of, why_not

REASON = why_not()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(REASON is not None, reason=REASON or "")]
ACCESS = {"networks": ["127.0.0.0/8"]}


class Port:
    """A port that accepts until it is taken away, and again once it is given back."""

    def __init__(self) -> None:
        self._listener = self._open(0)
        self.number: int = self._listener.getsockname()[1]

    @staticmethod
    def _open(number: int) -> socket.socket:
        return socket.create_server(("127.0.0.1", number), backlog=1000)

    def close(self) -> None:
        self._listener.close()

    @contextlib.contextmanager
    def gone(self) -> t.Iterator[None]:
        self.close()
        try:
            yield
        finally:
            self._listener = self._open(self.number)


class Places:
    """What each place asks: a port that leads to the service, and its control target."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.services = {name: stack.enter_context(contextlib.closing(Port())) for name in "abc"}
        self.controls = {name: stack.enter_context(contextlib.closing(Port())) for name in "abc"}
        self.agents = {name: stack.enter_context(self._agent(name)) for name in "abc"}
        points = {name: {"url": f"http://127.0.0.1:{one.port}"} for name, one in self.agents.items()}
        world = {"kind": "vantages", "points": points, "every": 0.25, "deadline": 2}
        self.observer = stack.enter_context(agent_of({"access": ACCESS, "checks": {"world": world}}))

    def _agent(self, name: str) -> contextlib.AbstractContextManager[Agent]:
        ports = {"service": self.services[name], "control": self.controls[name]}
        checks = {
            what: {"kind": "tcp", "host": "127.0.0.1", "port": port.number, "every": 0.25}
            for what, port in ports.items()
        }
        return agent_of({"access": ACCESS, "checks": checks})

    def until(self, own: str, said: str) -> None:
        def found(_code: int, body: dict[str, t.Any]) -> bool:
            one = body["components"]["world"]
            return bool(one["own"] == own and said in one["reason"])

        self.observer.until("/healthz", found, within=10)


@pytest.fixture(scope="module")
def places() -> t.Iterator[Places]:
    with contextlib.ExitStack() as stack:
        yield Places(stack)


@pytest.fixture(autouse=True)
def well(places: Places) -> None:
    places.until("pass", "0 of 3 see it fail")


def test_one_place_that_sees_it_fail_warns_and_two_are_a_majority(places: Places) -> None:
    with places.services["a"].gone():
        places.until("warn", "1 of 3 see it fail: a")
        with places.services["b"].gone():
            places.until("fail", "2 of 3 see it fail: a")


def test_a_place_that_lost_its_own_network_has_no_vote(places: Places) -> None:
    with places.services["a"].gone(), places.controls["a"].gone():
        places.until("pass", "0 of 2 see it fail; left out: a")
        # Of the two that are left, one is no majority.
        with places.services["b"].gone():
            places.until("unknown", "no majority: 1 of 2 see it fail: b")


def test_without_a_quorum_nothing_is_known(places: Places) -> None:
    with contextlib.ExitStack() as lost:
        for name in "ab":
            lost.enter_context(places.services[name].gone())
            lost.enter_context(places.controls[name].gone())
        places.until("unknown", "no majority: 0 of 1 see it fail; left out: a, b; 3 are asked")
