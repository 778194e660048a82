# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics that an expression of PromQL reads. Pure."""

from __future__ import annotations

import re

_TEXT = re.compile(r'"[^"]*"')
_LABELS = re.compile(
    r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|on|group_left|group_right|ignoring|without) ?\([^)]*\)|\boffset \w+|\b\d[\w.]*"
)
_NAME = re.compile(r"\b[a-zA-Z_][\w:]*\b(?!\s*\()")
_WORDS = frozenset({
    "and", "or", "unless", "bool", "offset", "by", "on", "group_left", "group_right", "ignoring", "without",
})  # fmt: skip


def metrics(expression: str) -> set[str]:
    return set(_NAME.findall(_LABELS.sub(" ", _TEXT.sub("", expression)))) - _WORDS
