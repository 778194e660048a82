# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same disasters on Patroni with its defaults, on the same hosts: what our figures are compared with."""

from __future__ import annotations

from rounds import Bench, Samples


def set_up(bench: Bench) -> None: ...


def remove(bench: Bench) -> None: ...


def switchover(bench: Bench) -> Samples: ...


def host_lost(bench: Bench) -> Samples: ...
