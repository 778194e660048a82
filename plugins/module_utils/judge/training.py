# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody meets a fault without knowing which: what is drawn, what the trainee did, and what came of it. Pure.

    making ──> under_way ──> ended     whoever was trained said that all is well, and it was looked at
       └──────────┴────────> given_up

Times are the control node's, in UTC: a monotonic clock would not survive a reboot between the runs.
"""

from __future__ import annotations

import hashlib
import typing as t
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backup_records as records
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import walk
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import OWN, Runbook, Step
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict, worst

SCHEMA = "fraiseql.resilience/training/1"
MAKING, UNDER_WAY, ENDED, GIVEN_UP = "making", "under_way", "ended", "given_up"
CLOCK = "UTC of the control node"
#: The operation that runs a runbook.
RUNBOOK = "runbook"
#: What the verification of a scenario says, as an outcome of a step.
VERDICT_OF: t.Final = {"success": Verdict.PASSED, "failure": Verdict.FAILED, "unknown": Verdict.UNKNOWN}
#: Letters of a trainee's name.
LETTERS = 80

Event = Mapping[str, t.Any]


@dataclass(frozen=True)
class Training:
    """What is kept of a training from its beginning to its end.

    ``directory``: of the runbooks. ``seed``: by which the scenario was drawn, empty where it was named. ``faults``:
    host and name of each; they end by themselves after ``fault_seconds``. ``outcome`` and ``said``: what verification
    came to. ``left``: the faults that were there then. ``approved``: what was approved with it.
    """

    id: str
    trainee: str
    cluster: str
    scenario: str
    directory: str
    seed: str
    fault_seconds: int
    begun_utc: str
    state: str = MAKING
    fault_utc: str = ""
    faults: tuple[tuple[str, str], ...] = ()
    ended_utc: str = ""
    outcome: str = ""
    said: tuple[str, ...] = ()
    left: Mapping[str, Collection[str] | None] | None = None
    approved: Mapping[str, t.Any] | None = None

    def as_dict(self) -> dict[str, t.Any]:
        return asdict(self)

    @classmethod
    def read(cls, kept: Mapping[str, t.Any]) -> Training:
        """:raises TypeError: these are not what :meth:`as_dict` gave."""
        faults = tuple((host, name) for host, name in kept.get("faults", ()))
        return cls(**{**kept, "faults": faults, "said": tuple(kept.get("said", ()))})

    @property
    def over(self) -> bool:
        return self.state in (ENDED, GIVEN_UP)

    @property
    def seconds(self) -> float | None:
        """From the fault to the end; None where nobody can say."""
        return _between(self.fault_utc, self.ended_utc)


# who meets what -------------------------------------------------------------------------------------------------------


def trainee(given: str | None) -> str:
    """:raises InputError: nobody is named."""
    name = (given or "").strip()
    if not name or not name.isprintable() or len(name) > LETTERS:
        raise InputError(
            "it is not said who is trained" if not name else "this is no name",
            given=f"resilience_trainee={given or ''}",
            possible=f"a name of 1 to {LETTERS} letters, on one line",
            next_step="run it again with -e resilience_trainee=<name>",
        )
    return name


def drawn(possible: Collection[str], refused: Mapping[str, str], named: str | None, seed: str) -> str:
    """The scenario that is named, else one by chance: the same seed, and the same scenarios, draw the same one.

    :param refused: by scenario with which nobody can be trained, why.
    :raises InputError: the named one is none of them, or there is none at all.
    """
    if named and named not in possible:
        why = (
            f"nobody can be trained with {named}: {refused[named]}" if named in refused else "there is no such scenario"
        )
        raise InputError(why, given=f"resilience_scenario={named}", possible=", ".join(sorted(possible)) or "none")
    if not possible:
        raise InputError(
            "there is no scenario that somebody could be trained with",
            possible="; ".join(f"not {name}: {why}" for name, why in sorted(refused.items())) or None,
            next_step="give a runbook's folder inject.yml, respond.yml and verify.yml",
        )
    digest = hashlib.sha256(seed.encode("utf-8")).digest()
    return named or sorted(possible)[int.from_bytes(digest, "big") % len(possible)]


def refuse_second(under_way: Training, how: str) -> None:
    """:raises RefusedError: always; ``how``: the command that ends a training, but for its state."""
    since = under_way.fault_utc or under_way.begun_utc
    made = "" if under_way.fault_utc else ", though its fault was never wholly made"
    raise RefusedError(
        f"a training is under way on {under_way.cluster} already{made}",
        given=f"{under_way.trainee} since {_minute(since)}",
        next_step=f"end it with {how}={ENDED}, or give it up with {how}={GIVEN_UP}",
    )


def refuse_unmade(of: Training, how: str) -> None:
    """:raises RefusedError: its fault was never wholly made, so that there is nothing to be well again."""
    if of.state == MAKING:
        raise RefusedError(
            "the fault of this training was never wholly made",
            given=f"{of.trainee} since {_minute(of.begun_utc)}",
            next_step=f"give it up with {how}={GIVEN_UP}, which undoes what there is of it",
        )


def briefing(of: Training, how: str, inventory: str) -> list[str]:
    """What the trainee is told. It must not tell the scenario.

    :param inventory: the options of ansible-playbook that choose it.
    """
    run, cluster = f"ansible-playbook {inventory} fraiseql.resilience", f"-e resilience_cluster={of.cluster}"
    confirmed = f"{cluster} -e resilience_confirm={of.cluster}"
    return [
        f"{of.trainee}: something is wrong on {of.cluster} since {_minute(of.fault_utc)}. The clock runs.",
        "What is it? The alerts, and what is seen from outside:",
        f"  {run}.detect {cluster}",
        "Its page: docs/runbooks/README.md. Step by step, and the record knows each step:",
        f"  {run}.runbook {confirmed} -e resilience_runbook_state=run -e resilience_runbook=<name>",
        "When all is well:",
        f"  {how}={ENDED}",
        f"To give it up: the same with {GIVEN_UP}.",
        f"After {of.fault_seconds} s the fault ends by itself; then nothing is proven.",
    ]


# what was done --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Operation:
    """Evidence that was opened after the fault; ``verdict`` is empty where it was never sealed."""

    name: str
    scenario: str
    begun_utc: str
    verdict: str


@dataclass(frozen=True)
class Steps:
    """Of the runbook, by id. ``first_utc``: when the first one was begun, empty where nobody can say.

    ``unknown``: steps that may have been done by hand. Steps of ways that were not taken are in none of the three.
    ``others``: runbooks of other scenarios that were run.
    """

    first_utc: str
    done: tuple[str, ...]
    missed: tuple[str, ...]
    unknown: tuple[str, ...]
    others: tuple[str, ...] = ()


def steps(
    books: Mapping[str, Runbook], scenario: str, walks: Sequence[Sequence[Event]], by: Sequence[Operation]
) -> Steps:
    """
    :param walks: of each run of the runbook since the fault, the events of its evidence, the oldest run first.
    :param by: all operations since the fault.
    """
    book = books[scenario]
    ways = [way for events in walks if (way := _walked(books, scenario, events)) is not None]
    done = {where for way, _missed in ways for where in way}
    done |= {step.id for step in book.steps if any(_does(step, scenario, one) and _passed(one) for one in by)}
    missed = [where for where in (ways[-1][1] if ways else ()) if where not in done]
    all_of = [step.id for step in book.steps if step.type != "end"]
    rest = () if ways else tuple(name for name in all_of if name not in done)
    begun = [event["utc"] for events in walks for event in events if event["kind"] in (walk.BEGUN, walk.ENDED)]
    begun += [one.begun_utc for one in by if any(_does(step, scenario, one) for step in book.steps)]
    # Steps of a runbook that this one leads to come after its own, by their whole names.
    order = {name: place for place, name in enumerate(all_of)}
    in_order = sorted(done, key=lambda name: (order.get(name, len(order)), name))
    others = {one.scenario for one in by if one.name == RUNBOOK and one.scenario != scenario}
    return Steps(min(begun, default=""), tuple(in_order), tuple(missed), rest, tuple(sorted(others)))


def _walked(books: Mapping[str, Runbook], scenario: str, events: Sequence[Event]) -> tuple[list[str], list[str]] | None:
    """What one run did, and what was left to do had all gone well; None where the record is not of this runbook."""
    history = walk.history(events)
    try:
        standing = walk.standing(books, scenario, history.done)
    except (InputError, KeyError):
        return None
    missed = [] if standing.verdict else _left(standing.book, standing.step, standing.where.rpartition("/")[0])
    return [one.where for one in history.done], missed


def _left(book: Runbook, step: Step, above: str) -> list[str]:
    """From a step on, as far as success leads: at a decision nobody knows."""
    found: list[str] = []
    while step.type != "end" and step.id not in found:
        found.append(step.id)
        if "success" not in step.next:
            break
        step = book.by_id[step.next["success"]]
    return [f"{above}/{name}" if above else name for name in found]


def _does(step: Step, scenario: str, one: Operation) -> bool:
    """Is it what the step's playbook leaves evidence of? That of its own verification leaves none."""
    if step.task is None or step.task.playbook != one.name:
        return False
    return one.scenario == scenario if one.name == OWN[0] else one.name not in OWN


