# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The name of a repository's passphrase, by which a backup says which key it needs without telling the key."""

from __future__ import annotations

import hashlib

#: Slow on purpose: a weak passphrase must not be found by its name.
ROUNDS = 300_000
SALT = b"fraiseql.resilience/key-id/1"
LENGTH = 8


def key_id(passphrase: str) -> str:
    """Sixteen hexadecimal digits, the same on every host for the same passphrase."""
    return hashlib.pbkdf2_hmac("sha256", passphrase.encode("utf-8"), SALT, ROUNDS, LENGTH).hex()
