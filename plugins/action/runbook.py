# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A runbook is listed, shown, tried without a change, or run. Runs on the control node."""

from __future__ import annotations

import time
import typing as t
from datetime import datetime, timezone
from pathlib import Path

from ansible.plugins.action import ActionBase
from ansible.release import __version__ as ansible_version

from ansible_collections.fraiseql.resilience.plugins.callback.recovery_clock import line
from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import circumstances, signature
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.bundle import Bundle
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import filling, walk
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.walk import Standing
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.actions import answer_of
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import current
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import (
    catalogue,
    library,
    page,
    record,
    run,
    screen,
)
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks.handover import Outer
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks.hands import Hands
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks.steps import Cluster, Steps
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.variables import ClusterVariables

Result = dict[str, t.Any]

#: Of each group by function, the variable that says what this site calls it.
GROUPS: t.Final = {group: f"resilience_{group}_group" for group in filling.GROUPS}
#: By which AWX knows who started a job.
AWX_USERS = ("awx_user_name", "tower_user_name")
ARGUMENTS: t.Final[dict[str, t.Any]] = {
    "state": {"type": "str", "required": True, "choices": ["listed", "shown", "checked", "run"]},
    "runbook": {"type": "str"},
    "directory": {"type": "path", "default": str(catalogue.RUNBOOKS)},
    "cluster": {"type": "str"},
    "parameters": {"type": "dict", "default": {}},
    "answers": {"type": "dict", "default": {}},
    "way": {"type": "str", "default": "ansible", "choices": ["ansible", "hand"]},
    "overdue": {"type": "str", "default": "warn", "choices": ["warn", "refuse"]},
    "anew": {"type": "bool", "default": False},
    "evidence_directory": {"type": "path", "default": "evidence"},
}


