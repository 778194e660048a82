# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which runbook is it? By rules of its own, and for what each fault shows."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
import sample_runbook
from sample_cluster import HANGS, LEADS, MEMBERS, Lab, Standing

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import detection
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.detection import Match, Recognition
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import (
    Runbook,
    built,
    parsed,
)
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue

Record = dict[str, t.Any]


def book(name: str, *signs: Record, alerts: t.Sequence[str] = (), **more: t.Any) -> Runbook:
    document = sample_runbook.document(id=name)
    document["detection"] = {"alerts": list(alerts), "queries": [], "components": [], "signs": list(signs), **more}
    return built(document)


def sign(component: str, *states: str, **more: t.Any) -> Record:
    return {"component": component, "is": list(states), **more}


def score(lab: Lab, *signs: Record, **more: t.Any) -> float:
    return detection.match(book("one", *signs, **more), lab.observed()).score


def names(found: t.Sequence[Match]) -> list[str]:
    return [one.book.id for one in found]


# The score ------------------------------------------------------------------------------------------------------------


def test_what_is_there_speaks_for_it_and_what_is_not_there_against() -> None:
    lab = Lab().fails("pg-a1", "sessions", "99 of 100 connection slots are taken")
    slots = sign("sessions", "fail", at="primary", weight=3)
    assert score(lab, slots) == 1.0
    assert score(lab, slots, sign("login", "fail", at="primary", weight=1)) == 0.75
    found = detection.match(book("one", slots, sign("login", "fail", at="primary")), lab.observed())
    assert found.speaks_for == ("sessions at pg-a1 fails: 99 of 100 connection slots are taken",)
    assert found.speaks_against == ("not seen: login at primary: fail; it is pg-a1 pass",)


def test_what_else_is_wrong_speaks_against_it_a_little() -> None:
    lab = Lab().fails("pg-a1", "sessions", "slots").fails("pg-b1", "filesystem", "/ is full")
    assert score(lab, sign("sessions", "fail", weight=3)) == pytest.approx(3 / 3.25)
    found = detection.match(book("one", sign("sessions", "fail")), lab.observed())
    assert found.unexplained == ("filesystem at pg-b1 fails: / is full",)
    assert score(lab, sign("sessions", "fail", weight=3), components=["filesystem"]) == 1.0


def test_a_state_and_a_reason_are_as_they_were_asked_for() -> None:
    lab = Lab().warns("pg-a1", "sessions", "8 wait for a lock, the longest: 6 s")
    assert score(lab, sign("sessions", "warn", "fail", says="wait for a lock")) == 1.0
    assert score(lab, sign("sessions", "fail", says="wait for a lock")) == 0.0
    assert score(lab, sign("sessions", "warn", says="connection slots")) == 0.0


def test_a_fault_that_is_another_components_is_no_cause() -> None:
    """On a primary that hangs, no check of PostgreSQL can say anything of its own."""
    lab = Lab().stops("pg-a1", Standing.UNSEEN, "timeout expired", HANGS)
    lab.fails("observer", "pgbouncer", "no answer").fails("observer", "login", "probe gets no session")
    told = {(one.host, one.name): one.status for one in lab.observed().facts}
    assert told["observer", "pgbouncer"] == "fail" and told["observer", "login"] == "inherited"
    assert score(lab, sign("login", "fail", at="gateway"), sign("login", "fail", at="primary")) < 0.5
    assert "login at observer" not in " ".join(map(str, lab.observed().wrong))


def test_what_nobody_could_look_at_counts_half_as_much() -> None:
    lab = Lab().loses("pg-a1")
    gone = sign("agent", "gone", at="primary", weight=4)
    assert score(lab, gone, {"hazard": "member_unseen"}) == 1.0
    there = detection.match(book("one", gone, sign("postgresql", "fail", at="primary", weight=2)), lab.observed())
    assert there.not_seen == ("postgresql at primary: fail",) and there.speaks_against == ()
    assert there.score == pytest.approx(4 / 5)
    # Hazards that only a primary shows cannot be told either.
    hazards = detection.match(book("one", gone, {"hazard": "archiver_failing", "weight": 2}), lab.observed())
    assert hazards.not_seen == ("hazard archiver_failing",)


