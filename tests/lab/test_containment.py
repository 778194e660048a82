# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No packet of a test can leave the machine. Routes are asked for, never tried."""

from __future__ import annotations

import pytest
import testinfra
from lab_hosts import Lab

#: An address for documentation (RFC 5737): nobody has it.
OUTSIDE = "203.0.113.1"
BENCHMARK_RANGE = "198.18.0.0/15"


def test_no_host_has_a_route_out(lab: Lab) -> None:
    for name in lab.group("all"):
        answer = lab.on(name).run("ip route get %s", OUTSIDE)
        assert answer.rc != 0, f"{name} would send to {OUTSIDE}: {answer.stdout}"


@pytest.mark.parametrize("address", ["198.18.255.254", "198.19.255.254"])
def test_the_control_node_never_sends_lab_traffic_out(address: str) -> None:
    """A lab address that no host has is unreachable at once or stays on the lab's own bridge: nothing leaves."""
    here = testinfra.get_host("local://")
    catch_all = here.run("ip route show %s", BENCHMARK_RANGE).stdout
    assert catch_all.startswith("unreachable"), catch_all
    route = here.run("ip route get %s", address)
    assert route.rc != 0 or " via " not in route.stdout, route.stdout


def test_hosts_are_where_their_region_is(lab: Lab) -> None:
    regions: dict[str, set[str]] = {}
    for name in lab.group("all"):
        address = lab.variable(name, "ansible_host")
        assert address in lab.said(name, "hostname -I").split(), name
        regions.setdefault(lab.variable(name, "resilience_region"), set()).add(address.rsplit(".", 1)[0])
    assert len(regions) == 3
    assert all(len(blocks) == 1 for blocks in regions.values()), regions


def test_all_hosts_know_each_other_by_name(lab: Lab) -> None:
    for name in lab.group("all"):
        for other in lab.group("all"):
            assert lab.variable(other, "ansible_host") in lab.said(name, "getent ahostsv4 %s", other), (name, other)
