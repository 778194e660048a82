# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action key_rotation hands a window to its judge, and the clock to the one that needs it."""

from __future__ import annotations

import typing as t

WINDOW = {
    "windows": [
        {"repo": 11, "timeline": 1, "from_lsn": "0/2000000", "to_lsn": "0/9000000", "ends_in_gap": False,
         "from_time": "2020-01-01 00:00:00+00"},
        {"repo": 1, "timeline": 1, "from_lsn": "0/8000000", "to_lsn": "0/C000000", "ends_in_gap": False,
         "from_time": "2020-02-01 00:00:00+00"},
    ],
    "timelines": [{"repo": 1, "newest": 1}, {"repo": 11, "newest": 1}],
    "checks": [],
}  # fmt: skip


def judged(control: t.Any, **given: t.Any) -> str:
    tasks = [
        {"fraiseql.resilience.key_rotation": {"window": WINDOW, "earlier": [11], **given}, "register": "judged"},
        {"ansible.builtin.debug": {"msg": "said {{ judged.verdict }} {{ judged.without_backup }}"}},
    ]
    answer = control.play(tasks, key=False)
    return t.cast(str, answer.stdout)


def test_a_rotation_is_judged(control: t.Any) -> None:
    assert "said passed []" in judged(control, repos=[1])
    assert "said failed [2]" in judged(control, repos=[1, 2])


def test_an_old_window_may_go_and_a_new_one_not(control: t.Any) -> None:
    assert "said passed" in judged(control, repos=[1], state="retirable", retention_days=30)
    assert "said failed" in judged(control, repos=[1], state="retirable", retention_days=100000)