def test_alerts_that_fire_speak_for_who_names_them_and_against_who_does_not() -> None:
    lab = Lab().fires("ArchivingFails").fires("ArchiveBacklog")
    archive = book("archive", alerts=["ArchivingFails", "ArchiveBehindObjective"])
    other = book("other", {"hazard": "archiver_failing"}, alerts=["NoPrimary"])
    found = detection.ranked([other, archive], lab.observed())
    assert names(found) == ["archive"]
    assert found[0].alerts == ("ArchivingFails",)
    assert found[0].unexplained == ("alert ArchiveBacklog fires: ArchiveBacklog",)
    assert found[0].score == pytest.approx(2 / 2.25)


def test_nothing_that_is_well_makes_a_runbook() -> None:
    """A repository host without an answer is no fault by itself; nor is a primary that is as it should be."""
    lab = Lab()
    lab.silent.add("repo-a")
    well = [sign("host", "gone", at="repository", weight=9), sign("postgresql", "pass", at="primary", weight=9)]
    assert score(lab, *well, {"hazard": "no_primary"}) == 0.0
    assert detection.ranked([book("one", *well)], lab.observed()) == []


def test_what_follows_from_a_primary_that_is_gone_needs_no_sign_of_its_own() -> None:
    lab = Lab().loses("pg-a1").primary_lost()
    found = detection.match(book("lost", sign("agent", "gone", at="primary")), lab.observed())
    assert found.unexplained == ()
    follows = detection.match(book("late", sign("heartbeat_seen", "warn", at="standby")), lab.observed())
    assert any("agent at pg-a1" in one for one in follows.unexplained)


def test_a_runbook_for_another_engine_comes_after_one_for_this() -> None:
    lab = Lab().fails("pg-a1", "sessions", "slots")
    here, there = (book(name, sign("sessions", "fail", weight=3)) for name in ("here", "there"))
    there = replace(there, engines=("patroni",))
    found = detection.ranked([there, here], lab.observed())
    assert names(found) == ["here", "there"]
    assert found[1].speaks_against == ("it is for the engine patroni",)


def test_two_that_fit_as_well_always_come_in_the_same_order() -> None:
    lab = Lab().fails("pg-a1", "sessions", "slots")
    alike = [book(name, sign("sessions", "fail")) for name in ("b", "c", "a")]
    assert names(detection.ranked(alike, lab.observed())) == ["a", "b", "c"]
    worse = replace(book("z", sign("sessions", "fail")), severity="sev1")
    milder = replace(book("a", sign("sessions", "fail")), severity="sev2")
    assert names(detection.ranked([milder, worse], lab.observed())) == ["z", "a"]
    more = book("z", sign("sessions", "fail", weight=3))
    assert names(detection.ranked([*alike, more], lab.observed())) == ["z", "a", "b", "c"]


# Places ---------------------------------------------------------------------------------------------------------------


def test_a_sign_may_want_several_hosts_or_all_of_them() -> None:
    lab = Lab().fails("pg-a1", "clock", "off").fails("pg-a2", "clock", "off")
    assert score(lab, sign("clock", "fail", at="member", hosts="several")) == 1.0
    assert score(lab, sign("clock", "fail", at="member", hosts="all")) == 0.0
    assert score(lab, sign("clock", "fail", at="gateway")) == 0.0
    assert score(lab.fails("pg-b1", "clock", "off"), sign("clock", "fail", at="member", hosts="all")) == 1.0
    assert score(lab, sign("clock", "fail")) == 1.0
    unseen = {"hazard": "member_unseen", "hosts": "several"}
    assert score(Lab().loses("pg-a2"), unseen) == 0.0
    assert score(Lab().loses("pg-a2").loses("pg-b1"), unseen) > 0.5


