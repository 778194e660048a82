# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asked in every destructive playbook once it is confirmed, before any host is touched. Runs on the control node."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import typing as t
from datetime import datetime, timezone
from pathlib import Path

from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import approval as sources
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import run
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import (
    InputError,
    RefusedError,
    ResilienceError,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import circumstances
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.bundle import write
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import approval as judge
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import current
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.variables import ClusterVariables

Result = dict[str, t.Any]
Settings = dict[str, t.Any]

MODES: t.Final = ["none", "ssh", "awx"]
#: Each option but the first two, and the variable that speaks where the task does not.
VARIABLES: t.Final = {
    "mode": "resilience_approval_mode",
    "approvers": "resilience_approvers",
    "request": "resilience_approval",
    "requester": "resilience_requester",
    "break_glass": "resilience_break_glass",
    "valid_minutes": "resilience_approval_valid_minutes",
    "directory": "resilience_approval_directory",
    "awx_url": "resilience_awx_url",
    "awx_token": "resilience_awx_token",
    "awx_ca": "resilience_awx_ca",
}
ARGUMENTS: t.Final[dict[str, t.Any]] = {
    "operation": {"type": "str", "required": True},
    "runbook": {"type": "str"},
    "cluster": {"type": "str", "required": True},
    **{name: {"type": "str"} for name in VARIABLES},
    "mode": {"type": "str", "choices": MODES},
    "valid_minutes": {"type": "int"},
    "awx_token": {"type": "str", "no_log": True},
}
VALID_MINUTES = 60
#: Where AWX's own credential for itself leaves its address and token.
ENVIRONMENT = {"awx_url": "CONTROLLER_HOST", "awx_token": "CONTROLLER_OAUTH_TOKEN"}


class ActionModule(ActionBase):
    """Reads the variables of the cluster's hosts, and writes on the control node."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        variables = task_vars or {}
        super().run(tmp, variables)
        _validation, given = self.validate_argument_spec(ARGUMENTS)
        try:
            return self._judged(given, variables)
        except ResilienceError as error:
            return {"failed": True, **error.as_result()}

    def _judged(self, given: Settings, variables: dict[str, t.Any]) -> Result:
        known = ClusterVariables(variables, given["cluster"], self._templar.template)
        mode = _mode(given["mode"] or known.setting(VARIABLES["mode"]))
        answer: Result = {"changed": False, "mode": mode, "needed": 0, "approvals": []}
        parameters = judge.bound(known.matching(judge.is_bound))
        if given["runbook"]:
            parameters["resilience_runbook"] = given["runbook"]
        subject = judge.Subject(given["operation"], given["cluster"], parameters)
        if (mode == "none" and not subject.overrides_fence) or _covered(subject):
            return answer
        answer["needed"] = subject.needed
        if self._task.check_mode:
            return answer
        settings = {
            name: known.setting(variable) if given[name] is None else given[name]
            for name, variable in VARIABLES.items()
        }
        settings["requester"] = _requester(settings, variables)
        return {**answer, **self._approved(mode, subject, settings, variables)}

    def _approved(self, mode: str, subject: judge.Subject, settings: Settings, variables: dict[str, t.Any]) -> Result:
        """What is added to the answer, once it was handed over to the evidence."""
        now = datetime.now(timezone.utc)
        files: dict[str, str] = {}
        if settings["break_glass"]:
            approvals = [judge.break_glass(subject, settings["requester"], str(settings["break_glass"]), now)]
        elif mode == "none":
            raise judge.unsigned_override(subject)
        elif mode == "awx":
            approvals = self._asked_awx(subject, settings, variables, now)
        else:
            approvals, files = _asked_signers(subject, settings, now)
        approved = {"approvals": approvals, "files": files}
        current.hand_over(approved)
        if subject.operation == "drill":
            current.remember_drill({"subject": subject.as_dict(), "approved": approved})
        return {"approvals": approvals, "warnings": [_warning(subject, settings)] if settings["break_glass"] else []}

    def _asked_awx(
        self, subject: judge.Subject, settings: Settings, variables: dict[str, t.Any], now: datetime
    ) -> list[judge.Approval]:
        url, token = (settings[name] or os.environ.get(ENVIRONMENT[name]) for name in ("awx_url", "awx_token"))
        controller = sources.controller(url, token, settings["awx_ca"])
        jobs = (str(_of_awx("workflow_job_id", variables) or ""), str(_of_awx("job_id", variables) or ""))
        found = sources.workflow(*jobs, controller.ask)
        return judge.judge_workflow(found, subject, load_extra_vars(self._loader), now, _valid_minutes(settings))


def _mode(given: t.Any) -> str:
    mode = str(given or "none")
    if mode not in MODES:
        raise InputError(
            "this is no mode of approval", given=f"resilience_approval_mode={mode}", possible=", ".join(MODES)
        )
    return mode


def _valid_minutes(settings: Settings) -> int:
    given = settings["valid_minutes"]
    try:
        return VALID_MINUTES if given is None else int(given)
    except ValueError:
        raise InputError("this is no number of minutes", given=f"resilience_approval_valid_minutes={given}") from None


def _covered(subject: judge.Subject) -> bool:
    """Was it approved with the operation that it is a part of?"""
    bundle = current.opened()
    if bundle is not None:
        return judge.covers(bundle.inside(), subject.operation)
    drill = current.drill()
    if drill is None or not judge.ends_drill(judge.Subject(**drill["subject"]), subject):
        return False
    # It opens evidence of its own, which says the same.
    current.hand_over(drill["approved"])
    return True


def _requester(settings: Settings, variables: dict[str, t.Any]) -> str:
    """AWX knows who launched a job, whatever a variable says."""
    told = _of_awx("user_name", variables) or settings["requester"] or circumstances.operator(variables)["user"]
    return str(told)


def _of_awx(name: str, variables: dict[str, t.Any]) -> t.Any:
    return variables.get(f"awx_{name}") or variables.get(f"tower_{name}")


def _warning(subject: judge.Subject, settings: Settings) -> str:
    return (
        f"BREAK GLASS: {subject} goes on WITHOUT APPROVAL, at the word of {settings['requester']}: "
        f"{settings['break_glass']}. The report says so."
    )


# ssh ------------------------------------------------------------------------------------------------------------------


def _asked_signers(
    subject: judge.Subject, settings: Settings, now: datetime
) -> tuple[list[judge.Approval], dict[str, str]]:
    """The approvals that count, and the files that prove them, by their name in the evidence."""
    approvers = sources.approvers_file(settings["approvers"])
    if not settings["request"]:
        raise _request_written(subject, settings, now)
    path, content = sources.request_content(str(settings["request"]))
    request = judge.read(content, str(path))
    files = sources.signature_files(path)
    signatures = sources.signed(content, files, approvers, run)
    try:
        approvals = judge.judge_signatures(request, subject, settings["requester"], signatures, now)
    except RefusedError as error:
        error.next_step = error.next_step or _next_step(path, request)
        raise
    return approvals, _proof(subject, content, files, approvals, approvers)


def _request_written(subject: judge.Subject, settings: Settings, now: datetime) -> RefusedError:
    """The refusal of a run that nobody was asked to approve yet, once the request for that is written."""
    request = judge.ask(subject, settings["requester"], now, _valid_minutes(settings))
    content = request.as_bytes()
    directory = Path(str(settings["directory"] or "approvals")).expanduser().absolute()
    # Whatever a cluster is called; the hash keeps two requests of the same second apart.
    about = re.sub(r"[^\w.-]", "_", f"{subject.operation}-{subject.cluster}")
    path = directory / f"{now:%Y%m%dT%H%M%SZ}-{about}-{hashlib.sha256(content).hexdigest()[:8]}.json"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write(path, content)
    except OSError as error:
        raise InputError(
            f"the request for an approval cannot be written: {error.strerror}",
            given=f"resilience_approval_directory={directory}",
            next_step="name a folder on the control node that can be written to",
        ) from error
    people = "two people" if subject.needed > 1 else "somebody"
    return RefusedError(
        f"this needs the approval of {people} on the approvers' list other than {request.requester}",
        given=str(subject),
        possible=f"the request is {path}, good until {judge.stamp(request.expires_at)}",
        next_step=_next_step(path, request),
    )


def _next_step(path: Path, request: judge.Request) -> str:
    name, quoted = judge.NAMESPACE, shlex.quote(str(path))
    sign = f"ssh-keygen -Y sign -n {name} -f <key> < {quoted} > {quoted}.<name>.sig"
    until = judge.stamp(request.expires_at)
    return (
        f"each approver reads {quoted} and runs\n    {sign}\nthen, before {until}, the same command as now with\n"
        f"    -e {_extra_variable('resilience_approval', str(path))}\n"
        'In an emergency: -e \'{"resilience_break_glass": "<reason>"}\''
    )


def _extra_variable(name: str, value: str) -> str:
    """As a shell and then Ansible read it: in ``name=value``, Ansible ends a value at a blank."""
    if re.fullmatch(r"[\w./:@%+,-]+", value):
        return f"{name}={value}"
    return shlex.quote(json.dumps({name: value}))


def _proof(
    subject: judge.Subject, content: bytes, files: list[Path], approvals: list[judge.Approval], approvers: Path
) -> dict[str, str]:
    """What an auditor needs, under names that ssh-keygen and a shell take without quotes."""
    folder = f"approvals/{subject.operation}"
    kept = {f"{folder}/request.json": content.decode("ascii")}
    counted = {approval["signature"]: number for number, approval in enumerate(approvals, start=1)}
    for path in files:
        if path.name in counted:
            name = f"{folder}/request.json.{counted[path.name]}.sig"
            kept[name] = path.read_text(encoding="utf-8", errors="replace")
            approvals[counted[path.name] - 1]["signature"] = name
    return {**kept, f"{folder}/approvers": approvers.read_text(encoding="utf-8", errors="replace")}
