# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asked first in every destructive playbook, before any host is touched, and once more by the plays that follow."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    InputError,
    RefusedError,
    ResilienceError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.confirmation import confirm, known_clusters
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import current
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.variables import ClusterVariables

ARGUMENTS: t.Final[dict[str, t.Any]] = {
    "state": {"type": "str", "default": "asked", "choices": ["asked", "given"]},
    "cluster": {"type": "str"},
    "confirmation": {"type": "str"},
    "functions": {"type": "list", "elements": "str", "default": ["members", "observers"]},
}
#: Groups by function that a play's own hosts are chosen by.
GROUPS: t.Final = {
    "resilience_members_group": "members",
    "resilience_repositories_group": "repositories",
    "resilience_gateways_group": "gateways",
    "resilience_observers_group": "observers",
}


class ActionModule(ActionBase):
    """Reads the inventory, which only the control node has."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        super().run(tmp, variables)
        _validation, given = self.validate_argument_spec(ARGUMENTS)
        known = known_clusters(variables.get("groups", {}), given["functions"])
        try:
            if given["state"] == "given":
                cluster = self._given()
            else:
                asked = load_extra_vars(self._loader)
                _demand_whole_values(asked)
                cluster = confirm(given["cluster"], given["confirmation"], known, destructive=not self._task.check_mode)
                self._demand_group_names(variables, cluster, asked)
        except ResilienceError as error:
            return {"failed": True, **error.as_result()}
        return {"changed": False, "cluster": cluster, "known": known}

    def _given(self) -> str | None:
        """The cluster of the evidence that this run has opened, which it does once it was confirmed and approved.

        :raises RefusedError: it has opened none, so nobody was asked.
        """
        bundle = current.opened()
        if bundle is not None:
            return str(bundle.opening()["cluster"])
        if self._task.check_mode:
            return None
        raise RefusedError(
            "this run has asked nobody to confirm it: its first play, which asks on localhost, was left out",
            given="a --limit, or another choice of hosts, without localhost",
            next_step="run it without --limit, or add localhost to it",
        )

    def _demand_group_names(self, variables: dict[str, t.Any], cluster: str, asked: t.Mapping[str, t.Any]) -> None:
        """The plays ask for the groups that the cluster's hosts name: a play's hosts know the command line alone.

        :raises InputError: a group has another name in the inventory only, so its plays would find nobody.
        """
        said = ClusterVariables(variables, cluster, self._templar.template)
        for name, usual in GROUPS.items():
            group = said.setting(name)
            if group not in (None, usual) and name not in asked:
                raise InputError(
                    f"{name} is set in the inventory alone, where a play that chooses its hosts cannot see it",
                    given=f"{name}={group}",
                    possible=f"a group named {usual}, or the name on the command line",
                    next_step=f"run it again with -e {name}={group}",
                )


def _demand_whole_values(asked: t.Mapping[str, t.Any]) -> None:
    """Of ``-e 'reason=region a is dark'`` Ansible takes ``region`` for the reason, and says nothing of the rest.

    :raises InputError: such a rest was given, so some value is not what was meant.
    """
    if "_raw_params" in asked:
        raise InputError(
            "words after -e belong to no variable: a value with blanks ends at the first one",
            given=str(asked["_raw_params"]),
            possible="quotes of its own around the value: -e 'resilience_accept_loss=\"region a is dark\"'",
        )