def test_one_of_several_signs_is_enough() -> None:
    either = {"any": [{"hazard": "member_refused"}, sign("sessions", "fail", says="slots")], "weight": 4}
    lab = Lab().fails("pg-a1", "sessions", "all slots")
    assert score(lab, either) == 1.0
    assert score(lab.fails("pg-a1", "sessions", "locks"), either) == 0.0


def test_who_was_primary_is_told_by_who_is_no_standby() -> None:
    lab = Lab().loses("pg-a1")
    assert {"primary", "member"} == lab.observed().kinds["pg-a1"]
    # Of two that are silent one was it, and one was none.
    both = Lab().loses("pg-a1").loses("pg-a2").observed()
    assert both.suspects == {"pg-a1", "pg-a2"}
    gone = [sign("agent", "gone", at=kind, weight=3) for kind in ("primary", "standby")]
    found = detection.match(book("one", *gone), both)
    assert found.speaks_against == ()
    assert score(Lab().loses("pg-a1"), gone[1]) == 0.0
    two_standbys = sign("agent", "gone", at="standby", hosts="several")
    assert score(Lab().loses("pg-a1").loses("pg-a2"), two_standbys) == 0.0
    all_gone = sign("agent", "gone", at="standby", hosts="all")
    assert score(Lab().loses("pg-a1").loses("pg-a2"), all_gone) == 0.0
    assert score(Lab().loses("pg-a1").loses("pg-a2").loses("pg-b1"), all_gone) > 0.5


def test_who_is_primary_is_also_told_by_an_agent_alone() -> None:
    """A server that is stopped answers nobody; its agent knows what it last said."""
    lab = Lab().stops("pg-a1", Standing.UNSEEN, "timeout expired", HANGS).loses("pg-a2")
    assert "primary" in lab.observed().kinds["pg-a1"] and "primary" not in lab.observed().kinds["pg-a2"]
    lab = Lab()
    lab.cluster_reason = "no descriptor"
    assert "primary" in lab.observed().kinds["pg-a1"]
    # A primary that is fenced is none, whatever it last said.
    lab.readings["pg-a1"] = replace(LEADS, fenced=True)
    assert "primary" not in lab.observed().kinds["pg-a1"]
    two = Lab().stands("pg-b1", Standing.PRIMARY, "").observed()
    assert [host for host, kinds in two.kinds.items() if "primary" in kinds] == ["pg-a1", "pg-b1"]


def test_power_speaks_of_a_host_whose_agent_is_gone_and_of_no_other() -> None:
    off = sign("power", "fail", at="primary", weight=3)
    gone = sign("agent", "gone", at="primary", weight=3)
    lab = Lab().loses("pg-a1", power=False)
    assert score(lab, gone, off) > 0.9 > score(Lab().loses("pg-a1", power=True), gone, off)
    assert detection.match(book("one", gone, off), Lab().loses("pg-a1").observed()).not_seen == (
        "power at primary: fail",
    )
    here = detection.match(book("one", off), Lab().observed())
    assert (here.score, here.not_seen) == (0.0, ())


def test_ssh_that_is_closed_to_the_observer_tells_nothing() -> None:
    gone, full = sign("host", "gone", at="repository", weight=2), sign("memory", "fail", weight=2)
    lab = Lab().fails("pg-b1", "memory", "none is left")
    lab.silent.update(["repo-a", "pg-a1", "pg-a2"])
    assert score(lab, gone, full) == 1.0  # pg-b1 is reached
    assert score(lab, sign("host", "pass", at="member", hosts="all"), full) == 1.0  # agents answer
    lab.silent.add("pg-b1")
    closed = detection.match(book("one", gone, full), lab.observed())
    assert (closed.score, closed.not_seen) == (pytest.approx(2 / 3), ("host at repository: gone",))