def _passed(one: Operation) -> bool:
    return one.verdict == Verdict.PASSED.value


# what came of it ------------------------------------------------------------------------------------------------------


def ended_by_itself(of: Training) -> bool | None:
    """Was it its timer that ended a fault? None where nobody can say."""
    left = of.left or {}
    there = [None if left.get(host) is None else name in (left[host] or ()) for host, name in of.faults]
    if there and all(there):
        return False
    if of.seconds is None:
        return None
    if of.seconds < of.fault_seconds:
        return False
    return True if False in there else None


def checks(of: Training, by_itself: bool | None) -> list[Check]:
    """What the training is judged by."""
    if of.state == GIVEN_UP:
        return [Check("recovered", Verdict.FAILED, f"given up after {_seconds(of.seconds)}")]
    told = "; ".join(of.said) or f"the verification of {of.scenario} came to {of.outcome}"
    found = [Check("recovered", VERDICT_OF[of.outcome], told)]
    if by_itself is None:
        return [*found, Check("fault_lasted", Verdict.UNKNOWN, "nobody can say whether the fault ended by itself")]
    if by_itself:
        why = f"the fault ended by itself after {of.fault_seconds} s, so nobody knows what the trainee mended"
        return [*found, Check("fault_lasted", Verdict.UNKNOWN, why)]
    return [*found, Check("fault_lasted", Verdict.PASSED, "its timer did not end the fault")]


