# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a replication slot is, by its name. Pure."""

from __future__ import annotations

import re
import typing as t


def slot_name(name: str) -> str:
    """A member's or receiver's name as a slot may be called."""
    return re.sub(r"[^a-z0-9_]", "_", name.lower())


def slots_of(member: t.Mapping[str, t.Any]) -> list[str]:
    """The slots that a member has, by its descriptor: one for every other member and every receiver."""
    others = [peer["name"] for peer in member["peers"] if peer["name"] != member["name"]]
    return [slot_name(name) for name in [*others, *member["receivers"]]]
