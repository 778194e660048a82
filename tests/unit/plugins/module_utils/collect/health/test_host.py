# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says of itself, from files and programs of these tests."""

from __future__ import annotations

import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.health import host
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.health.member import LookFailed
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Completed


def test_a_file_system_as_df_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100 blocks 30 are free, of which root alone may use 10."""
    seen = SimpleNamespace(f_blocks=100, f_bfree=30, f_bavail=20, f_frsize=1024, f_files=10, f_favail=5, f_flag=0)
    monkeypatch.setattr(host.os, "statvfs", lambda _path: seen)
    rooms = host.Rooms(["/data"], Said("ro,relatime\n", "rw\n", "rw\n"))
    [room] = rooms.look()
    assert room.free_percent == pytest.approx(100 * 20 / 90)
    assert (room.free_inodes_percent, room.free_bytes, room.read_only, len(room.past)) == (50.0, 20480.0, True, 1)
    [room] = rooms.look()
    assert [free for _at, free in room.past] == [20480.0, 20480.0]
    seen.f_files = 0
    assert rooms.look()[0].free_inodes_percent is None


def test_a_path_that_is_gone_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(LookFailed, match="cannot be looked at"):
        host.Rooms([str(tmp_path / "none")], Said()).look()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("rw,resv_strict\n", False),
        ("ro,errors=remount-ro\n", True),
        ("rw,errors=remount-ro\n", False),
        ("ro\nrw,size=64000k\n", False),  # another one is mounted over it
    ],
)
def test_a_file_system_is_read_only_by_its_own_options(said: str, expected: bool) -> None:
    assert host.read_only("/data", Said(said)) is expected


def test_a_file_system_without_options_is_unknown() -> None:
    with pytest.raises(LookFailed, match="no options"):
        host.read_only("/data", Said("\n"))


def test_memory_and_who_was_killed(tmp_path: Path) -> None:
    meminfo, vmstat = tmp_path / "meminfo", tmp_path / "vmstat"
    meminfo.write_text("MemTotal:  1000 kB\nMemAvailable:  250 kB\nHugePages: x\n")
    vmstat.write_text("oom_kill 4\n")
    memory = host.Memory(meminfo, vmstat)
    assert memory.look() == (25.0, 0)  # those before the agent came are not counted
    vmstat.write_text("oom_kill 6\n")
    assert memory.look() == (25.0, 2)
    vmstat.write_text("nothing 1\n")
    assert memory.look() == (25.0, None)
    meminfo.write_text("MemTotal:  1000 kB\n")
    with pytest.raises(LookFailed, match="what is available"):
        memory.look()


class Said:
    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[t.Sequence[str]] = []

    def __call__(self, argv: t.Sequence[str], **_more: t.Any) -> Completed:
        self.asked.append(argv)
        return Completed(tuple(argv), 0, self.answers.pop(0), "", 0.01)


def test_a_certificate_is_read_again_when_it_was_replaced(tmp_path: Path) -> None:
    ends = "subject=CN = a\nissuer=CN = ca\nnotBefore=Jan  1 00:00:00 2026 GMT\nnotAfter=Jan  1 00:00:00 {} GMT\n"
    openssl = Said(*(ends.format(year) + "sha256 Fingerprint=AA\n" for year in (2090, 2091)))
    pem = tmp_path / "host.crt"
    pem.write_text("-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n")
    certificates = host.Certificates([str(pem)], openssl)
    before = certificates.look()[str(pem)]
    assert before - certificates.look()[str(pem)] < 0.01 and len(openssl.asked) == 1
    pem.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert 364 < certificates.look()[str(pem)] - before < 367
    pem.unlink()
    with pytest.raises(LookFailed, match="cannot be looked at"):
        certificates.look()


def test_timers_and_what_became_of_what_they_started() -> None:
    systemd = Said(
        "Id=a.timer\nLoadState=loaded\nActiveState=active\nUnit=a.service\nNextElapseUSecRealtime=Fri 2026-11-27\n"
        "NextElapseUSecMonotonic=infinity\n\n"
        "Id=b.timer\nLoadState=not-found\nActiveState=inactive\nNextElapseUSecRealtime=\nNextElapseUSecMonotonic=\n",
        "Id=a.service\nResult=exit-code\n\nId=-.nothing\n",
    )
    first, second = host.timers(["a.timer", "b.timer"], systemd)
    assert (first.loaded, first.active, first.due, first.result) == (True, True, True, "exit-code")
    assert (second.loaded, second.active, second.due) == (False, False, False)
    assert systemd.asked[1][-2:] == ["a.service", "-.nothing"]


def test_half_an_answer_of_systemd_is_unknown() -> None:
    with pytest.raises(LookFailed, match="1 units where 2"):
        host.timers(["a.timer", "b.timer"], Said("Id=a.timer\n"))
