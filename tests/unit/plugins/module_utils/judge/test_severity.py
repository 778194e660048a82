# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How bad each fact is, and what a person may say of it."""

from __future__ import annotations

import typing as t

import pytest
from sample_cluster import KINDS, MEMBERS, Lab, Standing

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import severity
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.observation import observed
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.severity import Severity

ARCHIVE: dict[str, t.Any] = {"failing": True, "last_failed": "00000003000000000000000A"}


def without_standbys() -> Lab:
    lab = Lab()
    for name in ("pg-a2", "pg-b1"):
        lab.stands(name, Standing.REFUSED, "Connection refused")
    return lab.changed("pg-a1", synchronous_standby_names="")


CASES: list[tuple[Lab, str | None, str]] = [
    (Lab(), None, ""),
    (Lab().fails("observer", "heartbeat", "no row is written"), "sev1", "no transaction commits"),
    (Lab().warns("observer", "heartbeat", "a row took 0.4 s"), "sev3", "commit slowly"),
    (Lab().stands("pg-b1", Standing.PRIMARY, ""), "sev1", "two primaries"),
    (Lab().changed("pg-a1", senders=[]), "sev1", "commits wait"),
    (Lab().fails("pg-a2", "checksums", "1 in orders"), "sev1", "stored data are damaged"),
    (Lab().fails("pg-a2", "storage", "pg_default: I/O error"), "sev1", "stored data cannot be read"),
    (Lab().changed("pg-a1", archiver=ARCHIVE), "sev2", "what is not archived is lost"),
    (Lab().fails("pg-a1", "archiving", "the oldest of them waits: 400 s"), "sev2", "what is not archived is lost"),
    (Lab().warns("pg-a1", "archiving", "12 not archived yet"), "sev3", "something is wrong"),
    (without_standbys(), "sev2", "no redundancy is left: no standby receives WAL"),
    (Lab().stands("pg-b1", Standing.REFUSED, "Connection refused"), "sev3", "1 of 2 standbys receive WAL"),
    (Lab().warns("pg-a1", "certificate", "ends in 20 days"), "sev3", "something is wrong"),
    (Lab().fires("ArchiveBehindObjective", "sev1"), "sev1", "alert ArchiveBehindObjective fires"),
    (Lab().fires("RepositoryFills", "sev3"), "sev3", "alert RepositoryFills fires"),
    # Whoever sees that the primary commits knows something; whoever sees nobody, nothing.
    (Lab().loses("observer"), "sev3", "nobody knows whether transactions commit through the gateway"),
    (Lab().loses("observer").loses("pg-a1"), "sev2", "nobody knows whether transactions commit"),
]


@pytest.mark.parametrize(("lab", "level", "reason"), CASES, ids=[f"{one[1]}-{one[2]}" for one in CASES])
def test_each_fact_says_how_bad_it_is(lab: Lab, level: str | None, reason: str) -> None:
    found = severity.computed(lab.observed())
    assert found.level == found.computed == level
    assert reason in " ".join(found.reasons)
    assert all(one.startswith(("sev1: ", "sev2: ", "sev3: ")) for one in found.reasons)


def test_the_worst_fact_counts_and_all_are_said() -> None:
    found = severity.computed(
        without_standbys().changed("pg-a1", archiver=ARCHIVE).fires("Anything", "sev1").observed()
    )
    assert found.level == "sev1"
    assert [one[:4] for one in found.reasons] == ["sev1", "sev2", "sev2"]


def test_two_observers_that_differ_and_one_gateway_of_two() -> None:
    lab = Lab().fails("observer", "heartbeat", "no row is written")
    seen = lab.seen()
    other = Lab().seen()["agents"]["observer"]
    seen["agents"]["observer2"] = other
    both = severity.computed(observed(seen, {**KINDS, "observer2": ["observer"]}, {}))
    assert both.level == "sev2" and "from some places and not from others" in both.reasons[0]
    seen = Lab().loses("observer").seen()
    seen["agents"]["gateway2"] = other
    gateways = severity.computed(observed(seen, {**KINDS, "gateway2": ["gateway"]}, {}))
    assert gateways.level == "sev2" and "only gateway2 answers" in gateways.reasons[0]


def test_a_member_that_was_never_to_have_a_standby_lacks_no_redundancy() -> None:
    seen = Lab().seen()
    alone = {"pg-a1": ["member"], "observer": ["gateway", "observer"]}
    seen["cluster"]["members"] = seen["cluster"]["members"][:1]
    seen["agents"] = {host: one for host, one in seen["agents"].items() if host in alone}
    assert severity.computed(observed(seen, alone, {})).level is None


def test_without_a_heartbeat_nobody_can_miss_one() -> None:
    seen = Lab().seen()
    del seen["agents"]["observer"]["components"]["heartbeat"]
    assert severity.computed(observed(seen, KINDS, {})).level is None


@pytest.mark.parametrize(("burn", "level"), [(None, None), (0.5, None), (1.0, "sev3"), (6.0, "sev2"), (14.4, "sev1")])
def test_the_budget_may_be_told(burn: float | None, level: str | None) -> None:
    assert severity.computed(Lab().observed(), burn).level == level


def test_an_unseen_primary_is_no_proof_that_nothing_is_written() -> None:
    lab = Lab()
    for host in MEMBERS:
        lab.loses(host)
    found = severity.computed(lab.observed())
    assert found.level == "sev3" and "nothing can be written" not in " ".join(found.reasons)


def facts(level: str | None) -> Severity:
    return Severity(level, level, (f"{level}: so it is",) if level else ())


@pytest.mark.parametrize(("by_facts", "given"), [("sev2", "sev1"), ("sev3", "sev1"), ("sev2", "sev2"), (None, "sev3")])
def test_a_person_raises_it_freely(by_facts: str | None, given: str) -> None:
    found = severity.decided(facts(by_facts), given, "")
    assert (found.level, found.computed, found.given) == (given, by_facts, given)
    assert found.reasons[0] == f"{given}: a person says so"


def test_a_person_lowers_it_with_a_reason_alone_and_both_are_kept() -> None:
    for reason in ("", " "):
        with pytest.raises(InputError) as error:
            severity.decided(facts("sev1"), "sev3", reason)
        assert "the facts say sev1" in error.value.message and error.value.given == "severity=sev3"
    found = severity.decided(facts("sev1"), "sev3", "it is the standby of a test")
    assert found.as_dict() == {
        "severity": "sev3",
        "severity_computed": "sev1",
        "severity_given": "sev3",
        "severity_given_reason": "it is the standby of a test",
        "severity_reasons": ["sev3: a person says so: it is the standby of a test", "sev1: so it is"],
    }


def test_nobody_said_anything() -> None:
    assert severity.decided(facts("sev2"), None, "") == facts("sev2")