# The verdict ----------------------------------------------------------------------------------------------------------


def test_nothing_wrong_is_good_news_where_everything_was_seen() -> None:
    assert detection.verdict(Lab().observed(), recognised=False) == "passed"
    lab = Lab()
    lab.without_details.add("pg-a2")
    assert lab.observed().unseen == ("the agent of pg-a2 tells this observer no details",)
    assert detection.verdict(lab.observed(), recognised=False) == "unknown"
    quiet = Lab()
    quiet.alerts_reason = "connection refused"
    assert detection.verdict(quiet.observed(), recognised=False) == "unknown"
    strange = Lab().fails("pg-a1", "memory", "none is left").observed()
    assert detection.verdict(strange, recognised=False) == "unknown"
    assert detection.verdict(strange, recognised=True) == "passed"


def test_an_observer_that_sees_nobody_knows_nothing() -> None:
    lab = Lab()
    for host in MEMBERS:
        lab.loses(host)
    assert not lab.observed().blind  # its own agent answers
    lab.loses("observer")
    assert lab.observed().blind
    assert detection.ranked([book("one", sign("agent", "gone"))], lab.observed()) == []
    assert not lab.fires("HostDown").observed().blind
    assert detection.verdict(lab.observed(), recognised=False) == "unknown"


def test_a_runbook_is_recognised_once_it_was_first_twice_a_second_apart() -> None:
    lab = Lab().fails("pg-a1", "sessions", "slots")
    [one] = detection.ranked([book("one", sign("sessions", "fail"))], lab.observed())
    other = replace(one, book=book("other"))
    seen = Recognition()
    assert [seen.told([one], at) for at in (0.0, 0.9, 1.0)] == [False, False, True]
    assert [seen.told([other], at) for at in (2.0, 2.5)] == [False, False]
    assert [seen.told([one], at) for at in (3.0, 4.5)] == [False, True]
    weak = replace(one, score=detection.THRESHOLD)
    assert [seen.told([weak], at) for at in (5.0, 7.0)] == [False, False]
    assert [seen.told([], at) for at in (8.0, 10.0)] == [False, False]


def test_what_only_people_notice_is_said() -> None:
    silent, alert, known = book("silent"), book("alert", alerts=["CellarWet"]), book("known", {"hazard": "no_primary"})
    lab = Lab()
    assert detection.left_to_people([known, silent, alert], lab.observed()) == ["alert", "silent"]
    assert detection.left_to_people([known, silent, alert], lab.fires("CellarWet").observed()) == ["silent"]


# Each scenario --------------------------------------------------------------------------------------------------------


def not_archived(lab: Lab, command: str = "pgbackrest --stanza=orders archive-push %p") -> Lab:
    archiver = {"failing": True, "last_failed": "00000003000000000000000A", "command": command}
    return lab.changed("pg-a1", archiver=archiver).warns("pg-a1", "archiving", "the last attempt to archive failed")


def repository_lost() -> Lab:
    """The slot of the receiver stays in use until the primary notices, so that comes later."""
    return not_archived(Lab()).without_repository()


def all_lost() -> Lab:
    lab = Lab()
    for name in MEMBERS:
        lab.loses(name, power=False)
    lab.silent.add("repo-a")
    return lab.primary_lost()


def store_lost() -> Lab:
    """What each member's agent sees at once; PostgreSQL notices a minute later."""
    lab = Lab()
    for name in MEMBERS:
        lab.fails(name, "store", "store-b:8333 does not answer: Connection refused")
    return lab


def standby_stopped(lab: Lab, name: str) -> Lab:
    return lab.stops(name, Standing.REFUSED, "Connection refused", "Connection refused").standby_away(name)


