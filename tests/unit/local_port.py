# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A port of this machine that nobody else is given between its choice and its use."""

from __future__ import annotations

import contextlib
import socket
import typing as t


@contextlib.contextmanager
def reserved() -> t.Iterator[int]:
    """Nobody listens on it, unless a server is told this very number and may take over a port (SO_REUSEADDR)."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])
