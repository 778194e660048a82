# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a backup known to be good? What a throw-away restore showed, judged; content.py compares its rows. Pure."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.pgbackrest import lsn_number, lsn_text
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict

LEVELS = ("quick", "standard", "full")
#: Words of pgBackRest's explained complaints after which nothing is known of the backup itself.
OUT_OF_REACH = (
    "cannot be reached",
    "is not trusted",
    "refuses the key",
    "gave no answer",
    "another pgBackRest process",
)
LINES = 3
#: Files without which a restored cluster of Debian's cannot be started as it was.
CONFIGURATION = ("postgresql.conf", "pg_hba.conf", "pg_ident.conf")


def readable(repo: int, complaint: str) -> Check:
    """A repository that did not let itself be read: with the wrong key it is as good as lost, else nobody knows."""
    wrong = "key is wrong" in complaint
    return Check(f"repository {repo}: it can be read", Verdict.FAILED if wrong else Verdict.UNKNOWN, complaint)


def restored(label: str, complaint: str = "") -> Check:
    """Did pgBackRest give the backup's files back, each with the checksum that it was stored with?"""
    name = "restore: files"
    if not complaint:
        return Check(name, Verdict.PASSED, f"backup {label} was restored")
    away = any(words in complaint for words in OUT_OF_REACH)
    return Check(name, Verdict.UNKNOWN if away else Verdict.FAILED, f"backup {label}: {complaint}")


def reached(target: int, lsn: str | None, reason: str, *, died: bool = True) -> Check:
    """Did the recovery end exactly at the LSN that somebody else than the repository had told?

    :param lsn: where the server's own history says that it ended; None if it has not.
    :param died: without an LSN, whether the server gave up; else the time was up.
    """
    name = "recovery: it ended at the target"
    wanted = lsn_text(target)
    if lsn is None:
        return Check(name, Verdict.FAILED if died else Verdict.UNKNOWN, f"{wanted} was not reached: {reason}")
    if lsn_number(lsn) != target:
        return Check(name, Verdict.FAILED, f"it ended at {lsn} ({reason}) instead of {wanted}")
    return Check(name, Verdict.PASSED, f"PostgreSQL's history says: {reason}")


def outside(target: int, reason: str) -> Check:
    """The repository does not reach the LSN of the manifest: it is stale, or holds a gap."""
    return Check("recovery: it ended at the target", Verdict.FAILED, f"{lsn_text(target)} cannot be reached: {reason}")


def pages(rc: int, text: str, enabled: bool) -> Check:
    """pg_checksums' words."""
    name = "pages: checksums"
    if not enabled:
        return Check(name, Verdict.UNKNOWN, "the cluster has no data checksums, so a rotten page cannot be told")
    counted = dict(re.findall(r"^(Files scanned|Blocks scanned|Bad checksums):\s+(\d+)", text, re.MULTILINE))
    if rc == 0 and counted.get("Bad checksums") == "0" and int(counted.get("Blocks scanned", 0)):
        return Check(name, Verdict.PASSED, f"{counted['Blocks scanned']} pages of {counted['Files scanned']} files")
    if counted.get("Bad checksums", "0") != "0" or "checksum verification failed" in text:
        bad = [line for line in text.splitlines() if "checksum verification failed" in line]
        return Check(name, Verdict.FAILED, f"{counted.get('Bad checksums', '?')} bad pages: {_some(bad or [text])}")
    return Check(name, Verdict.UNKNOWN, f"pg_checksums ended with {rc}: {_some(text.splitlines())}")


def structure(rc: int, text: str, *, thorough: bool) -> Check:
    """pg_amcheck's words: it ends with 2 where it found something, and with 1 where it could not look."""
    name = "structure: heaps and indexes"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if rc == 0:
        how = "each row is in each of its indexes" if thorough else "heaps, btrees and catalogs"
        return Check(name, Verdict.PASSED, f"pg_amcheck found nothing: {how}")
    if rc == 2:
        return Check(name, Verdict.FAILED, _some(lines))
    return Check(name, Verdict.UNKNOWN, f"pg_amcheck ended with {rc}: {_some(lines)}")


