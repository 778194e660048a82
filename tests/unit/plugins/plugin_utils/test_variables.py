# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.variables import ClusterVariables


def seen(own: dict[str, t.Any], **hosts: dict[str, t.Any]) -> ClusterVariables:
    variables = {**own, "groups": {"orders": list(hosts)}, "hostvars": hosts}
    return ClusterVariables(variables, "orders", lambda value: f"templated {value}")


def test_the_cluster_goes_before_the_tasks_own_host() -> None:
    known = seen({"a": "own", "b": "own"}, pg1={"a": "theirs"}, pg2={})
    assert (known.setting("a"), known.setting("b"), known.setting("c")) == ("theirs", "templated own", None)


def test_hosts_that_do_not_agree_set_nothing() -> None:
    with pytest.raises(InputError, match="hosts of orders do not agree about a"):
        seen({}, pg1={"a": "ssh"}, pg2={"a": "none"}).setting("a")


def test_a_cluster_that_is_not_there_says_nothing() -> None:
    assert ClusterVariables({"a": 1}, "orders", lambda value: value).setting("a") == 1


def test_where_hosts_differ_each_has_its_say() -> None:
    known = seen({"keep_x": "own", "other": 1}, pg1={"keep_a": 1, "keep_b": True}, pg2={"keep_a": 1, "keep_b": False})
    found = known.matching(lambda name: name.startswith("keep_"))
    assert found == {"keep_a": 1, "keep_b": {"pg1": True, "pg2": False}, "keep_x": "templated own"}
