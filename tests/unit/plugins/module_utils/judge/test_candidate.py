# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who takes over, and when nobody may."""

from __future__ import annotations

import random
import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import candidate
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.recovery_end import lsn_to_int

Seen = dict[str, t.Any]


def member(name: str, standing: str = "standby", **more: t.Any) -> Seen:
    return {
        "name": name,
        "region": name[3],
        "standing": standing,
        "reason": "",
        "ssh_answers": True,
        "system_id": "77",
        "timeline": 3,
        "written_lsn": "0/5000000",
        "replay_paused": False,
        "receiving_from": "pg-a1" if standing == "standby" else None,
        **more,
    }


def unseen(name: str, **more: t.Any) -> Seen:
    nothing = dict.fromkeys(("system_id", "timeline", "written_lsn", "replay_paused", "receiving_from"))
    return member(name, "unseen", **{"reason": "timeout expired", "ssh_answers": False, **nothing, **more})


def cluster(*members: Seen) -> dict[str, t.Any]:
    primaries = [one["name"] for one in members if one["standing"] == "primary"]
    return {"primary": primaries[0] if len(primaries) == 1 else None, "members": list(members)}


A1 = member("pg-a1", "primary")
A2 = member("pg-a2")
B1 = member("pg-b1")
LOST = unseen("pg-a1")


def refused(error: RefusedError, *words: str) -> None:
    """It says what was wrong, what was found and what to do, and that nothing was changed."""
    result = error.as_result()
    assert result["changed"] is False
    assert result["given"]
    assert result["next_step"]
    for word in words:
        assert word in result["msg"]


# Switchover ----------------------------------------------------------------------------------------------------------


def test_a_switchover_stays_in_the_region() -> None:
    plan = candidate.switchover(cluster(A1, A2, member("pg-b1", written_lsn="0/6000000")))
    assert (plan.old_primary, plan.candidate, plan.timeline) == ("pg-a1", "pg-a2", 3)
    assert plan.rejected == {"pg-b1": "it stands in region b"}


@pytest.mark.parametrize(("written", "lag"), [("0/4FFFF00", 0x100), ("0/5000000", 0), ("0/5000100", 0)])
def test_a_switchover_says_how_far_behind_the_candidate_is(written: str, lag: int) -> None:
    plan = candidate.switchover(cluster(A1, member("pg-a2", written_lsn=written)))
    assert plan.lag_bytes == lag
    assert f"it is {lag} bytes of WAL behind" in str(plan)


def test_a_candidate_that_was_asked_for_and_would_lose_too_much_is_refused() -> None:
    """The one that holds more was not rejected then; it was only not asked for."""
    behind = member("pg-b1", written_lsn="0/4FFFF00", replay_age_seconds=9.0)
    with pytest.raises(RefusedError) as error:
        candidate.failover(cluster(LOST, member("pg-a2", replay_age_seconds=2.0), behind), "pg-b1", rpo_seconds=0)
    refused(error.value, "256 bytes of WAL that pg-a2 holds, the transactions of 7 s", "pg-a2, which can take over")


def test_a_failover_says_what_would_be_left_behind() -> None:
    ahead = member("pg-b1", written_lsn="0/5000100", replay_paused=True, replay_age_seconds=1.0)
    plan = candidate.failover(cluster(LOST, member("pg-a2", replay_age_seconds=5.0), ahead), rpo_seconds=300)
    assert str(plan).endswith("256 bytes of WAL, the transactions of 4 s, that pg-b1 holds are left behind")


def test_a_switchover_takes_who_is_wanted() -> None:
    assert candidate.switchover(cluster(A1, A2, B1), wanted="pg-b1").candidate == "pg-b1"


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ({"receiving_from": None}, "does not stream"),
        ({"timeline": 2}, "timeline 2"),
        ({"system_id": "78"}, "another cluster"),
        ({"replay_paused": True}, "paused"),
        ({"written_lsn": None}, "no WAL"),
        ({"standing": "starting", "reason": "starting up"}, "starting up"),
    ],
)
def test_who_is_not_in_step_cannot_take_over(fault: Seen, word: str) -> None:
    unfit = member("pg-a2", **fault)
    assert candidate.switchover(cluster(A1, unfit, B1)).candidate == "pg-b1"
    with pytest.raises(RefusedError) as wanted:
        candidate.switchover(cluster(A1, unfit, B1), wanted="pg-a2")
    refused(wanted.value, word, "pg-b1")
    with pytest.raises(RefusedError) as nobody:
        candidate.switchover(cluster(A1, unfit))
    refused(nobody.value, word, "restore")


