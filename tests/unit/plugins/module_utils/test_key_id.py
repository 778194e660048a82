# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The name of a passphrase: stable, telling keys apart, and not the key."""

from __future__ import annotations

from ansible_collections.fraiseql.resilience.plugins.module_utils.key_id import key_id


def test_a_key_has_the_same_name_everywhere() -> None:
    assert key_id("correct horse battery staple") == "aecd2ddb58dad5c4"


def test_another_key_has_another_name() -> None:
    assert key_id("one passphrase, long enough") != key_id("one passphrase, long enough.")
