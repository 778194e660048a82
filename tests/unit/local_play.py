# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ansible-playbook in a folder of its own, by nothing of whoever runs the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ANSIBLE = Path(sys.executable).parent / "ansible-playbook"


def played(folder: Path, playbook: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What became of a playbook of the collection, or of the folder, with the folder's ``inventory.yml``."""
    given = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    own = {"PWD": str(folder), "LC_ALL": "C.UTF-8", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(folder / "home")}
    return subprocess.run(
        [str(ANSIBLE), "-i", "inventory.yml", playbook, *options], cwd=folder, env={**given, **own, **environment},
        check=False, capture_output=True, text=True,
    )  # fmt: skip
