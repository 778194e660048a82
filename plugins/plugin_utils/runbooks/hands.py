# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A step of a runbook, done as somebody with a shell alone would: its commands, typed one after the other.

Exit status 0 is success, 1 failure, and any other one unknown; the first command that does not end with 0 decides.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import filling
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import Command, tag
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.walk import Standing
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks.steps import Prepared, Result, Steps

#: Somebody who waits for what a change brings looks again, for as long as this at most.
PATIENCE_SECONDS, LOOK_SECONDS = 60, 2
_STATUS = re.compile(r"exit status (\d+)")


class Hands(Steps):
    """As :class:`Steps`, by the other of a step's two ways."""

    def prepared(self, now: Standing) -> Prepared:
        """
        :raises InputError: nobody does the step by hand, or one of its parameters was not given.
        """
        step, described = now.step, now.book.parameters
        if not step.commands:
            raise InputError(
                f"{now.where} is not done by hand: {step.no_command or 'nothing says how'}",
                next_step="do it with Ansible",
            )
        looks_again = PATIENCE_SECONDS // LOOK_SECONDS if step.id in now.book.verification else 0
        plays = [
            _play(tag(now.book.id, step.id), self._hosts(one.host, described), one, self._parameters, looks_again)
            for one in step.commands
        ]
        return Prepared(plays, {}, check=False, seconds=step.seconds, looks=step.type == "check")

    def run(self, prepared: Prepared) -> Result:
        result = super().run(prepared)
        statuses = [int(match[1]) for match in map(_STATUS.search, result.found.said) if match]
        if result.found.outcome == "failure" and any(status != 1 for status in statuses):
            return dataclasses.replace(result, found=dataclasses.replace(result.found, outcome="unknown"))
        return result


def _play(name: str, hosts: str, command: Command, parameters: t.Mapping[str, t.Any], again: int) -> dict[str, t.Any]:
    typed: dict[str, t.Any] = {
        "name": name,
        # A command is text, whatever braces stand in it.
        "ansible.builtin.shell": {"cmd": f"{{% raw %}}{command.run}{{% endraw %}}", "executable": "/bin/bash"},
        "register": "typed",
        "failed_when": "typed.rc is not defined",
        "changed_when": True,
    }
    if again:
        typed |= {"until": "typed.rc == 0", "retries": again, "delay": LOOK_SECONDS}
    ended = {
        "name": "It ended well",
        "ansible.builtin.assert": {
            "that": "typed.rc == 0",
            "fail_msg": "exit status {{ typed.rc }}: {{ (typed.stderr or typed.stdout) | trim }}",
            "quiet": True,
        },
    }
    return {
        "name": name,
        "hosts": hosts,
        "gather_facts": False,
        "any_errors_fatal": True,
        "environment": {key: filling.text(value) for key, value in parameters.items()},
        "tasks": [typed, ended],
    }
