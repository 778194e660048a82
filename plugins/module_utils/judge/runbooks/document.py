# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A runbook: the procedure for one failure scenario, as ``runbook.yml`` tells it. Pure.

    check      looks, and changes nothing
    decision   somebody answers a question
    action     changes something, by a playbook or a module, or by hand
    manual     what only a person can do, outside of what this collection reaches
    runbook    goes on with another one
    end        nothing comes after it

Each step but an end leads on for success, failure *and* unknown: a check that could not look has not passed.
"""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.schema import Schema, violations

Record = Mapping[str, t.Any]

#: In the order in which an incident goes through them.
PHASES = ("response", "investigation", "mitigation", "recovery", "aftercare")
#: What the objective counts: afterwards the service is back.
COUNTED = PHASES[:-1]
OUTCOMES = ("success", "failure", "unknown")
#: Playbooks that a runbook's folder may have: the procedure, and the look whether all is well.
OWN = ("respond", "verify")

_TIMED = frozenset({"phase", "seconds", "next"})
_WAYS = frozenset({"task", "command", "no_command"})
_DANGER = frozenset({"approvals", "rollback", "irreversible"})
_SAID = frozenset({"text", "attempts"})
_ALWAYS = frozenset({"id", "type", "title"})
#: By type of step, the fields that it needs and those that it may have beside them.
_FIELDS: t.Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    "check": (_TIMED, _SAID | _WAYS | {"evidence"}),
    "decision": (_TIMED | {"branches"}, _SAID),
    "action": (_TIMED | {"destructive"}, _SAID | _WAYS | _DANGER | {"evidence"}),
    "manual": (_TIMED | {"destructive", "text"}, _SAID | _DANGER | {"command", "evidence"}),
    "runbook": (_TIMED | {"runbook"}, _SAID),
    "end": (frozenset({"verdict"}), frozenset({"text"})),
}


@dataclass(frozen=True)
class Finding:
    """Something that is wrong: which rule says so, in which runbook and where, what is wrong, what would be right."""

    code: str
    runbook: str
    where: str
    wrong: str
    right: str

    def as_dict(self) -> dict[str, str]:
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        return f"{self.runbook}: {self.where}: {self.wrong}; right would be: {self.right} ({self.code})"


@dataclass(frozen=True)
class Task:
    """A playbook, or a module on ``host``; with ``check`` as a plan. ``variables``: for a module, its options.

    The playbooks :data:`OWN` are those of the runbook's folder, where it has them.
    """

    playbook: str | None
    module: str | None
    host: str
    check: bool
    variables: Record


@dataclass(frozen=True)
class Command:
    """What somebody types in a shell on ``host``."""

    host: str
    run: str


@dataclass(frozen=True)
class Branch:
    """An answer to a decision's question, and the step that comes then. ``test``: by what a program knows it."""

    when: str
    next: str
    test: str = ""


@dataclass(frozen=True)
class Step:
    """``next``: the step that comes after each outcome.

    ``seconds``: after them its outcome is unknown. Of a runbook: until it has begun, as it keeps its own objectives.
    """

    id: str
    type: str
    title: str
    text: str = ""
    phase: str = ""
    seconds: int = 0
    attempts: int | None = None
    next: Mapping[str, str] = field(default_factory=dict)
    branches: tuple[Branch, ...] = ()
    task: Task | None = None
    commands: tuple[Command, ...] = ()
    no_command: str = ""
    destructive: str = "none"
    approvals: int = 0
    rollback: str = ""
    irreversible: str = ""
    evidence: tuple[str, ...] = ()
    runbook: str = ""
    verdict: str = ""

    @property
    def ways_on(self) -> tuple[tuple[str, str], ...]:
        """Each way on: what it is for, and where it leads."""
        return (*((one.when, one.next) for one in self.branches), *self.next.items())


@dataclass(frozen=True)
class Phase:
    seconds: int
    communication: str


@dataclass(frozen=True)
class Query:
    promql: str
    means: str


@dataclass(frozen=True)
class Sign:
    """What speaks for a scenario: a component of agents in one of these states, a hazard, or one of some other signs.

    ``at`` and ``hosts``: at which kind of host, and at how many of them; ``says``: what its reason has to hold.
    """

    component: str = ""
    at: str = ""
    states: tuple[str, ...] = ()
    says: str = ""
    hosts: str = ""
    hazard: str = ""
    any: tuple[Sign, ...] = ()
    weight: int = 1


@dataclass(frozen=True)
class Contact:
    """Who is told for what, so many seconds after the alert if it lasts."""

    role: str
    purpose: str
    after_seconds: int


@dataclass(frozen=True)
class Drill:
    """What clients may feel while it is drilled, and what that proves nothing about."""

    outage: bool
    failures: bool
    not_tested: tuple[str, ...]