@pytest.mark.parametrize("members", [(A1, member("pg-a2", "primary")), (LOST, A2), (A2, B1)])
def test_a_switchover_needs_one_primary(members: tuple[Seen, ...]) -> None:
    with pytest.raises(RefusedError) as error:
        candidate.switchover(cluster(*members))
    refused(error.value, "failover", "fence")


@pytest.mark.parametrize("wanted", ["pg-x9", "pg-a1"])
def test_who_is_wanted_is_another_member(wanted: str) -> None:
    with pytest.raises(InputError) as error:
        candidate.switchover(cluster(A1, A2, B1), wanted=wanted)
    assert error.value.possible == "pg-a2, pg-b1"


def test_a_primary_that_is_to_come_home_goes_nowhere_else() -> None:
    home = member("pg-a2", receiving_from="pg-b1")
    seen = cluster(member("pg-b1", "primary"), member("pg-b2", receiving_from="pg-b1"), home)
    plan = candidate.switchover(seen, region="a")
    assert (plan.candidate, plan.rejected) == ("pg-a2", {"pg-b2": "it stands in region b"})
    with pytest.raises(RefusedError) as error:
        candidate.switchover(seen, region="c")
    refused(error.value, "no member can take over", "pg-a2: it stands in region a")


# Failover ------------------------------------------------------------------------------------------------------------


def test_a_failover_prefers_the_region_of_who_was_lost() -> None:
    plan = candidate.failover(cluster(LOST, A2, member("pg-b1", written_lsn="0/5000100")))
    assert (plan.old_primary, plan.candidate) == ("pg-a1", "pg-a2")
    assert plan.lost == [{"name": "pg-a1", "standing": "unseen", "ssh_answers": False}]


def test_most_wal_wins_in_a_region() -> None:
    plan = candidate.failover(cluster(LOST, A2, member("pg-a3", written_lsn="0/5000100")))
    assert plan.candidate == "pg-a3"
    assert plan.rejected == {"pg-a2": "it holds 256 bytes of WAL less"}


def test_wal_is_compared_by_position_and_not_by_text() -> None:
    plan = candidate.failover(cluster(LOST, member("pg-a2", written_lsn="9/0"), member("pg-a3", written_lsn="10/0")))
    assert plan.candidate == "pg-a3"


def test_the_other_region_takes_over_when_nobody_else_can() -> None:
    assert candidate.failover(cluster(LOST, unseen("pg-a2"), B1), lost="pg-a1").candidate == "pg-b1"


def test_a_standby_that_does_not_stream_any_more_can_take_over() -> None:
    assert candidate.failover(cluster(LOST, member("pg-a2", receiving_from=None))).candidate == "pg-a2"


AHEAD = member("pg-b1", written_lsn="0/6000000", replay_age_seconds=4.0)
BEHIND = member("pg-a2", replay_age_seconds=700.0)


def test_what_another_member_holds_beyond_the_candidate_is_stated() -> None:
    plan = candidate.failover(cluster(LOST, BEHIND, AHEAD))
    assert (plan.candidate, plan.loses_bytes, plan.loses_seconds, plan.held_by) == ("pg-a2", 0x1000000, 696.0, "pg-b1")


def test_more_than_the_objective_is_refused_with_how_much_and_who_has_it() -> None:
    with pytest.raises(RefusedError) as error:
        candidate.failover(cluster(LOST, BEHIND, AHEAD), rpo_seconds=300)
    refused(error.value, "16777216 bytes", "696 s", "objective of 300 s", "resilience_candidate=pg-b1")


@pytest.mark.parametrize("more", [{"wanted": "pg-b1"}, {"accept_loss": "region b is in maintenance"}])
def test_the_loss_is_avoided_or_taken_on(more: dict[str, str]) -> None:
    assert candidate.failover(cluster(LOST, BEHIND, AHEAD), rpo_seconds=300, **more).candidate


def test_a_loss_within_the_objective_is_no_reason_to_stop() -> None:
    assert candidate.failover(cluster(LOST, BEHIND, AHEAD), rpo_seconds=700).loses_bytes == 0x1000000


