# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``pgbackrest verify`` found when it read every file of a repository. Pure.

It ends with 0 whatever it found, also where it found nothing to look at, so its words are what counts. It does not see
that a segment of WAL is missing; judge/wal_chain.py does.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict

#: One archive or backup: its name, how many files were read, and how many are as they should be.
CHECKED = re.compile(
    r"^\s*(archiveId|backup): ([^,\s]+)(?:, status: ([a-z -]+))?, total .*?checked: (\d+), total valid .*?: (\d+)"
)
#: What was wrong with the others.
COUNTED = re.compile(r"^\s*missing: (\d+), checksum invalid: (\d+), size invalid: (\d+), other: (\d+)")
FAULTS = ("missing", "checksum invalid", "size invalid", "other")
#: A file by name, as its log tells it.
NAMED = re.compile(r"(?:invalid checksum|invalid size|missing file|path not found)[^']*'([^']+)'")
#: How many files are named in a reason.
NAMES = 3


def judge(repo: int, text: str, log: str = "") -> list[Check]:
    """A check for each archive and backup of the repository.

    :param text: what ``verify --output=text --verbose`` printed.
    :param log: what it logged, where names of files stand.
    """
    found = list(_parts(text))
    if not found:
        return [Check(f"repository {repo}: files", Verdict.UNKNOWN, "nothing was there to be read")]
    names = NAMED.findall(log)
    return [_check(repo, part, names) for part in found]


class Part(t.NamedTuple):
    """One archive or one backup, and its files by what is wrong with them."""

    kind: str
    name: str
    status: str
    checked: int
    valid: int
    faults: dict[str, int]


def _parts(text: str) -> t.Iterator[Part]:
    part: Part | None = None
    for line in text.splitlines():
        if begun := CHECKED.match(line):
            if part is not None:
                yield part
            kind = "WAL" if begun[1] == "archiveId" else "backup"
            part = Part(kind, begun[2], begun[3] or "", int(begun[4]), int(begun[5]), {})
        elif part is not None and (counted := COUNTED.match(line)):
            part.faults.update({what: int(number) for what, number in zip(FAULTS, counted.groups(), strict=True)})
    if part is not None:
        yield part


def _check(repo: int, part: Part, names: t.Sequence[str]) -> Check:
    name = f"repository {repo}: files of {part.kind} {part.name}"
    wrong = ", ".join(f"{number} {what}" for what, number in part.faults.items() if number)
    own = [one for one in names if part.name in one]
    shown = f" ({', '.join(own[:NAMES])}{', …' if len(own) > NAMES else ''})" if own else ""
    if part.status in ("in-progress", "in progress") and not wrong:
        return Check(name, Verdict.UNKNOWN, "it is being taken")
    if wrong or part.valid < part.checked or part.status not in ("", "valid"):
        reason = wrong or part.status or f"{part.checked - part.valid} not valid"
        return Check(name, Verdict.FAILED, f"of {part.checked} files: {reason}{shown}")
    if not part.checked:
        return Check(name, Verdict.UNKNOWN, "it holds no file")
    return Check(name, Verdict.PASSED, f"{part.checked} files have the checksum that they were stored with")