def confirmers_lost() -> Lab:
    """With the primary, the standby of its region and the receiver would confirm."""
    lab = standby_stopped(Lab(), "pg-a2").receiver_away().without_commits()
    waits = "commits wait for ANY 1 (pg-a2, repo-a-receiver), and nobody of them is there"
    lab.fails("pg-a1", "replication", waits).warns("observer", "pgbouncer", POOL.format(waiting=3, used=9))
    return lab.warns("pg-a1", "sessions", "the longest wait of a commit for a standby: 8 s (warns at 5 s)")


def region_lost(*, power: bool) -> Lab:
    lab = Lab().loses("pg-a1", power=power).loses("pg-a2", power=power).primary_lost()
    lab.silent.add("repo-a")
    return lab


def locked_out() -> Lab:
    reason = 'probe gets no session: FATAL: pg_hba.conf rejects connection for host "198.18.3.11", user "probe"'
    return Lab().fails("pg-a1", "login", reason).fails("observer", "login", "probe gets no session").without_commits()


def slots_taken() -> Lab:
    """Who looks from outside gets no session either."""
    lab = Lab().fails("pg-a1", "login", "probe gets no session: FATAL: sorry, too many clients already")
    lab.fails("pg-a1", "sessions", "100 of 97 connection slots are taken: 103 % (limit 95 %)")
    return lab.stands("pg-a1", Standing.UNSEEN, "FATAL: sorry, too many clients already")


def promoted_beside() -> Lab:
    lab = Lab().stands("pg-b1", Standing.PRIMARY, "").standby_away("pg-b1")
    lab.readings["pg-b1"] = lab.readings["pg-a1"]
    return lab


def split() -> Lab:
    lab = promoted_beside()
    two = "2 of 3 members serve as primary: pg-a1, pg-b1"
    return lab.fails("observer", "primaries", two).warns(
        "pg-b1", "heartbeat_seen", "since the heartbeat changed here: 9 s"
    )


def gateway_closed(component: str, reason: str) -> Lab:
    return (
        Lab().fails("observer", component, reason).fails("observer", "login", "probe gets no session").without_commits()
    )


def agent_stopped() -> Lab:
    lab = Lab()
    lab.gone.add("pg-b1")
    return lab.warns("observer", "primaries", "1 of 3 members serve as primary: pg-a1; no answer: pg-b1")


def paused() -> Lab:
    lab = Lab().changed("pg-b1", replay_paused=True).warns("pg-b1", "replication", "replay is paused")
    return lab.warns("pg-b1", "heartbeat_seen", "since the heartbeat changed here: 9 s (warns at 5 s)")