def test_wal_of_one_who_cannot_serve_counts_as_lost_too() -> None:
    paused = member("pg-b1", written_lsn="0/6000000", replay_paused=True, replay_age_seconds=4.0)
    with pytest.raises(RefusedError, match="would lose"):
        candidate.failover(cluster(LOST, BEHIND, paused), rpo_seconds=300)


def test_a_loss_of_which_nobody_knows_how_old_it_is_is_not_taken_for_none() -> None:
    with pytest.raises(RefusedError) as error:
        candidate.failover(cluster(LOST, A2, AHEAD), rpo_seconds=300)
    refused(error.value, "an unknown time", "16777216 bytes")
    plan = candidate.failover(cluster(LOST, A2, AHEAD), rpo_seconds=300, accept_loss="the report can be run again")
    assert (plan.loses_bytes, plan.loses_seconds) == (0x1000000, None)


def test_who_holds_most_loses_nothing() -> None:
    plan = candidate.failover(cluster(LOST, A2, B1), rpo_seconds=0)
    assert (plan.loses_bytes, plan.loses_seconds, plan.held_by) == (0, 0.0, None)


def test_a_stale_timeline_is_never_promoted_however_much_wal_it_holds() -> None:
    stale = member("pg-a2", timeline=2, written_lsn="9/0")
    plan = candidate.failover(cluster(LOST, stale, B1))
    assert plan.candidate == "pg-b1"
    assert plan.rejected["pg-a2"] == "it is on timeline 2, another member on 3"
    with pytest.raises(RefusedError) as error:
        candidate.failover(cluster(LOST, stale, B1), wanted="pg-a2")
    refused(error.value, "timeline 2")


def test_only_those_who_can_serve_make_a_timeline_stale() -> None:
    paused = member("pg-b1", timeline=4, replay_paused=True)
    assert candidate.failover(cluster(LOST, A2, paused)).candidate == "pg-a2"


def test_two_clusters_under_one_name_are_not_touched() -> None:
    with pytest.raises(RefusedError) as error:
        candidate.failover(cluster(LOST, A2, member("pg-b1", system_id="78")))
    refused(error.value, "pg-a2 77, pg-b1 78")


def test_two_primaries_are_not_made_three() -> None:
    with pytest.raises(RefusedError) as error:
        candidate.failover(cluster(A1, member("pg-a2", "primary"), B1), lost="pg-a1")
    refused(error.value, "pg-a1 and pg-a2", "fence")


def test_nothing_is_lost_while_a_primary_accepts_writes() -> None:
    with pytest.raises(RefusedError) as error:
        candidate.failover(cluster(A1, unseen("pg-a2"), B1), lost="pg-a2")
    refused(error.value, "pg-a1 is primary", "switchover")


@pytest.mark.parametrize("members", [(LOST, unseen("pg-a2"), B1), (A2, B1)])
def test_who_was_lost_is_never_guessed(members: tuple[Seen, ...]) -> None:
    with pytest.raises(RefusedError) as error:
        candidate.failover(cluster(*members))
    refused(error.value, "resilience_lost_primary")


def test_nobody_is_left() -> None:
    with pytest.raises(RefusedError) as error:
        candidate.failover(cluster(LOST, unseen("pg-a2")), lost="pg-a1")
    refused(error.value, "timeout expired", "restore")


def test_a_primary_that_cannot_commit_is_lost() -> None:
    stalled = member("pg-a1", "stalled", reason="its storage did not take a commit", ssh_answers=True)
    plan = candidate.failover(cluster(stalled, A2, B1))
    assert (plan.candidate, plan.lost) == ("pg-a2", [{"name": "pg-a1", "standing": "stalled", "ssh_answers": True}])


def test_who_was_lost_is_a_member() -> None:
    with pytest.raises(InputError):
        candidate.failover(cluster(LOST, A2), lost="pg-x9")


@pytest.mark.parametrize("decide", [candidate.switchover, candidate.failover])
def test_only_what_cluster_info_returns_is_judged(decide: t.Callable[..., candidate.Plan]) -> None:
    with pytest.raises(InputError, match="cluster_info"):
        decide({"msg": "unreachable"})


# A region that is lost -----------------------------------------------------------------------------------------------

BOTH_LOST = (unseen("pg-a1"), unseen("pg-a2"))
LEFT = member("pg-b1", replay_age_seconds=2.4)


