# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.confirmation import confirm, known_clusters

GROUPS = {
    "all": ["pg-1", "pg-2", "pg-3", "watch", "watch-2"],
    "ungrouped": [],
    "members": ["pg-1", "pg-2", "pg-3"],
    "observers": ["watch", "watch-2"],
    "gateways": ["watch"],
    "orders": ["pg-1", "pg-2", "watch"],
    "billing": ["pg-3", "watch-2"],
    "rack-7": ["pg-1"],
}
FUNCTIONS = ["members", "observers"]


def test_clusters_are_groups_with_members_and_observers() -> None:
    assert known_clusters(GROUPS, FUNCTIONS) == ["billing", "orders"]


def test_an_inventory_without_the_groups_by_function_has_no_clusters() -> None:
    assert known_clusters({"all": ["a"], "orders": ["a"]}, FUNCTIONS) == []


def test_a_group_by_function_is_no_cluster_even_where_one_host_does_everything() -> None:
    groups = {"all": ["one"], "members": ["one"], "observers": ["one"], "gateways": ["one"], "orders": ["one", "two"]}
    assert known_clusters(groups, FUNCTIONS) == ["orders"]


def test_the_confirmed_cluster_is_answered() -> None:
    assert confirm("orders", "orders", ["billing", "orders"]) == "orders"


def test_reading_a_plan_needs_no_confirmation() -> None:
    assert confirm("orders", None, ["orders"], destructive=False) == "orders"


@pytest.mark.parametrize("cluster", [None, "", "order"])
def test_no_or_unknown_cluster_names_the_possible_ones(cluster: str | None) -> None:
    with pytest.raises(InputError) as caught:
        confirm(cluster, cluster, ["billing", "orders"])
    message = caught.value.as_result()["msg"]
    assert "billing, orders" in message
    assert "Nothing was changed." in message


@pytest.mark.parametrize("confirmation", [None, "", "billing", "Orders", "yes"])
def test_a_missing_or_foreign_confirmation_is_refused(confirmation: str | None) -> None:
    with pytest.raises(RefusedError) as caught:
        confirm("orders", confirmation, ["billing", "orders"])
    result = caught.value.as_result()
    assert result["changed"] is False
    assert "resilience_confirm=orders" in result["msg"]
