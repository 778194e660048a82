# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A training: a fault that the trainee does not know, the time that it takes, and the record of it."""

from __future__ import annotations

import dataclasses
import secrets
import shlex
import typing as t
from collections.abc import Mapping
from pathlib import Path

from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import utc_now
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import training as judge
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.training import Training
from ansible_collections.fraiseql.resilience.plugins.plugin_utils import scenarios, training
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import current
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue, library, page
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks.handover import Outer
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks.steps import Cluster, Prepared, Result, Steps
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.training import Kept
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.variables import ClusterVariables

Answer = dict[str, t.Any]

ARGUMENTS: t.Final[dict[str, t.Any]] = {
    "state": {"type": "str", "default": "started", "choices": ["started", "ended", "given_up", "judged", "recorded"]},
    "cluster": {"type": "str", "required": True},
    "trainee": {"type": "str"},
    "scenario": {"type": "str"},
    "seed": {"type": "str"},
    "seconds": {"type": "int", "default": 3600},
    "left": {"type": "dict", "default": {}},
    "evidence": {"type": "path", "default": "evidence"},
    "line": {"type": "dict"},
    "record": {"type": "path"},
    "directory": {"type": "path", "default": str(catalogue.RUNBOOKS)},
}
#: Nobody can be trained in less, in seconds.
SHORTEST = 60


class ActionModule(ActionBase):
    """Works on the control node; runs of Ansible that it starts work on the hosts."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Answer:
        self._variables = task_vars or {}
        super().run(tmp, self._variables)
        _validation, given = self.validate_argument_spec(ARGUMENTS, required_if=[("state", "recorded", ("line",))])
        states: dict[str, t.Callable[[Answer, Kept], Answer]] = {
            "started": self._started,
            "ended": self._over,
            "given_up": self._over,
            "judged": self._judged,
            "recorded": self._recorded,
        }
        try:
            kept = Kept(Path(given["evidence"]).absolute(), given["cluster"], self._how(given["cluster"]))
            return states[given["state"]](given, kept)
        except ResilienceError as error:
            return {"failed": True, **error.as_result()}

    # begin ------------------------------------------------------------------------------------------------------------

    def _started(self, given: Answer, kept: Kept) -> Answer:
        trainee = judge.trainee(given["trainee"])
        if given["seconds"] < SHORTEST:
            raise InputError(
                "a fault has to last until somebody can have mended it",
                given=f"resilience_training_seconds={given['seconds']}",
                possible=f"{SHORTEST} or more",
            )
        folder = Path(given["directory"]).absolute()
        found = scenarios.trained(folder, self._engine(given["cluster"]))
        seed = given["seed"] or secrets.token_hex(8)
        scenario = judge.drawn(found.possible, found.left_out, given["scenario"], seed)
        self._refuse_second(kept)
        if self._task.check_mode:
            possible = [given["scenario"]] if given["scenario"] else sorted(found.possible)
            said = [f"One of {len(possible)} would be drawn: {', '.join(possible)}."]
            return {"changed": True, "possible": possible, "left_out": found.left_out, "said": said}
        begun_utc = utc_now()
        of = Training(
            id=f"{begun_utc}-{given['cluster']}",
            trainee=trainee,
            cluster=given["cluster"],
            scenario=scenario,
            directory=str(folder),
            seed="" if given["scenario"] else seed,
            fault_seconds=given["seconds"],
            begun_utc=begun_utc,
            approved=current.handed_over(),
        )
        with kept.alone() as descriptor:
            self._refuse_second(kept)
            of = training.begin(kept, of, self._play(descriptor))
        return {
            "changed": True,
            "trainee": trainee,
            "fault_utc": of.fault_utc,
            "said": judge.briefing(of, kept.how, self._inventory()),
        }

    def _refuse_second(self, kept: Kept) -> None:
        before = kept.read()
        if before is not None:
            judge.refuse_second(before, kept.how)

    # end --------------------------------------------------------------------------------------------------------------

    def _over(self, given: Answer, kept: Kept) -> Answer:
        of = kept.needed()
        if self._task.check_mode:
            if given["state"] == judge.ENDED:
                judge.refuse_unmade(of, kept.how)
            return {"changed": True, "trainee": of.trainee}
        with kept.alone() as descriptor:
            of = training.end(kept, kept.needed(), given["state"], self._play(descriptor))
        if of.approved is not None:
            current.hand_over(of.approved)
        return {"changed": True, "trainee": of.trainee, "scenario": of.scenario, "state": of.state}

    def _judged(self, given: Answer, kept: Kept) -> Answer:
        """Before the fault is undone, after which nobody could say what was left of it."""
        of = kept.needed()
        if of.left is None:
            of = kept.write(dataclasses.replace(of, left=given["left"]))
        books, _broken = library.listing(Path(of.directory))
        steps = training.taken(kept, of, {book.id: book for book in books})
        line = judge.record(of, steps, current.needed().path.name)
        return {"changed": True, "line": line, "said": judge.debriefing(line), "files": kept.files()}

    def _recorded(self, given: Answer, kept: Kept) -> Answer:
        """Once the evidence is sealed, so that the record names evidence that proves something."""
        path = Path(given["record"]).absolute() if given["record"] else kept.evidence / "training.jsonl"
        training.append(path, given["line"])
        kept.remove()
        return {"changed": True, "path": str(path)}

    # runs of Ansible --------------------------------------------------------------------------------------------------

    def _play(self, descriptor: int) -> training.Play:
        """
        :param descriptor: what a run holds open as long as it lives.
        """
        passwords = (self._play_context.password, self._play_context.become_pass)
        outer = Outer(self._variables, passwords, self._loader)

        def play(playbook: str, variables: Mapping[str, t.Any], seconds: int, log: Path) -> Result:
            with log.open("a", encoding="utf-8") as file:
                log.chmod(0o600)
                steps = Steps(
                    outer, Cluster("", (), {}), parameters={}, own={}, approval=None,
                    show=lambda line: _put(file, line), keep=descriptor,
                )  # fmt: skip
                return steps.run(Prepared(playbook, variables, check=False, seconds=seconds, looks=False))

        return play

    def _engine(self, cluster: str) -> str:
        known = ClusterVariables(self._variables, cluster, self._templar.template)
        return str(known.setting("resilience_ha_engine") or "manual")

    def _how(self, cluster: str) -> str:
        """The command that ends the training, but for its state."""
        given = {"resilience_cluster": cluster, "resilience_confirm": cluster}
        kept_at = load_extra_vars(self._loader).get("resilience_evidence_directory")
        given |= {"resilience_evidence_directory": str(kept_at)} if kept_at is not None else {}
        words = [word for name, value in given.items() for word in ("-e", shlex.quote(f"{name}={value}"))]
        command = f"ansible-playbook {self._inventory()} {page.COLLECTION}.training"
        return " ".join([command, *words, "-e", "resilience_training_state"])

    def _inventory(self) -> str:
        sources = self._variables.get("ansible_inventory_sources") or ()
        return " ".join(f"-i {shlex.quote(str(source))}" for source in sources)


def _put(file: t.TextIO, line: str) -> None:
    file.write(f"{line}\n")
    file.flush()
