# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catch-all route is there before the first network and goes after the last one. ip and podman are pretended."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[4] / "roles/lab/files/network.sh"
RANGE = "198.18.0.0/15"

# Both keep their state in files under $STATE and note each change in $STATE/log.
IP = """#!/bin/sh
case "$2" in
show) [ ! -e "$STATE/route" ] || echo "unreachable 198.18.0.0/15 metric 4000000" ;;
add) touch "$STATE/route"; echo "route add" >>"$STATE/log" ;;
del) rm "$STATE/route"; echo "route del" >>"$STATE/log" ;;
esac
"""
PODMAN = """#!/bin/bash
name=${@: -1} all=$*
case "$2" in
exists) [ -e "$STATE/networks/$name" ] ;;
ls) for name in $(ls "$STATE/networks"); do
    case "$all" in *label=*=*) grep -q "label=${all##*=}" "$STATE/networks/$name" || continue ;; esac
    echo "$name"
  done ;;
inspect) for name in "${@:5}"; do cut -d' ' -f1 "$STATE/networks/$name"; done ;;
create) [ -e "$STATE/route" ] || exit 9; subnet=${all#*--subnet }
  echo "${subnet%% *} label=${name}" >"$STATE/networks/$name"; echo "network add $name" >>"$STATE/log" ;;
rm) rm "$STATE/networks/$name"; echo "network del $name" >>"$STATE/log" ;;
esac
"""


class Machine:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "networks").mkdir()
        (folder / "log").touch()
        for name, text in (("ip", IP), ("podman", PODMAN)):
            (folder / name).write_text(text, encoding="utf-8")
            (folder / name).chmod(0o755)

    def run(self, verb: str, lab: str = "one", subnet: str = "198.18.0.0/16") -> list[str]:
        environment = {"PATH": f"{self.folder}:/usr/bin:/bin", "STATE": str(self.folder)}
        command = ["bash", str(SCRIPT), verb, lab, subnet, RANGE]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    def foreign(self, name: str, subnet: str) -> None:
        (self.folder / "networks" / name).write_text(f"{subnet} label=none\n", encoding="utf-8")

    @property
    def log(self) -> list[str]:
        return (self.folder / "log").read_text(encoding="utf-8").splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    if not os.access("/run/lock", os.R_OK):
        pytest.skip("no /run/lock on this machine")
    return Machine(tmp_path)


def test_the_route_comes_first_and_goes_last(machine: Machine) -> None:
    machine.run("up")
    machine.run("down")
    assert machine.log == ["route add", "network add one", "network del one", "route del"]


def test_a_second_time_changes_nothing(machine: Machine) -> None:
    assert len(machine.run("up")) == 2
    assert machine.run("up") == []
    assert len(machine.run("down")) == 2
    assert machine.run("down") == []


def test_the_route_stays_for_another_lab(machine: Machine) -> None:
    machine.run("up", "one")
    machine.run("up", "two", "198.19.0.0/16")
    machine.run("down", "one")
    assert machine.log[-1] == "network del one"
    machine.run("down", "two", "198.19.0.0/16")
    assert machine.log[-2:] == ["network del two", "route del"]


def test_the_route_stays_for_any_network_in_its_range_but_for_no_other(machine: Machine) -> None:
    machine.foreign("podman", "10.88.0.0/16")
    machine.foreign("somebodys", "198.19.4.0/24")
    machine.run("up")
    machine.run("down")
    assert machine.log[-1] == "network del one"
    (machine.folder / "networks" / "somebodys").unlink()
    assert machine.run("down") == [f"route: {RANGE}"]


def test_a_network_of_that_name_that_no_lab_made_is_left_alone(machine: Machine) -> None:
    machine.foreign("one", "10.0.0.0/16")
    machine.run("down")
    assert machine.log == []


def test_what_was_cut_off_after_the_route_is_finished_or_undone(machine: Machine) -> None:
    machine.run("up")
    (machine.folder / "networks" / "one").unlink()
    assert machine.run("up") == ["network: one"]
    (machine.folder / "networks" / "one").unlink()
    assert machine.run("down") == [f"route: {RANGE}"]
