# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks of a heartbeat as the availability record has them: committed, failed, or unknown."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.availability import Recorder, Transactions
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Look


class Recording:
    """A disk that cannot be written is told of once, and changes nothing in what the check says.

    :param silence: seconds after which a next look is no next one: several turns of the check, with their deadlines.
    """

    def __init__(
        self,
        recorder: Recorder,
        silence: float,
        say: t.Callable[[str], None],
        clock: t.Callable[[], float] = time.time,
    ) -> None:
        self._recorder = recorder
        self._silence = silence
        self._say = say
        self._clock = clock
        self._said: str | None = None

    def __call__(self, look: Look, seconds: float) -> None:
        try:
            self._recorder.add(transaction(look, seconds, self._clock(), self._silence))
            said = None
        except ResilienceError as error:
            said = f"the availability record waits: {error.message}"
        if said is not None and said != self._said:
            self._say(said)
        self._said = said


def transaction(look: Look, seconds: float, now: float, silence: float) -> Transactions:
    """What the look, which has just ended, says of the service."""
    if look.error is not None:
        return Transactions("unknown", now - seconds, now, slowest=seconds, reason=look.error, silence=silence)
    # A slow answer is one: only what was not measured did not come.
    missing = [one.reason for one in look.findings if one.value is None]
    if missing:
        return Transactions("failed", now - seconds, now, slowest=seconds, reason=missing[0], silence=silence)
    return Transactions("committed", now, now, slowest=seconds, silence=silence)
