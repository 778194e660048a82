# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every error that this collection raises on purpose.

    ResilienceError
    ├── InputError          what the user gave cannot be right; nothing was changed
    ├── RefusedError        a guard said no; nothing was changed
    ├── UnknownError        something that must be known could not be seen in time
    └── CommandError        a program that was run
        ├── CommandFailed       ... ended with an unexpected exit code
        └── CommandTimedOut     ... did not end before its outer deadline and was killed

A module's ``main`` catches ``ResilienceError`` once and answers ``fail_json(**error.as_result())``.
"""

from __future__ import annotations

import typing as t

#: How much of a program's stderr travels with an error, in characters.
STDERR_TAIL = 2000


class ResilienceError(Exception):
    """A failure that says what was given, what is possible, what to do next, and whether anything was changed."""

    def __init__(
        self,
        message: str,
        *,
        given: t.Any = None,
        possible: t.Any = None,
        next_step: str | None = None,
        changed: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.given = given
        self.possible = possible
        self.next_step = next_step
        self.changed = changed

    def as_result(self) -> dict[str, t.Any]:
        """The error as arguments of ``fail_json``: ``msg`` holds the whole story, the rest its parts."""
        result: dict[str, t.Any] = {
            "msg": self._story(),
            "error": type(self).__name__,
            "changed": self.changed,
        }
        for key in ("given", "possible", "next_step"):
            value = getattr(self, key)
            if value is not None:
                result[key] = value
        return result

    def _story(self) -> str:
        parts = [self.message.rstrip(".") + "."]
        if self.given is not None:
            parts.append(f"Given: {self.given}.")
        if self.possible is not None:
            parts.append(f"Possible: {self.possible}.")
        if self.next_step is not None:
            parts.append(f"Next: {self.next_step.rstrip('.')}.")
        if not self.changed:
            parts.append("Nothing was changed.")
        return " ".join(parts)


class InputError(ResilienceError):
    """What the user gave cannot be right."""


class RefusedError(ResilienceError):
    """A guard refused to go on."""


class UnknownError(ResilienceError):
    """Something that must be known could not be seen in time; treated as a stop, never as a pass."""


class CommandError(ResilienceError):
    """A program that was run did not do its job.

    ``argv`` never holds a secret: secrets reach programs by environment, stdin or files.
    """

    def __init__(
        self,
        message: str,
        *,
        argv: t.Sequence[str] = (),
        rc: int | None = None,
        stderr: str = "",
        changed: bool = False,
        next_step: str | None = None,
    ) -> None:
        super().__init__(message, changed=changed, next_step=next_step)
        self.argv = list(argv)
        self.rc = rc
        self.stderr_tail = stderr[-STDERR_TAIL:]

    def as_result(self) -> dict[str, t.Any]:
        return {**super().as_result(), "argv": self.argv, "rc": self.rc, "stderr_tail": self.stderr_tail}


class CommandFailed(CommandError):
    """A program ended with an unexpected exit code."""


class CommandTimedOut(CommandError):
    """A program did not end before its outer deadline and was killed with all its children."""
