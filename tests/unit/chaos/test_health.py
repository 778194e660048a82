# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operation left over is named, and a cluster that is whole has nothing to name."""

from __future__ import annotations

import typing as t

import health
import pytest

GROUPS = {"repositories": ["repo-a"], "gateways": ["gateway"], "observers": ["observer"]}


class Said(t.NamedTuple):
    rc: int
    stdout: str = ""


class Host:
    def __init__(self, lab: Lab, name: str) -> None:
        self.lab, self.name = lab, name

    def run(self, command: str, *words: str) -> Said:
        if "is-active" in command:
            return Said(0 if (self.name, words[0]) in self.lab.active else 3)
        marks = [mark for name, mark in self.lab.marks if name == self.name and f" {mark}" in command]
        return Said(0, "\n".join(marks) if "ls -d" in command else "")


class Lab:
    """A lab of which only units and marks are known."""

    members = ("pg-a1", "pg-a2")

    def __init__(self) -> None:
        hosts = (*self.members, "gateway", "observer")
        self.active = {(name, health.AGENT) for name in hosts} | {("repo-a", "resilience-receivewal.service")}
        self.marks: set[tuple[str, str]] = set()

    def group(self, name: str) -> list[str]:
        return GROUPS[name]

    def on(self, name: str) -> Host:
        return Host(self, name)


def left_over(lab: Lab) -> list[str]:
    return health.left_over(t.cast("t.Any", lab))


def test_nothing_is_left_over_of_a_whole_cluster() -> None:
    assert left_over(Lab()) == []


@pytest.mark.parametrize("host", ["pg-a2", "gateway", "observer"])
def test_an_agent_that_does_not_run_is_named(host: str) -> None:
    lab = Lab()
    lab.active.remove((host, health.AGENT))
    assert left_over(lab) == [f"{host}: the health agent does not run"]


def test_a_host_that_was_not_made_whole_is_named() -> None:
    lab = Lab()
    lab.marks.add(("pg-a1", "incomplete"))
    assert left_over(lab) == ["pg-a1: incomplete"]
