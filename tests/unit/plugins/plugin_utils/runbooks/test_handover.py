# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that a step starts is like the one around it, and no secret is on its command line."""

from __future__ import annotations

import json
import stat
import types
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.common.collections import ImmutableDict

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import handover

OPTIONS: dict[str, t.Any] = {
    "extra_vars": ("@site.yml", "a=1 b='x y'", '{"c": [2]}'),
    "remote_user": "dba",
    "ssh_common_args": "-o ProxyJump=gate",
    "timeout": 7,
    "private_key_file": None,
    "become": True,
    "vault_ids": ["prod@prompt"],
}


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., handover.Call]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site.yml").write_text("d: 4\n")
    folder = tmp_path / "step"
    folder.mkdir()

    def call(check: bool = False, **options: t.Any) -> handover.Call:
        monkeypatch.setattr(handover.context, "CLIARGS", ImmutableDict({**OPTIONS, **options}))
        secret = types.SimpleNamespace(bytes=b"open sesame")
        loader = types.SimpleNamespace(_vault=types.SimpleNamespace(secrets=[("prod", secret)]))
        variables = {"ansible_inventory_sources": ["/srv/hosts.yml", "a,b,"]}
        outer = handover.Outer(variables, ("hunter2", "swordfish"), loader)
        return outer.call(folder, "fraiseql.resilience.status", {"resilience_cluster": "orders"}, check=check)

    return call


def test_inventory_and_connection_are_the_same(called: t.Callable[..., handover.Call]) -> None:
    argv = called(check=True).argv
    assert {"--inventory=/srv/hosts.yml", "--inventory=a,b,", "--user=dba", "--timeout=7", "--become"} <= set(argv)
    assert "--ssh-common-args=-o ProxyJump=gate" in argv
    assert not [word for word in argv if word.startswith("--private-key")]
    assert argv[-2:] == ["--check", "fraiseql.resilience.status"]


def test_variables_come_in_their_order_and_the_steps_own_last(called: t.Callable[..., handover.Call]) -> None:
    given = [word.partition("=")[2] for word in called().argv if word.startswith("--extra-vars=")]
    assert given[0] == "@site.yml"
    read = [json.loads(Path(one[1:]).read_text()) for one in given[1:]]
    assert read == [{"a": "1", "b": "x y"}, {"c": [2]}, {"resilience_cluster": "orders"}]


def test_secrets_are_in_files_that_nobody_else_reads(called: t.Callable[..., handover.Call], tmp_path: Path) -> None:
    call = called()
    assert not [word for word in call.argv if "hunter2" in word or "swordfish" in word or "sesame" in word]
    files = {
        "ANSIBLE_CONNECTION_PASSWORD_FILE": "hunter2",
        "ANSIBLE_BECOME_PASSWORD_FILE": "swordfish",
    }
    for name, password in files.items():
        assert Path(call.environment[name]).read_text() == password
    name, _at, place = call.environment["ANSIBLE_VAULT_IDENTITY_LIST"].partition("@")
    assert (name, Path(place).read_text()) == ("prod", "open sesame")
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "step").iterdir()} == {0o600}
    assert call.environment["ANSIBLE_ASK_VAULT_PASS"] == "0"


def test_what_is_read_once_cannot_be_handed_on(called: t.Callable[..., handover.Call]) -> None:
    with pytest.raises(InputError, match="a pipe is read once"):
        called(extra_vars=("@/dev/null",))