def record(of: Training, taken: Steps, evidence: str) -> dict[str, t.Any]:
    """The line that a team keeps.

    :param evidence: the folder of the training's evidence.
    """
    by_itself = ended_by_itself(of)
    judged = checks(of, by_itself)
    verified = of.seconds if of.outcome == "success" else None
    return {
        "schema": SCHEMA,
        "training": of.id,
        "trainee": of.trainee,
        "scenario": of.scenario,
        "cluster": of.cluster,
        "drawn": f"by seed {of.seed}" if of.seed else "by name",
        "fault_utc": of.fault_utc or None,
        "ended_utc": of.ended_utc,
        "clock": CLOCK,
        "seconds": {"first_step": _between(of.fault_utc, taken.first_utc), "verified": verified},
        "state": of.state,
        "verdict": worst(judged).value,
        "checks": [one.as_dict() for one in judged],
        "fault_ended_by_itself": by_itself,
        "steps": {"done": list(taken.done), "missed": list(taken.missed), "unknown": list(taken.unknown)},
        "other_runbooks": list(taken.others),
        "evidence": evidence,
    }


def debriefing(line: Mapping[str, t.Any]) -> list[str]:
    """What the trainee is told of the record."""
    first, verified = (_seconds(line["seconds"][name]) for name in ("first_step", "verified"))
    steps = "; ".join(f"{name}: {', '.join(of) or 'none'}" for name, of in line["steps"].items())
    others = ", ".join(line["other_runbooks"])
    return [
        f"{line['trainee']} met {line['scenario']}: {line['verdict']}",
        *(f"{check['name']}: {check['verdict']}, {check['reason']}" for check in line["checks"]),
        f"first step after {first}, verified after {verified}",
        f"steps {steps}",
        *([f"runbooks of other scenarios that were run: {others}"] if others else []),
    ]


def _seconds(value: float | None) -> str:
    return "an unknown time" if value is None else f"{value:.0f} s"


def _between(begin: str, end: str) -> float | None:
    """Seconds; None where one of them is unknown, or the clock was set back."""
    first, last = (records.moment({"at": at}, "at") for at in (begin, end))
    return None if first is None or last is None or last < first else round(last - first, 3)


def _minute(utc: str) -> str:
    return f"{utc[:19].replace('T', ' ')} UTC"