class ActionModule(ActionBase):
    """Reads runbooks and writes evidence on the control node; what a runbook does is done by runs of their own."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        variables = task_vars or {}
        super().run(tmp, variables)
        _validation, given = self.validate_argument_spec(
            ARGUMENTS, required_if=[("state", "checked", ("cluster",)), ("state", "run", ("cluster",))]
        )
        try:
            return self._answer(given, variables)
        except ResilienceError as error:
            return {"failed": True, **error.as_result()}

    def _answer(self, given: Result, variables: dict[str, t.Any]) -> Result:
        directory, today = Path(given["directory"]).absolute(), datetime.now(timezone.utc).date()
        if given["state"] == "listed":
            books, broken = library.listing(directory)
            names = [{"id": book.id, "title": book.title, "severity": book.severity} for book in books]
            return {"changed": False, "runbooks": names, "screen": screen.listed(books, broken, today)}
        what = library.chosen(directory, given["runbook"])
        if given["state"] == "shown":
            own = what.own[what.root]
            told = {"page": page.page(what.book, own), "screen": screen.shown(what.book, own)}
            return {"changed": False, "runbook": what.root, **told}
        refuse = given["overdue"] == "refuse"
        warnings = library.demand_sound(what, today, refuse_overdue=refuse)
        work = _Work(self, what, given, variables)
        dry = given["state"] == "checked" or self._task.check_mode
        return {**(work.checked() if dry else work.done()), "runbook": what.root, "warnings": warnings}

    def outer(self, variables: dict[str, t.Any]) -> Outer:
        passwords = (self._play_context.password, self._play_context.become_pass)
        return Outer(variables, passwords, self._loader)

    def setting(self, variables: dict[str, t.Any], cluster: str, name: str) -> t.Any:
        return ClusterVariables(variables, cluster, self._templar.template).setting(name)

    def show(self, text: str, colour: str | None = None) -> None:
        self._display.display(text, color=colour)


class _Work:
    """One runbook on one cluster."""

    def __init__(self, action: ActionModule, what: library.Chosen, given: Result, variables: dict[str, t.Any]) -> None:
        self._action, self._what, self._variables = action, what, variables
        self._cluster: str = given["cluster"]
        self._evidence = Path(given["evidence_directory"]).absolute()
        self._anew: bool = given["anew"]
        self._way = {"ansible": Steps, "hand": Hands}[given["way"]]
        library.demand_engine(what, str(self._setting("resilience_ha_engine") or "manual"))
        stanza = str(self._setting("resilience_stanza") or self._cluster)
        self._parameters = {filling.CLUSTER: self._cluster, filling.STANZA: stanza, **given["parameters"]}
        self._person = str(
            next((variables[name] for name in AWX_USERS if variables.get(name)), None)
            or circumstances.operator(variables)["user"]
        )
        answers = {str(name): str(answer) for name, answer in given["answers"].items()}
        self._plan = run.Plan(what.books, what.root, answers, self._person)
        self._began = time.monotonic()
        filling.check_parameters(what.books, what.root, self._parameters)
        walk.check_answers(what.books, what.root, answers)

    def checked(self) -> Result:
        trial = run.DryRun(self._plan, self._steps(None), self._show)
        now = trial.on()
        end = {"step": now.where, "verdict": now.verdict or "unknown", "title": now.reason or now.step.title}
        would = [one["step"] for one in trial.way if one["type"] in walk.CHANGING]
        stops = [str(one) for one in trial.stops]
        come = "would come to" if now.verdict else "would stop at"
        supposed = ", if all that it would change goes well" if trial.supposed else ""
        words = [f"A run {come} {now.where}: {end['title']} ({end['verdict']}){supposed}. Nothing was changed."]
        words += [f"It would do: {', '.join(would)}."] if would else []
        words += [f"It would need a person: {one}" for one in stops]
        return {"changed": False, "way": trial.way, "would_do": would, "stops": stops, "end": end, "screen": words}

    def done(self) -> Result:
        about = {"runbook": self._what.root, "person": self._person}
        # Within a drill, say, the evidence of which goes on once the runbook has come to its end.
        with record.only_run(self._evidence, self._cluster, about) as lock, current.beside():
            kept = self._record()
            came = run.Run(self._plan, kept, self._steps(lock), self._show).on()
            path = str(kept.bundle.path)
            answer = {"changed": True, "path": path, "steps": kept.steps(), "went_on": kept.went_on}
            if isinstance(came, run.Asked):
                words = f"{came}. All that was done so far is kept in {path}, and a run goes on from there"
                asked = {"step": came.where, "key": came.key, "possible": dict(came.possible or {})}
                return {**answer, "verdict": "unknown", "end": None, "waits_for": asked, "msg": words}
            sealed = self._sealed(kept, came)
        end = {"step": came.where, "title": came.reason, "verdict": came.verdict}
        words = f"The end is {came.where}: {came.reason} ({came.verdict}). Evidence: {path}"
        return {**answer, "verdict": sealed["verdict"], "end": end, "waits_for": None, "msg": words}

    def _record(self) -> record.Record:
        """That of an earlier run which came to no end; else a new one."""
        earlier = None if self._anew else record.left(self._evidence, self._cluster, self._what.root)
        if earlier is not None:
            why_not = record.why_not(earlier, self._what.digest, self._texts(), record.now())
            told = f"begins anew: {why_not}" if why_not else "goes on"
            self._action.show(f"{self._what.root}: an earlier run left {earlier.path.name}; this one {told}", "yellow")
            earlier = None if why_not else earlier
        self._demand_key()
        bundle = earlier or Bundle.create(
            self._evidence,
            record.OPERATION,
            self._cluster,
            self._what.root,
            operator=circumstances.operator(self._variables),
            versions=circumstances.versions(ansible_version),
            series=None,
        )
        current.remember(bundle)
        fields = {"person": self._person, "digest": self._what.digest, "parameters": self._texts()}
        bundle.timeline.append(walk.RUN, went_on=earlier is not None, **fields)
        return record.Record(bundle, went_on=earlier is not None)

    def _demand_key(self) -> None:
        """A key that is named has to work before anything is done that it is to sign."""
        key = self._setting("resilience_evidence_key")
        if key:
            signature.signer(Path(str(key)).expanduser().absolute(), command.run)

    def _sealed(self, kept: record.Record, end: Standing) -> Result:
        """
        :raises ResilienceError: it could not be sealed; a run of the same goes on from there.
        """
        reason = f"the end that was come to is {end.where}: {end.reason}"
        words = [one for one in kept.steps() if one["by"]]
        report = {
            "checks": [{"name": "runbook_ended_well", "verdict": end.verdict, "reason": reason}],
            "not_tested": [f"{one['step']}, which is the word of {one['by']}: {one['outcome']}" for one in words],
            "details": {"runbook": self._what.root, "steps": kept.steps()},
        }
        sealing = {"state": "sealed", "report": report}
        answer = answer_of(self._action, "fraiseql.resilience.evidence", sealing, self._variables)
        if answer.get("failed"):
            raise UnknownError(f"the evidence could not be sealed: {answer['msg']}", given=str(kept.bundle.path))
        return answer

    def _steps(self, lock: int | None) -> Steps:
        hosts = self._variables.get("groups", {}).get(self._cluster, ())
        groups = {group: str(self._setting(variable) or group) for group, variable in GROUPS.items()}
        return self._way(
            self._action.outer(self._variables),
            Cluster(self._cluster, hosts, groups),
            self._parameters,
            self._what.own,
            self._setting("resilience_approval"),
            lambda text: self._action.show(f"    {text}"),
            lock,
        )

    def _setting(self, name: str) -> t.Any:
        return self._action.setting(self._variables, self._cluster, name)

    def _texts(self) -> dict[str, str]:
        return {name: str(value) for name, value in self._parameters.items()}

    def _show(self, mark: str, detail: str, colour: str | None) -> None:
        self._action.show(line(time.monotonic() - self._began, mark, detail), colour)
