# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health agent: exactly one member says that it is the primary, quickly, and the answer has an age."""

from __future__ import annotations

import itertools
import json
import typing as t

from lab_hosts import Lab

#: Seconds in which a member is itself again that a busy host did not let look in time: what is not known is no 200.
LATE_SECONDS = 15
ASK = """
import json, sys, time, urllib.error, urllib.request
begin = time.monotonic()
try:
    answer = urllib.request.urlopen(sys.argv[1], timeout=5)
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps({"status": answer.status, "seconds": time.monotonic() - begin, "body": answer.read().decode()}))
"""


def ask(lab: Lab, member: str, path: str) -> dict[str, t.Any]:
    found = json.loads(lab.said("observer", "python3 -c %s %s", ASK, f"http://{member}:8008{path}"))
    return t.cast(dict[str, t.Any], found)


def statuses(lab: Lab, path: str) -> dict[str, int]:
    return {name: ask(lab, name, path)["status"] for name in lab.members}


def test_one_member_says_primary_and_the_others_replica(lab: Lab, wait: t.Callable[..., t.Any]) -> None:
    for path, yes in (("/primary", [lab.primary]), ("/replica", lab.standbys)):
        wanted = {name: 200 if name in yes else 503 for name in lab.members}
        well = wait(lambda path=path, wanted=wanted: statuses(lab, path) == wanted, seconds=LATE_SECONDS)
        assert well, (path, statuses(lab, path))


def test_all_live_and_are_ready(lab: Lab, wait: t.Callable[..., t.Any]) -> None:
    for path in ("/livez", "/readyz"):
        wanted = dict.fromkeys(lab.members, 200)
        well = wait(lambda path=path, wanted=wanted: statuses(lab, path) == wanted, seconds=LATE_SECONDS)
        assert well, {name: ask(lab, name, path) for name in lab.members}


def test_answers_come_at_once(lab: Lab) -> None:
    """HAProxy asks every 150 ms, gives up after 500 ms, and takes away whoever was late twice in a row."""
    for name in lab.members:
        taken = [ask(lab, name, "/primary")["seconds"] for _try in range(10)]
        assert not [pair for pair in itertools.pairwise(taken) if min(pair) >= 0.5], (name, taken)


def test_what_was_looked_at_is_well(lab: Lab, wait: t.Callable[..., t.Any]) -> None:
    """What has nothing to do with drills that went before."""
    looked_at = {**dict.fromkeys(lab.members, ("login", "storage", "shared_memory", "checksums", "filesystem")),
                 "observer": ("primaries", "memory", "clock")}  # fmt: skip

    def amiss() -> dict[str, str]:
        found = {}
        for host, names in looked_at.items():
            components = json.loads(ask(lab, host, "/healthz")["body"])["components"]
            found |= {
                f"{host}: {name}": components[name]["reason"] for name in names if components[name]["own"] != "pass"
            }
        return found

    assert wait(lambda: not amiss(), seconds=45), amiss()
