# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing is changed unconfirmed, however the run was narrowed down and whatever the groups are called."""

from __future__ import annotations

import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from local_play import played

#: Who is met first by each playbook that changes something, beside localhost.
FIRST = {
    "drill": "Observer.1",
    "failback": "Observer.1",
    "failover": "Observer.1",
    "rejoin": "Observer.1",
    "restore": "Observer.1",
    "restore_commit": "9-pg.A",
    "retire_repository_key": "repo",
    "rotate_certificates": "repo",
    "rotate_repository_key": "repo",
    "switchover": "Observer.1",
}
CLUSTER = "Orders-1.eu"


def run(
    folder: Path,
    name: str,
    *options: str,
    members: str = "members",
    gateways: t.Sequence[str] = ("Observer.1",),
    **variables: t.Any,
) -> subprocess.CompletedProcess[str]:
    groups = {members: "9-pg.A", "observers": "Observer.1", "repositories": "repo"}
    hosts = {"9-pg.A": {"resilience_region": "a"}, "repo": {"resilience_region": "a"}, "Observer.1": {}}
    inventory = {
        "all": {
            "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
            "children": {
                CLUSTER: {"hosts": hosts, "vars": {"resilience_cluster": CLUSTER, **variables}},
                **{group: {"hosts": {host: {}}} for group, host in groups.items()},
                "gateways": {"hosts": {host: {} for host in gateways}},
            },
        }
    }
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
    return played(folder, f"fraiseql.resilience.{name}", "-e", f"resilience_cluster={CLUSTER}", *options)


@pytest.mark.parametrize("name", sorted(FIRST))
def test_a_limit_that_leaves_localhost_out_does_not_leave_the_confirmation_out(tmp_path: Path, name: str) -> None:
    ended = run(tmp_path, name, "--limit", FIRST[name], "-e", "resilience_scenario=data_loss")
    assert ended.returncode != 0
    assert "this run has asked nobody to confirm it" in ended.stdout, ended.stdout
    assert "Next: run it without --limit, or add localhost to it" in ended.stdout


def test_a_plan_needs_no_confirmation_and_can_be_narrowed_down(tmp_path: Path) -> None:
    ended = run(tmp_path, "restore_commit", "--limit", FIRST["restore_commit"], "--check")
    assert "this run has asked nobody" not in ended.stdout
    assert "this host is no member" in ended.stdout


def test_clients_of_another_gateway_are_not_forgotten(tmp_path: Path) -> None:
    """A switchover holds the clients of one; that those of the others fail is said before anything happens."""
    options = ["-e", f"resilience_confirm={CLUSTER}"]
    ended = run(tmp_path, "switchover", *options, gateways=["Observer.1", "9-pg.A"])
    assert ended.returncode != 0
    said = " ".join(ended.stdout.split())
    assert "9-pg.A would hold its clients; those of Observer.1 would not be held" in said, said
    options += ["-e", "resilience_accept_unheld=readers"]
    ended = run(tmp_path, "switchover", *options, gateways=["Observer.1", "9-pg.A"])
    assert "would not be held" not in ended.stdout


def test_groups_may_have_other_names_on_the_command_line(tmp_path: Path) -> None:
    options = ["-e", "resilience_members_group=databases", "-e", f"resilience_confirm={CLUSTER}"]
    ended = run(tmp_path, "restore_commit", *options, members="databases")
    assert "there is no cluster named" not in ended.stdout
    assert "this host is no member" in ended.stdout, ended.stdout


def test_a_group_that_the_inventory_alone_names_is_said_before_a_play_finds_nobody(tmp_path: Path) -> None:
    options = ["-e", f"resilience_confirm={CLUSTER}"]
    ended = run(tmp_path, "status", *options, members="members", resilience_observers_group="watchers")
    assert ended.returncode != 0
    assert "run it again with -e resilience_observers_group=watchers" in ended.stdout, ended.stdout


@pytest.mark.parametrize("name", ["failover", "detect"])
def test_a_reason_with_blanks_is_not_taken_for_its_first_word(tmp_path: Path, name: str) -> None:
    """Ansible itself takes ``data`` for the reason, and the evidence would say no more."""
    options = ["-e", f"resilience_confirm={CLUSTER}", "-e"]
    ended = run(tmp_path, name, *options, "resilience_accept_loss=data centre a is dark")
    said = " ".join(ended.stdout.split())
    assert ended.returncode != 0
    assert "words after -e belong to no variable" in said, said
    assert "Given: centre a is dark. Possible: quotes of its own" in said and "Nothing was changed" in said, said
    ended = run(tmp_path, name, *options, 'resilience_accept_loss="data centre a is dark"')
    assert "belong to no variable" not in ended.stdout


def test_a_target_with_blanks_is_not_taken_for_midnight(tmp_path: Path) -> None:
    ended = run(tmp_path, "restore", "-e", "resilience_restore_target=2026-11-27 10:00:00+00", "--check")
    assert ended.returncode != 0
    assert "Given: 10:00:00+00. Possible: quotes of its own" in " ".join(ended.stdout.split()), ended.stdout
