# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a replication slot is."""

from __future__ import annotations

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.slots import slot_name, slots_of


def test_a_slot_is_named_as_postgresql_allows() -> None:
    assert slot_name("Repo-A.receiver") == "repo_a_receiver"


def test_a_member_has_slots_for_all_others_and_none_for_itself() -> None:
    peers = [{"name": "pg-a1"}, {"name": "pg-a2"}]
    assert slots_of({"name": "pg-a1", "peers": peers, "receivers": ["repo-a-receiver"]}) == ["pg_a2", "repo_a_receiver"]
    assert slots_of({"name": "pg-a1", "peers": [{"name": "pg-a1"}], "receivers": []}) == []