POOL = "{waiting} wait for resilience/probe, with {used} of 20 in use; the longest: 7 s (limit 5 s)"
#: What each fault shows, at the latest half a minute later; some of them in several ways.
SCENARIOS: list[tuple[str, str, Lab]] = [
    ("primary_crash", "killed",
     Lab().stops("pg-a1", Standing.REFUSED, "Connection refused", "Connection refused").primary_lost()),
    ("primary_crash", "recovers",
     Lab().stops("pg-a1", Standing.STARTING, "the database system is starting up", "starting up").primary_lost()),
    ("primary_host_lost", "off", Lab().loses("pg-a1", power=False).primary_lost()),
    ("primary_host_lost", "nobody knows whether it is off", Lab().loses("pg-a1").primary_lost()),
    ("primary_unresponsive", "cut off or frozen", Lab().loses("pg-a1", power=True).primary_lost()),
    ("primary_unresponsive", "stopped", Lab().stops("pg-a1", Standing.UNSEEN, "timeout expired", HANGS).primary_lost()),
    ("primary_unresponsive", "storage frozen",
     Lab().stands("pg-a1", Standing.STALLED, "it answers, and its storage took no commit").without_commits()),
    ("region_lost", "cut off", region_lost(power=True)),
    ("region_lost", "off", region_lost(power=False)),
    ("region_lost", "at first", Lab().loses("pg-a1", power=True).loses("pg-a2", power=True)),
    ("cross_region_restore", "", all_lost()),
    ("repository_lost", "at first", repository_lost()),
    ("repository_lost", "before archiving fails", Lab().without_repository().receiver_away()),
    ("repository_lost", "later", repository_lost().receiver_away()),
    ("ransomware", "", not_archived(Lab())),
    ("store_unreachable", "at first", store_lost()),
    ("store_unreachable", "later", not_archived(store_lost())),
    ("archiving_fails", "", not_archived(Lab(), "false")),
    ("certificate_expiry", "", Lab().warns("pg-a2", "certificate", "/host.crt ends in 20 days")),
    ("backup_corrupt", "", Lab().fires("VerificationFailed", "sev1")),
    ("replay_paused", "", paused()),
    ("connections_exhausted", "", slots_taken()),
    ("lock_queue", "", Lab().warns("pg-a1", "sessions", "8 wait for a lock, the longest: 6 s (warns at 5 s)")),
    ("pool_exhausted", "",
     Lab().fails("observer", "pgbouncer", POOL.format(waiting=4, used=20)).without_commits()),
    ("pool_exhausted", "of standbys, where commits go on",
     Lab().fails("observer", "pgbouncer", POOL.replace("/", "_readonly/").format(waiting=4, used=20))),
    ("application_locked_out", "", locked_out()),
    ("configuration_broken", "",
     Lab().fails("pg-a1", "configuration", "/etc/postgresql.conf, line 812: setting could not be applied")),
    ("shared_memory_full", "", Lab().fails("pg-a1", "shared_memory", "/dev/shm: free: 3 % (limit 5 %)")),
    ("standby_lost", "stopped", standby_stopped(Lab(), "pg-b1")),
    ("standby_lost", "its host, at first", Lab().loses("pg-b1")),
    ("standby_lost", "its host", Lab().loses("pg-b1", power=False).standby_away("pg-b1")),
    ("confirmers_lost", "", confirmers_lost()),
    ("split_brain", "before the observer looked", promoted_beside()),
    ("split_brain", "", split()),
    ("slot_unused", "", Lab().warns("pg-a1", "slots", "nobody uses forgotten: no member or receiver is called so")),
    ("receiver_lost", "", Lab().receiver_away()),
    ("gateway_down", "PgBouncer", gateway_closed("pgbouncer", "PgBouncer does not answer: Connection refused")),
    ("gateway_down", "HAProxy", gateway_closed("haproxy", "127.0.0.1:5000 does not answer: Connection refused")),
    ("agent_down", "", agent_stopped()),
]  # fmt: skip


@pytest.fixture(scope="module")
def books() -> list[Runbook]:
    schema = catalogue.schema()
    return [parsed(source.document, schema, source.folder) for source in catalogue.sources()]


@pytest.mark.parametrize(("name", "way", "lab"), SCENARIOS, ids=[f"{name}-{way}" for name, way, _lab in SCENARIOS])
def test_the_right_runbook_is_recognised(name: str, way: str, lab: Lab, books: list[Runbook]) -> None:
    first, *others = detection.ranked(books, lab.observed())
    told = "\n".join(
        f"{one.score:.2f} {one.book.id} {one.unexplained} {one.speaks_against}" for one in [first, *others[:3]]
    )
    assert first.book.id == name, told
    assert first.score > detection.THRESHOLD, told
    # Another one that fits as well would be a matter of luck.
    assert not others or first.score > others[0].score, told


def test_each_runbook_that_has_signs_was_shown_its_fault(books: list[Runbook]) -> None:
    shown = {name for name, _way, _lab in SCENARIOS}
    assert {book.id for book in books if book.signs or book.alerts} == shown
    assert {book.id for book in books} - shown == {"data_loss", "repository_key_leaked"}


def test_a_cluster_that_is_well_needs_no_runbook(books: list[Runbook]) -> None:
    assert detection.ranked(books, Lab().observed()) == []
