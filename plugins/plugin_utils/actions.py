# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An action that another one needs. Control node only."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.plugins.action import ActionBase


def answer_of(
    action: ActionBase, name: str, options: Mapping[str, t.Any], variables: dict[str, t.Any]
) -> dict[str, t.Any]:
    """What the action of this name answers with these options, on the same host as ``action``."""
    task = action._task.copy()
    task.args = dict(options)
    other = action._shared_loader_obj.action_loader.get(
        name,
        task=task,
        connection=action._connection,
        play_context=action._play_context,
        loader=action._loader,
        templar=action._templar,
        shared_loader_obj=action._shared_loader_obj,
    )
    return t.cast("dict[str, t.Any]", other.run(task_vars=variables))