def test_a_lost_region_is_fenced_whole_and_the_other_one_takes_over() -> None:
    plan = candidate.failover(cluster(*BOTH_LOST, LEFT), lost_region="a", accept_loss="flood")
    assert (plan.old_primary, plan.lost_region, plan.candidate, plan.loses_seconds) == (None, "a", "pg-b1", 2.4)
    assert [one["name"] for one in plan.lost] == ["pg-a1", "pg-a2"]
    assert str(plan) == (
        "pg-b1 takes over from region a; it holds WAL up to 0/5000000 on timeline 3; what was committed after the"
        " candidate's newest transaction, 2 s ago, is left behind"
    )


@pytest.mark.parametrize(("age", "told"), [(2.4, "2 s ago"), (None, "of unknown age")])
def test_a_lost_region_is_not_given_up_without_a_word(age: float | None, told: str) -> None:
    seen = cluster(*BOTH_LOST, member("pg-b1", replay_age_seconds=age))
    with pytest.raises(RefusedError) as error:
        candidate.failover(seen, rpo_seconds=300, lost_region="a")
    refused(error.value, "with region a", told, "pg-b1", "resilience_accept_loss=<reason>")


def test_a_region_of_which_somebody_answers_is_not_lost() -> None:
    with pytest.raises(RefusedError) as error:
        candidate.failover(cluster(LOST, A2, LEFT), lost_region="a", accept_loss="flood")
    refused(error.value, "region a is not lost: pg-a2 answers", "resilience_lost_primary")


def test_a_region_that_does_not_exist() -> None:
    with pytest.raises(InputError) as error:
        candidate.failover(cluster(*BOTH_LOST, LEFT), lost_region="z", accept_loss="flood")
    assert error.value.possible == "a, b"


def test_a_region_may_be_called_by_a_number() -> None:
    numbered = [{**one, "region": {"a": 1, "b": 2}[one["region"]]} for one in (*BOTH_LOST, LEFT)]
    assert candidate.failover(cluster(*numbered), lost_region="1", accept_loss="flood").candidate == LEFT["name"]
    with pytest.raises(InputError) as error:
        candidate.failover(cluster(*numbered), lost_region="3", accept_loss="flood")
    assert error.value.possible == "1, 2"


def test_where_all_of_a_region_is_gone_it_can_be_named() -> None:
    with pytest.raises(RefusedError) as error:
        candidate.failover(cluster(*BOTH_LOST, LEFT))
    refused(error.value, "not clear", "resilience_lost_primary=<member>, or the region", "resilience_lost_region=a")
    with pytest.raises(RefusedError) as error:
        candidate.failover(cluster(LOST, A2, unseen("pg-b1")))
    assert "resilience_lost_region" not in error.value.as_result()["msg"]


@pytest.mark.parametrize("seed", range(300))
def test_whatever_is_seen_a_choice_is_safe_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    names = ["pg-a1", "pg-a2", "pg-a3", "pg-b1", "pg-b2"][: chance.randint(1, 5)]
    members = [
        member(
            name,
            chance.choice(["primary", "standby", "standby", "standby", "unseen", "refused"]),
            timeline=chance.choice([2, 3, 3, 3]),
            written_lsn=f"{chance.randint(0, 20):X}/{chance.randint(0, 2**32 - 1):X}",
            receiving_from=chance.choice([None, "pg-a1"]),
            replay_paused=chance.random() < 0.1,
        )
        for name in names
    ]
    seen = {one["name"]: one for one in members}
    for decide in (candidate.switchover, candidate.failover):
        try:
            plan = decide(cluster(*members))
        except RefusedError as error:
            refused(error)
            continue
        chosen, old = seen[plan.candidate], seen[str(plan.old_primary)]
        assert chosen["standing"] == "standby"
        assert not chosen["replay_paused"]
        assert chosen is not old
        assert set(plan.rejected) == set(seen) - {plan.candidate, plan.old_primary}
        standbys = [one for one in members if one["standing"] == "standby" and not one["replay_paused"]]
        if decide is candidate.switchover:
            assert old["standing"] == "primary"
            assert chosen["receiving_from"] is not None
            assert chosen["timeline"] == old["timeline"]
        else:
            assert "primary" not in [one["standing"] for one in members]
            assert chosen["timeline"] == max(one["timeline"] for one in standbys)
            rivals = [
                one
                for one in standbys
                if one["region"] == chosen["region"] and one["timeline"] == chosen["timeline"] and one is not old
            ]
            assert lsn_to_int(chosen["written_lsn"]) == max(lsn_to_int(one["written_lsn"]) for one in rivals)
