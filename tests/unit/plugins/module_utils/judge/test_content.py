# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy compared with a manifest, by facts alone; the test of collect/content.py has real ones."""

from __future__ import annotations

import copy
import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import content as judge

DATABASE = {
    "connectable": True, "encoding": "UTF8", "collate": "en_US.UTF-8", "ctype": "en_US.UTF-8", "provider": "c",
    "collation_recorded": "2.36", "collation_actual": "2.36",
}  # fmt: skip
HELD: dict[str, t.Any] = {
    "cluster": {
        "roles": {"clerk": "a"}, "memberships": [], "passwords": "b", "tablespaces": {"pg_default": "c"},
        "databases": {"app": DATABASE},
    },
    "databases": {
        "app": {
            "relations": {
                "public.t": {"rows": 2, "hash": "7", "bytes": 8192, "written": 2},
                "public.big": {"rows": 9, "hash": None, "bytes": 81920, "written": 9},
                "pg_catalog.pg_proc": {"rows": 5, "hash": "1", "bytes": 8192, "written": 0},
                "pg_catalog.pg_largeobject": {"rows": 1, "hash": "3", "bytes": 8192, "written": 0},
            },
            "sequences": {"public.up": {"last": 10, "step": 1}, "public.down": {"last": -10, "step": -1}},
            "extensions": {"plpgsql": "1.0"}, "large_objects": {"count": 1}, "counts": {"indexes": 3},
        }
    },
    "unseen": {},
}  # fmt: skip


def compared(change: t.Callable[[dict[str, t.Any]], t.Any], **more: t.Any) -> dict[str, tuple[str, str]]:
    found = copy.deepcopy(HELD)
    change(found)
    checks = judge.compare(HELD, found, **more)
    return {check.name: (check.verdict.value, check.reason) for check in checks if check.verdict.value != "passed"}


def app(side: dict[str, t.Any]) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", side["databases"]["app"])


def test_the_same_passes() -> None:
    assert compared(lambda found: None) == {}


@pytest.mark.parametrize(("last", "verdict"), [(10, None), (42, None), (9, "failed"), (None, "failed")])
def test_a_sequence_may_be_ahead_and_not_behind(last: int | None, verdict: str | None) -> None:
    found = compared(lambda side: app(side)["sequences"]["public.up"].update(last=last))
    assert found.get("content: sequences", (None,))[0] == verdict


def test_a_sequence_that_counts_down_is_behind_above() -> None:
    assert compared(lambda side: app(side)["sequences"]["public.down"].update(last=-42)) == {}
    assert "content: sequences" in compared(lambda side: app(side)["sequences"]["public.down"].update(last=-9))


def test_a_table_that_is_only_counted_is_said_and_unknown_where_all_is_wanted() -> None:
    assert judge.not_tested(HELD)[0] == "content of app: public.big, only its rows are counted"
    found = compared(lambda side: None, thorough=True)
    assert found == {"content: all of it is hashed": ("unknown", "counted only: app: public.big")}


def test_a_whole_database_that_is_missing_fails_with_its_tables() -> None:
    found = compared(lambda side: side["databases"].clear() or side["cluster"]["databases"].clear())
    assert found["content: databases"] == ("failed", "app is missing")
    assert found["content: tables"][0] == found["content: large objects"][0] == "failed"


def test_what_the_copy_cannot_show_fails_and_a_missing_library_is_this_hosts_fault() -> None:
    broken = compared(lambda side: side["unseen"].update({"app: public.t": "ERROR:  invalid page in block 7"}))
    assert broken["content: tables"] == ("failed", "app: public.t cannot be read: ERROR:  invalid page in block 7")
    lacking = compared(lambda side: side["unseen"].update({"app: public.t": 'could not access file "$libdir/postgis"'}))
    assert lacking["content: tables"][0] == "unknown"


def test_what_the_manifest_could_not_see_is_unknown_and_never_compared() -> None:
    expected = copy.deepcopy(HELD)
    expected["unseen"] = {"app: public.t": "it was written to while it was read"}
    del app(expected)["relations"]["public.t"]
    checks = {check.name: check.verdict.value for check in judge.compare(expected, HELD)}
    assert checks["content: tables"] == "passed"
    assert checks["content: the manifest saw everything"] == "unknown"


def test_a_manifest_without_a_table_proves_nothing() -> None:
    expected = copy.deepcopy(HELD)
    app(expected)["relations"].clear()
    checks = {check.name: check.verdict.value for check in judge.compare(expected, expected)}
    assert checks["content: tables"] == checks["content: catalogs"] == "unknown"


def test_a_host_that_sorts_otherwise_is_unknown_and_a_stale_collation_fails() -> None:
    other = compared(lambda side: side["cluster"]["databases"]["app"].update(collation_actual="2.41"))
    assert other == {"content: collations": ("unknown", "this host sorts otherwise: app: 2.41, the member has 2.36")}
    expected = copy.deepcopy(HELD)
    expected["cluster"]["databases"]["app"]["collation_recorded"] = "2.31"
    checks = {check.name: check.verdict.value for check in judge.compare(expected, expected)}
    assert checks["content: collations"] == "failed"


def test_a_reason_names_a_few_and_counts_the_rest() -> None:
    found = compared(lambda side: app(side)["extensions"].update({f"e{n}": "1" for n in range(9)}))
    assert found["content: extensions"][1].endswith("and 4 more")
