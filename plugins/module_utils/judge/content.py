# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restored copy compared with what the cluster held at the same LSN. Pure.

``expected`` and ``found`` are collect.content.Content as dictionaries. What the manifest itself could not see is
unknown by name; what the copy cannot show is failed, for whoever restores it could not read it either.
"""

from __future__ import annotations

import typing as t

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict

Facts = t.Mapping[str, t.Any]

#: How many names a reason tells.
NAMES = 5
#: A copy that lacks an extension's library is this host's fault, not the backup's.
LACKING = ("could not access file", "must be loaded via", "could not load library")
LARGE_OBJECTS = ("pg_catalog.pg_largeobject", "pg_catalog.pg_largeobject_metadata")


def compare(expected: Facts, found: Facts, *, thorough: bool = False) -> list[Check]:
    """A check for each kind of thing that can be lost.

    :param thorough: rows that were counted and not hashed are unknown.
    """
    relations = _relations(expected, found)
    checks = [
        _relation_check("content: tables", "tables", relations, lambda name: not _catalog(name)),
        _relation_check(
            "content: catalogs", "catalogs", relations, lambda name: _catalog(name) and name not in LARGE_OBJECTS
        ),
        _relation_check("content: large objects", "tables of large objects", relations, LARGE_OBJECTS.__contains__),
        _sequences(expected, found),
        _same("content: extensions", _by_database(expected, "extensions"), _by_database(found, "extensions")),
        _roles(expected["cluster"], found["cluster"]),
        _same("content: tablespaces", expected["cluster"]["tablespaces"], found["cluster"]["tablespaces"]),
        _same("content: databases", _databases(expected), _databases(found)),
        _collations(expected["cluster"]["databases"], found["cluster"]["databases"]),
        _same("content: indexes and constraints", _by_database(expected, "counts"), _by_database(found, "counts")),
        _unseen(expected["unseen"]),
    ]
    if thorough:
        counted = [name for name, (wanted, _got) in relations.items() if wanted is not None and wanted["hash"] is None]
        reason = f"counted only: {_listed(counted)}" if counted else f"{len(relations)} relations are hashed"
        checks.append(Check("content: all of it is hashed", _verdict(not counted, Verdict.UNKNOWN), reason))
    return checks


def not_tested(expected: Facts) -> list[str]:
    """What no comparison can tell of."""
    found = [
        f"content of {database}: {name}, only its rows are counted"
        for database, one in expected["databases"].items()
        for name, facts in one["relations"].items()
        if facts["hash"] is None
    ]
    return [*found, "content of unlogged, temporary and foreign tables, which no backup holds"]


Pair: t.TypeAlias = "tuple[t.Mapping[str, t.Any] | None, t.Mapping[str, t.Any] | None]"


def _relations(expected: Facts, found: Facts) -> dict[str, Pair]:
    """Every relation by ``database: schema.name``, as it was and as it is. One that was unseen then is left out."""
    pairs: dict[str, Pair] = {}
    for database in {*expected["databases"], *found["databases"]}:
        was, now = (side["databases"].get(database, {}).get("relations", {}) for side in (expected, found))
        for name in {*was, *now}:
            pairs[f"{database}: {name}"] = (was.get(name), now.get(name))
    for name, reason in found["unseen"].items():
        if name in pairs:
            pairs[name] = (pairs[name][0], {"unreadable": reason})
    return {name: pair for name, pair in sorted(pairs.items()) if name not in expected["unseen"]}


def _relation_check(name: str, what: str, relations: t.Mapping[str, Pair], mine: t.Callable[[str], bool]) -> Check:
    chosen = {full: pair for full, pair in relations.items() if mine(full.split(": ", 1)[1])}
    faults = {full: fault for full, pair in chosen.items() if (fault := _fault(*pair))}
    if faults:
        lacking = all(any(words in fault for words in LACKING) for fault in faults.values())
        told = _listed([f"{full} {fault}" for full, fault in faults.items()])
        return Check(name, Verdict.UNKNOWN if lacking else Verdict.FAILED, told)
    if not chosen:
        return Check(name, Verdict.UNKNOWN, f"the manifest tells of no {what}")
    rows = sum(was["rows"] for was, _now in chosen.values() if was is not None)
    hashed = sum(was is not None and was["hash"] is not None for was, _now in chosen.values())
    return Check(
        name, Verdict.PASSED, f"{len(chosen)} {what} of {rows} rows are as they were, {hashed} of them by hash"
    )


def _fault(was: t.Mapping[str, t.Any] | None, now: t.Mapping[str, t.Any] | None) -> str:
    if now is None:
        return "is missing"
    if "unreadable" in now:
        return f"cannot be read: {now['unreadable']}"
    if was is None:
        return "is there and was not"
    if was["rows"] != now["rows"]:
        return f"has {now['rows']} rows and had {was['rows']}"
    if None not in (was["hash"], now["hash"]) and was["hash"] != now["hash"]:
        return "has other rows, as many as before"
    return ""


def _catalog(name: str) -> bool:
    return name.startswith(("pg_catalog.", "information_schema."))


def _sequences(expected: Facts, found: Facts) -> Check:
    """A sequence may be ahead, since it is written to WAL ahead of its values; behind, it gives a value twice."""
    was, now = (_by_database(side, "sequences") for side in (expected, found))
    faults = [f"{name} is missing" for name in sorted(was.keys() - now.keys())]
    for name in sorted(was.keys() & now.keys()):
        last, step = was[name]["last"], was[name]["step"]
        here = now[name]["last"]
        if last is not None and (here is None or (here - last) * step < 0):
            faults.append(f"{name} is at {here} and was at {last}")
    if faults:
        return Check("content: sequences", Verdict.FAILED, _listed(faults))
    return Check("content: sequences", Verdict.PASSED, f"none of {len(was)} is behind")


def _roles(was: Facts, now: Facts) -> Check:
    name = "content: roles"
    faults = _differences(was["roles"], now["roles"])
    faults += [f"membership {one} is missing" for one in was["memberships"] if one not in now["memberships"]]
    faults += [f"membership {one} was not there" for one in now["memberships"] if one not in was["memberships"]]
    if was["passwords"] != now["passwords"]:
        faults.append("passwords are not the same")
    if faults:
        return Check(name, Verdict.FAILED, _listed(faults))
    return Check(name, Verdict.PASSED, f"{len(was['roles'])} roles with their memberships and passwords")


def _collations(was: Facts, now: Facts) -> Check:
    """Where this host sorts otherwise than the member does, what it says of indexes is not about the backup."""
    name = "content: collations"
    pairs = {
        database: (was[database]["collation_actual"], now[database]["collation_actual"])
        for database in was.keys() & now.keys()
    }
    other = [f"{one}: {here}, the member has {there}" for one, (there, here) in sorted(pairs.items()) if there != here]
    stale = [
        f"{one} was made with {facts['collation_recorded']} and the member has {facts['collation_actual']}"
        for one, facts in sorted(was.items())
        if None not in (facts["collation_recorded"], facts["collation_actual"])
        and facts["collation_recorded"] != facts["collation_actual"]
    ]
    if stale:
        return Check(name, Verdict.FAILED, _listed(stale))
    if other:
        return Check(name, Verdict.UNKNOWN, f"this host sorts otherwise: {_listed(other)}")
    return Check(name, Verdict.PASSED, "this host sorts as the member does")


def _databases(side: Facts) -> dict[str, t.Any]:
    kinds = ("connectable", "encoding", "collate", "ctype", "provider")
    return {name: {kind: one[kind] for kind in kinds} for name, one in side["cluster"]["databases"].items()}


def _by_database(side: Facts, kind: str) -> dict[str, t.Any]:
    return {
        f"{database}: {name}": facts for database, one in side["databases"].items() for name, facts in one[kind].items()
    }


def _same(name: str, was: Facts, now: Facts) -> Check:
    faults = _differences(was, now)
    if faults:
        return Check(name, Verdict.FAILED, _listed(faults))
    return Check(name, Verdict.PASSED, f"{len(was)} are as they were")


def _differences(was: Facts, now: Facts) -> list[str]:
    faults = [f"{name} is missing" for name in sorted(was.keys() - now.keys())]
    faults += [f"{name} is there and was not" for name in sorted(now.keys() - was.keys())]
    return faults + [
        f"{name} is {now[name]} and was {was[name]}"
        for name in sorted(was.keys() & now.keys())
        if was[name] != now[name]
    ]


def _unseen(unseen: t.Mapping[str, str]) -> Check:
    name = "content: the manifest saw everything"
    if unseen:
        return Check(name, Verdict.UNKNOWN, _listed([f"{one}: {reason}" for one, reason in sorted(unseen.items())]))
    return Check(name, Verdict.PASSED, "nothing was left out")


def _verdict(well: bool, otherwise: Verdict) -> Verdict:
    return Verdict.PASSED if well else otherwise


def _listed(names: t.Sequence[str]) -> str:
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return "; ".join(names[:NAMES]) + more