def untouched(before: t.Mapping[str, str], after: t.Mapping[str, str], own: tuple[str, str] | None) -> Check:
    """Has the copy left its own timeline in the archive?

    :param own: name and text of the history that the copy wrote for itself; None if it wrote none.
    """
    name = "archive: the copy left nothing in it"
    if own is not None and after.get(own[0]) == own[1] and before.get(own[0]) != own[1]:
        return Check(name, Verdict.FAILED, f"{own[0]} is the copy's own")
    changed = sorted(one for one in {*before, *after} if before.get(one) != after.get(one))
    if changed:
        return Check(name, Verdict.UNKNOWN, f"{', '.join(changed)} changed meanwhile, and not by the copy")
    return Check(name, Verdict.PASSED, f"the same {len(after)} histories before and after")


def markers(there: t.Mapping[str, bool], present: t.Sequence[str], absent: t.Sequence[str]) -> Check | None:
    """Rows from both sides of the target; None where nobody wrote any."""
    if not present and not absent:
        return None
    name = "markers: from both sides"
    lost = [one for one in present if not there.get(one)]
    early = [one for one in absent if there.get(one)]
    if lost or early:
        told = [f"{one} is missing" for one in lost] + [f"{one} is there, and was written later" for one in early]
        return Check(name, Verdict.FAILED, _some(told))
    if not present or not absent:
        return Check(name, Verdict.UNKNOWN, "only one side was marked")
    return Check(name, Verdict.PASSED, f"{', '.join(present)} is there, {', '.join(absent)} is not")


def in_time(seconds: float | None, rto: float | None) -> Check | None:
    """Restore and replay against the recovery time objective; None where there is none."""
    if rto is None:
        return None
    name = "time: restore and replay"
    if seconds is None:
        return Check(name, Verdict.UNKNOWN, "it did not come to an end")
    reason = f"{seconds:.1f} s on this host, the objective is {rto:g} s"
    return Check(name, Verdict.PASSED if seconds <= rto else Verdict.FAILED, reason)


def configuration(files: t.Mapping[str, t.Any] | None, broken: t.Sequence[str], complaint: str | None) -> Check:
    """What is not in the data directory, so in no backup.

    :param files: of the manifest, by path; None where it holds none.
    :param broken: those whose copy is not what its hash says.
    :param complaint: of PostgreSQL, which read the copy; None if it did not.
    """
    name = "configuration: outside of the data"
    missing = [one for one in CONFIGURATION if one not in (files or {})]
    if not files or missing:
        return Check(name, Verdict.UNKNOWN, f"no copy of {', '.join(missing or CONFIGURATION)} is kept")
    if broken:
        return Check(name, Verdict.FAILED, f"the copy of {', '.join(broken)} is not what was kept")
    if complaint is None:
        return Check(name, Verdict.UNKNOWN, "the copy was not read")
    if complaint:
        return Check(name, Verdict.FAILED, f"PostgreSQL cannot read the copy: {_some(complaint.splitlines())}")
    return Check(name, Verdict.PASSED, f"a copy of {len(files)} files is kept, and PostgreSQL can read it")


def catalogued(repo: int, entries: t.Sequence[t.Mapping[str, t.Any]], labels: t.Collection[str]) -> Check | None:
    """Is the newest backup that the catalogue knows as good still there? None where there is no catalogue."""
    good = [one for one in entries if one.get("repo") == repo and one.get("verdict") == "passed" and one.get("label")]
    if not good:
        return None
    name, newest = f"repository {repo}: it holds what the catalogue says", good[-1]["label"]
    if newest in labels:
        return Check(name, Verdict.PASSED, f"the newest is {newest}")
    return Check(name, Verdict.FAILED, f"{newest}, the newest backup of the catalogue, is not in it")


def _some(lines: t.Sequence[str]) -> str:
    return " | ".join(line.strip() for line in lines[:LINES])[:600] or "it said nothing"
