# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys from escrow, fetched on the control node: never from a host that may be the one that is lost."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import escrow
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import run
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    InputError,
    ResilienceError,
    UnknownError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import keys
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Verdict, worst
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.variables import ClusterVariables

Result = dict[str, t.Any]

ARGUMENTS: t.Final[dict[str, t.Any]] = {
    "state": {"type": "str", "choices": ["fetched", "checked"], "default": "fetched"},
    "key_ids": {"type": "list", "elements": "str", "default": []},
    "backups": {"type": "list", "elements": "dict", "default": []},
    "catalogue": {"type": "str"},
    "present": {"type": "list", "elements": "str"},
    "escrow": {"type": "raw"},
    "cluster": {"type": "str"},
    "timeout": {"type": "float", "default": 60.0},
}


class ActionModule(ActionBase):
    """Asks escrow on the control node, whatever host the task is for."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        variables = task_vars or {}
        super().run(tmp, variables)
        _validation, given = self.validate_argument_spec(ARGUMENTS)
        try:
            source = self._source(given, variables)
            if given["state"] == "checked":
                return self._checked(given, source)
            return self._fetched(given, escrow.demand_escrow(source))
        except ResilienceError as error:
            return {"failed": True, **error.as_result()}

    def _source(self, given: Result, variables: Result) -> t.Any:
        if given["escrow"] is not None:
            return given["escrow"]
        cluster = given["cluster"] or str(variables.get("resilience_cluster", ""))
        return ClusterVariables(variables, cluster, self._templar.template).setting("resilience_key_escrow")

    def _ask(self, source: str | list[str], names: t.Iterable[str], timeout: float) -> dict[str, escrow.Found]:
        load = self._loader.load_from_file
        return {name: escrow.fetch(source, name, run, load, timeout) for name in dict.fromkeys(names)}

    def _fetched(self, given: Result, source: str | list[str]) -> Result:
        if not given["key_ids"]:
            raise InputError("no key is asked for", possible="key_ids, the names of keys as the catalogue has them")
        found = self._ask(source, given["key_ids"], given["timeout"])
        bad = [one for one in found.values() if one.verdict is not Verdict.PASSED]
        if bad:
            kind = InputError if all(one.verdict is Verdict.FAILED for one in bad) else UnknownError
            raise kind(
                "; ".join(one.reason for one in bad),
                next_step="put the key into escrow under its name (filter key_id), or make escrow answer",
            )
        # Whatever a task says of no_log: this is never shown.
        return {
            "changed": False,
            "keys": {name: one.passphrase for name, one in found.items()},
            "_ansible_no_log": True,
        }

    def _checked(self, given: Result, source: t.Any) -> Result:
        backups = list(given["backups"])
        if given["catalogue"] is not None:
            backups += keys.catalogue(given["catalogue"], given["present"])
        needed = keys.wanted(backups)
        answers = self._ask(escrow.demand_escrow(source), needed.keys, given["timeout"]) if source else {}
        checks = keys.in_escrow(needed, answers)
        return {
            "changed": False,
            "verdict": worst(checks).value,
            "checks": [check.as_dict() for check in checks],
            "key_ids": list(needed.keys),
        }
