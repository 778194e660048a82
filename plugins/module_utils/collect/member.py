# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is found on a member's own host, also while its PostgreSQL is down."""

from __future__ import annotations

import os
import shutil
import typing as t
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils import armed
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import (
    controldata,
    demotion,
    diverged,
    fencing,
    rejoin,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.local_sql import LocalServer
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import UnknownError

SIGNALS = ("standby.signal", "recovery.signal", "backup_label")


def facts(member: t.Mapping[str, t.Any], *, run: Runner) -> dict[str, t.Any]:
    """Everything about the member that its host tells; the keys are those of module member_info."""
    data_dir = Path(member["data_dir"])
    in_recovery = demotion.in_recovery(LocalServer.of(member, run))
    return {
        "name": member["name"],
        "role": {True: "standby", False: "primary", None: None}[in_recovery],
        "unit": {
            "name": member["unit"],
            "active": _said(["systemctl", "is-active", member["unit"]], run),
            "enabled": _said(["systemctl", "is-enabled", member["unit"]], run),
        },
        "control": _control(member, run),
        "signals": [name for name in SIGNALS if (data_dir / name).exists()],
        "data_dir": str(data_dir),
        "free_bytes": shutil.disk_usage(_existing(data_dir)).free,
        "left_over": {
            "fenced": fencing.MARK.exists(),
            "promotion_armed": armed.is_active(armed.PROMOTION, run=run),
            "demotion_armed": armed.is_active(armed.DEMOTION, run=run),
            "rejoin_begun": rejoin.read_state().get("begun"),
            "kept_data": _folders(data_dir.parent, f"{data_dir.name}.kept-*"),
            "diverged_wal": _folders(diverged.FOLDER, "*"),
        },
    }


def _control(member: t.Mapping[str, t.Any], run: Runner) -> dict[str, t.Any] | None:
    """The control file; None where there is none, and why where it cannot be read."""
    try:
        control = controldata.read(member, run=run)
    except UnknownError as error:
        return {"state": None, "reason": error.message}
    return None if control is None else {**vars(control), "reason": ""}


def _said(argv: t.Sequence[str], run: Runner) -> str:
    return run(argv, timeout=10, check=False).stdout.strip() or "unknown"


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _folders(place: Path, pattern: str) -> list[str]:
    return sorted(str(path) for path in place.glob(pattern) if os.path.isdir(path))
