# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import circumstances


def test_awx_is_told_about_and_secrets_are_not() -> None:
    variables = {
        "awx_job_id": 42,
        "awx_user_name": "dba",
        "tower_job_id": 42,
        "awx_webhook_payload": {"token": "x"},
        "resilience_probe_password": "x",
        "awx_project_revision": ["odd"],
    }
    awx = circumstances.operator(variables)["awx"]
    assert awx == {"awx_job_id": 42, "awx_user_name": "dba", "tower_job_id": 42, "awx_project_revision": "['odd']"}


def test_the_user_behind_sudo_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "dba")
    assert circumstances.operator({})["user"] == "dba"


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError

    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setattr(circumstances.getpass, "getuser", nobody)
    assert circumstances.operator({})["user"].startswith("uid ")


def test_the_inventory_is_the_cluster_and_holds_no_secret() -> None:
    variables = {
        "groups": {"all": ["a", "b", "c"], "lab": ["a", "b"], "members": ["a", "c"], "observers": ["b"]},
        "hostvars": {"a": {"resilience_region": "a", "resilience_address": "198.18.1.11", "password": "x"}, "b": {}},
    }
    assert circumstances.inventory("lab", variables) == {
        "a": {"groups": ["members"], "region": "a", "address": "198.18.1.11"},
        "b": {"groups": ["observers"], "region": None, "address": None},
    }
    assert circumstances.inventory("other", variables) == {}


def test_versions() -> None:
    assert circumstances.versions("2.19.14")["ansible-core"] == "2.19.14"


def test_the_collection_says_its_version(tmp_path: Path) -> None:
    assert circumstances.collection_version(tmp_path) == "unknown"
    (tmp_path / "galaxy.yml").write_text("name: resilience\nversion: 1.2.3\n")
    assert circumstances.collection_version(tmp_path) == "1.2.3"
    (tmp_path / "MANIFEST.json").write_text(json.dumps({"collection_info": {"version": "1.2.4"}}))
    assert circumstances.collection_version(tmp_path) == "1.2.4"
