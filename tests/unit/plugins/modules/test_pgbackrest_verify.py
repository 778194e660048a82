# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module pgbackrest_verify: what is run, and what becomes of the answers; pgBackRest is played."""

from __future__ import annotations

import typing as t

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandFailed
from ansible_collections.fraiseql.resilience.plugins.modules import pgbackrest_verify

FILE = "17-1/0000000C00000000/0000000C00000000000000C9-ee145ec0ebaa2e8f5584c3cdb3921afbebf86881.zst"
TEXT = """\
stanza: lab
status: error
  archiveId: 17-1, total WAL checked: 210, total valid WAL: {valid}
    missing: 0, checksum invalid: {wrong}, size invalid: 0, other: 0
"""
LOG = f"P01   INFO: invalid checksum '{FILE}'\n"


class Host:
    """A repository host; the repositories in ``unreadable`` answer nothing."""

    def __init__(self, *, wrong: int = 0, unreadable: t.Collection[int] = ()) -> None:
        self.wrong = wrong
        self.unreadable = unreadable
        self.ran: list[list[str]] = []

    def __call__(self, argv: t.Sequence[str], **_more: t.Any) -> Completed:
        self.ran.append(list(argv))
        if any(f"--repo={repo}" in argv for repo in self.unreadable):
            raise CommandFailed("ended", argv=argv, rc=49, stderr="ERROR: [049]: timeout connecting to 'store-b:8333'")
        text = TEXT.format(valid=210 - self.wrong, wrong=self.wrong)
        return Completed(tuple(argv), 0, text, LOG if self.wrong else "", 1.0)

    def act(self, **given: t.Any) -> dict[str, t.Any]:
        params = {name: option.get("default") for name, option in pgbackrest_verify.argument_spec().items()}
        return pgbackrest_verify.act({**params, "stanza": "lab", **given}, run=self)


def test_whole_repositories_pass_and_change_nothing() -> None:
    host = Host()
    answer = host.act(repos=[1, 2])
    assert (answer["verdict"], answer["changed"], len(answer["checks"])) == ("passed", False, 2)
    assert [one[-1] for one in host.ran] == ["verify", "verify"]
    assert all("--log-level-stderr=info" in one for one in host.ran), "names of files are only logged"


def test_a_changed_file_fails_by_name() -> None:
    answer = Host(wrong=1).act()
    assert answer["verdict"] == "failed"
    assert answer["checks"][0]["reason"] == f"of 210 files: 1 checksum invalid ({FILE})"


def test_a_repository_that_cannot_be_read_is_unknown() -> None:
    answer = Host(unreadable=[2]).act(repos=[1, 2])
    assert answer["verdict"] == "unknown"
    assert [check["verdict"] for check in answer["checks"]] == ["passed", "unknown"]
    assert "store-b" in answer["checks"][1]["reason"]
