# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys come from escrow under the name that was asked for, or not at all; no run of Ansible shows one."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.fraiseql.resilience.plugins.module_utils.key_id import key_id

SECRET, OTHER = "a passphrase that is never shown", "another one that is never shown"
ID, OTHER_ID = key_id(SECRET), key_id(OTHER)


@pytest.fixture
def escrow(tmp_path: Path) -> list[str]:
    """A command with one right key, and one under a wrong name."""
    folder = tmp_path / "escrow"
    folder.mkdir()
    (folder / ID).write_text(SECRET + "\n")
    (folder / "0123456789abcdef").write_text(OTHER)
    return ["cat", f"{folder}/{{key_id}}"]


def fetch(control: t.Any, escrow: t.Any, *names: str, state: str = "fetched", **more: t.Any) -> t.Any:
    tasks = [
        {"fraiseql.resilience.key_escrow": {"state": state, "escrow": escrow, "key_ids": list(names), **more},
         "register": "found"},
        {"ansible.builtin.copy": {"content": "{{ found | to_json }}", "dest": str(control.folder / "found"),
                                  "mode": "0600"}, "no_log": True},
    ]  # fmt: skip
    answer = control.play(tasks, "-vvv", key=False)
    path = control.folder / "found"
    return answer, json.loads(path.read_text()) if path.exists() else {}


def test_a_key_is_handed_on_and_never_shown(control: t.Any, escrow: list[str]) -> None:
    answer, found = fetch(control, escrow, ID)
    assert answer.rc == 0 and found["keys"] == {ID: SECRET}
    assert SECRET not in answer.stdout


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("0123456789abcdef", f"escrow gives key {OTHER_ID} when it is asked for 0123456789abcdef"),
        ("ffffffffffffffff", "exit code 1 for key ffffffffffffffff"),
    ],
)
def test_another_key_or_none_fails_by_name(control: t.Any, escrow: list[str], name: str, says: str) -> None:
    answer, found = fetch(control, escrow, ID, name)
    assert answer.rc != 0 and found == {}
    assert says in answer.stdout and SECRET not in answer.stdout and OTHER not in answer.stdout


def test_a_vault_is_an_escrow(control: t.Any) -> None:
    vault = control.folder / "escrow.yml"
    vault.write_text(yaml.safe_dump({ID: SECRET}))
    (control.folder / "pass").write_text("vault password\n")
    program = Path(sys.executable).parent / "ansible-vault"
    subprocess.run([program, "encrypt", "--vault-password-file", control.folder / "pass", vault], check=True)
    backups = [{"label": "A", "key_id": ID}, {"label": "B", "key_id": OTHER_ID}]
    answer, found = fetch(control, str(vault), state="checked", backups=backups)
    assert answer.rc == 0 and found["verdict"] == "unknown", "there is no password for the vault"

    tasks = [
        {"fraiseql.resilience.key_escrow": {"state": "checked", "escrow": str(vault), "backups": backups},
         "register": "found"},
        {"ansible.builtin.debug": {"msg": "{{ found.checks | map(attribute='verdict') | join(' ') }}"}},
    ]  # fmt: skip
    answer = control.play(tasks, key=False, ANSIBLE_VAULT_PASSWORD_FILE=str(control.folder / "pass"))
    assert "passed failed" in answer.stdout, answer.stdout


def test_what_is_in_escrow_is_judged_without_handing_it_on(control: t.Any, escrow: list[str]) -> None:
    lines = "\n".join(
        json.dumps({"label": label, "key_id": name}) for label, name in (("A", ID), ("B", "0123456789abcdef"))
    )
    answer, found = fetch(control, escrow, state="checked", catalogue=lines)
    assert answer.rc == 0
    assert [check["verdict"] for check in found["checks"]] == ["passed", "failed"] and found["verdict"] == "failed"
    assert SECRET not in json.dumps(found) and OTHER not in json.dumps(found)
    _answer, one = fetch(control, escrow, state="checked", catalogue=lines, present=["A"])
    assert one["verdict"] == "passed" and one["key_ids"] == [ID]


def test_nobody_to_ask_is_unknown_and_nothing_to_ask_for_proves_nothing(control: t.Any, escrow: list[str]) -> None:
    _answer, found = fetch(control, None, state="checked", backups=[{"label": "A", "key_id": ID}])
    assert found["verdict"] == "unknown"
    _answer, found = fetch(control, escrow, state="checked")
    assert found["verdict"] == "unknown"


@pytest.mark.parametrize("escrow", [None, "", ["pass", "show", "resilience"], {"a": "b"}])
def test_an_escrow_that_cannot_be_asked_by_name_is_refused(control: t.Any, escrow: t.Any) -> None:
    answer, found = fetch(control, escrow, ID)
    assert answer.rc != 0 and found == {} and "resilience_key_escrow" in answer.stdout