@dataclass(frozen=True)
class Runbook:
    """One scenario. ``steps`` begin with the first one; ``reviewed`` is a date as ISO 8601 writes it."""

    id: str
    title: str
    owner: str
    reviewed: str
    review_days: int
    postgresql: tuple[int, ...]
    engines: tuple[str, ...]
    topology: str
    severity: str
    severity_rule: str
    alerts: tuple[str, ...]
    queries: tuple[Query, ...]
    components: tuple[str, ...]
    signs: tuple[Sign, ...]
    preconditions: tuple[str, ...]
    rto_seconds: int
    rpo_seconds: int
    phases: Mapping[str, Phase]
    parameters: Mapping[str, str]
    steps: tuple[Step, ...]
    verification: tuple[str, ...]
    contacts: tuple[Contact, ...]
    questions: tuple[str, ...]
    references: tuple[str, ...]
    drill: Drill | None = None

    @property
    def by_id(self) -> dict[str, Step]:
        return {step.id: step for step in self.steps}


def tag(runbook: str, step: str) -> str:
    """By which a command is found again, wherever it is shown."""
    return f"# DR: {runbook}/{step}"


def problems(document: t.Any, schema: Schema, name: str) -> list[Finding]:
    """Why this is no runbook; empty if it is one. ``name``: what to call it."""
    found = [_violation(name, one) for one in violations(document, schema)]
    return found or [one for step in document["steps"] for one in _of_type(name, step)]


def parsed(document: t.Any, schema: Schema, name: str) -> Runbook:
    """The runbook that a document holds.

    :param document: what ``runbook.yml`` holds, its dates as text.
    :raises InputError: it holds none; the first places that are wrong are named, with what would be right.
    """
    wrong = problems(document, schema, name)
    if wrong:
        raise InputError(
            f"{name} is no runbook: " + "; ".join(f"{one.where}: {one.wrong}" for one in wrong[:5]),
            given=f"{len(wrong)} things that are not as the schema says",
            possible="; ".join(dict.fromkeys(one.right for one in wrong[:5])),
            next_step="correct them; the schema is playbooks/schemas/runbook.schema.json of this collection",
        )
    return built(document)


def built(document: Record) -> Runbook:
    """The runbook of a document that has no :func:`problems`."""
    applies, severity, detection, objectives = (
        document[key] for key in ("applies_to", "severity", "detection", "objectives")
    )
    return Runbook(
        id=document["id"],
        title=document["title"],
        owner=document["owner"],
        reviewed=document["reviewed"],
        review_days=document["review_days"],
        postgresql=tuple(applies["postgresql"]),
        engines=tuple(applies["engines"]),
        topology=applies["topology"],
        severity=severity["level"],
        severity_rule=severity["rule"],
        alerts=tuple(detection["alerts"]),
        queries=tuple(Query(**one) for one in detection["queries"]),
        components=tuple(detection["components"]),
        signs=tuple(map(_sign, detection.get("signs", ()))),
        preconditions=tuple(document["preconditions"]),
        rto_seconds=objectives["rto_seconds"],
        rpo_seconds=objectives["rpo_seconds"],
        phases={name: Phase(one["seconds"], one.get("communication", "")) for name, one in document["phases"].items()},
        parameters=document["parameters"],
        steps=tuple(_step(one) for one in document["steps"]),
        verification=tuple(document["verification"]),
        contacts=tuple(Contact(one["role"], one["for"], one["after_seconds"]) for one in document["contacts"]),
        questions=tuple(document["questions"]),
        references=tuple(document["references"]),
        drill=_drill(document["drill"]) if "drill" in document else None,
    )


def _drill(given: Record) -> Drill:
    return Drill(given["outage"], given["failures"], tuple(given["not_tested"]))


def _sign(given: Record) -> Sign:
    made = {"states": tuple(given.get("is", ())), "any": tuple(map(_sign, given.get("any", ())))}
    return Sign(**{**{key: value for key, value in given.items() if key != "is"}, **made})


def _step(given: Record) -> Step:
    as_they_are = {key: value for key, value in given.items() if key not in _MADE}
    made = {name: make(given[key]) for key, (name, make) in _MADE.items() if key in given}
    return Step(**{**as_they_are, **made})


def _task(given: Record) -> Task:
    return Task(
        playbook=given.get("playbook"),
        module=given.get("module"),
        host=given.get("host", "control"),
        check=given.get("check", False),
        variables=given.get("variables", {}),
    )


#: Fields of a step that become something else, and what.
_MADE: t.Final[dict[str, tuple[str, t.Callable[[t.Any], t.Any]]]] = {
    "task": ("task", _task),
    "branches": ("branches", lambda given: tuple(Branch(**one) for one in given)),
    "command": ("commands", lambda given: tuple(Command(**one) for one in given)),
    "evidence": ("evidence", tuple),
}


def _violation(name: str, text: str) -> Finding:
    where, _colon, wrong = text.partition(": ")
    return Finding("schema", name, where, wrong, "what playbooks/schemas/runbook.schema.json says")


def _of_type(name: str, step: Record) -> Iterator[Finding]:
    """What a step of its type lacks, or has and cannot."""
    needed, possible = _FIELDS[step["type"]]
    where = f"step {step['id']}"
    for key in sorted(needed - set(step)):
        yield Finding("field_missing", name, where, f"a step of type {step['type']} has no {key}", f"give it {key}")
    for key in sorted(set(step) - needed - possible - _ALWAYS):
        right = ", ".join(sorted(needed | possible))
        yield Finding("field_out_of_place", name, where, f"a step of type {step['type']} has {key}", f"only {right}")
