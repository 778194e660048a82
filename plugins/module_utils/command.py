# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to run a program: always with an outer deadline.

Collectors take the runner as an argument (``run: Runner``), so their tests need no program.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandFailed, CommandTimedOut

#: What every program runs with, so that its output can be read. Some of them obey LANGUAGE more than LC_ALL.
READABLE = {"LC_ALL": "C.UTF-8", "LANGUAGE": "", "TZ": "UTC"}
#: Descriptors that a program keeps open as long as it runs, also where who started it is gone.
_KEPT_OPEN: set[int] = set()


@dataclass(frozen=True)
class Completed:
    """What a program answered. ``seconds`` is its duration on the monotonic clock."""

    argv: tuple[str, ...]
    rc: int
    stdout: str
    stderr: str
    seconds: float


class Runner(t.Protocol):
    """The shape of :func:`run`; tests inject a function of the same shape."""

    def __call__(
        self,
        argv: t.Sequence[str],
        *,
        timeout: float,
        user: str | None = None,
        env: t.Mapping[str, str] | None = None,
        stdin: str | None = None,
        check: bool = True,
    ) -> Completed: ...


def run(
    argv: t.Sequence[str],
    *,
    timeout: float,
    user: str | None = None,
    env: t.Mapping[str, str] | None = None,
    stdin: str | None = None,
    check: bool = True,
) -> Completed:
    """Run ``argv`` (never a shell) and wait at most ``timeout`` seconds.

    :param user: the operating system user to become; needs root when it is somebody else.
    :param env: added to the environment; what :data:`READABLE` has is always set.
    :param check: raise :class:`CommandFailed` on a non-zero exit code.
    :raises CommandTimedOut: the whole process group was killed.
    """
    command = [*_become(user), *argv]
    environment = {**os.environ, **READABLE, **(env or {})}
    begin = time.monotonic()
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd="/",
            text=True,
            errors="replace",
            start_new_session=True,
            pass_fds=tuple(_KEPT_OPEN),
        )
    except OSError as error:
        raise CommandFailed(f"{argv[0]} cannot be started: {error.strerror}", argv=argv, rc=127) from error
    try:
        stdout, stderr = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        stderr = _kill_group(process)
        raise CommandTimedOut(
            f"{argv[0]} gave no answer within {timeout:g} s and was killed", argv=argv, stderr=stderr
        ) from error
    completed = Completed(tuple(argv), process.returncode, stdout, stderr, time.monotonic() - begin)
    if check and completed.rc != 0:
        raise CommandFailed(
            f"{argv[0]} ended with exit code {completed.rc}", argv=argv, rc=completed.rc, stderr=stderr or stdout
        )
    return completed


@contextlib.contextmanager
def kept_open(descriptor: int) -> t.Iterator[None]:
    """What :func:`run` starts within the block inherits the descriptor, as a lock that is to be held to its end."""
    _KEPT_OPEN.add(descriptor)
    try:
        yield
    finally:
        _KEPT_OPEN.discard(descriptor)


def leashed(run: Runner) -> Runner:
    """The same runner, but what it starts is ended as soon as this process is gone, also where that was killed.

    runuser stands between a program and who asked for it, so setpriv takes its place. Ended by SIGTERM, so that a
    program can end its own helpers, which would otherwise wait for it.
    """

    def leash(
        argv: t.Sequence[str],
        *,
        timeout: float,
        user: str | None = None,
        env: t.Mapping[str, str] | None = None,
        stdin: str | None = None,
        check: bool = True,
    ) -> Completed:
        return run([*on_leash(user, "TERM"), *argv], timeout=timeout, env=env, stdin=stdin, check=check)

    return leash


def on_leash(user: str | None, signal_name: str) -> list[str]:
    """The words before a command that make it end, by this signal, with the process that starts it.

    What a script starts in the background ignores SIGQUIT and SIGINT, and whatever that starts does, too: env ends it.
    """
    other = user is not None and os.geteuid() == 0 and user != "root"
    become = [f"--reuid={user}", f"--regid={user}", "--init-groups"] if other else []
    return ["setpriv", *become, f"--pdeathsig={signal_name}", "--", "env", f"--default-signal={signal_name}"]


@contextlib.contextmanager
def beside(
    argv: t.Sequence[str],
    *,
    output: str,
    user: str | None = None,
    env: t.Mapping[str, str] | None = None,
    signal_name: str = "QUIT",
    patience: float = 30.0,
) -> t.Iterator[subprocess.Popen[bytes]]:
    """A program that runs as long as the block does, or as this process lives, whichever ends first.

    :param output: the file that gets what it says.
    :param signal_name: what ends it; after ``patience`` seconds it is killed.
    """
    environment = {**os.environ, **READABLE, **(env or {})}
    with open(output, "ab") as log:
        try:
            process = subprocess.Popen(
                [*on_leash(user, signal_name), *argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise CommandFailed(f"{argv[0]} cannot be started: {error.strerror}", argv=argv, rc=127) from error
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(getattr(signal, f"SIG{signal_name}"))
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()


def _become(user: str | None) -> list[str]:
    if user is None or os.geteuid() != 0 or user == "root":
        return []
    return ["runuser", "-u", user, "--"]


def _kill_group(process: subprocess.Popen[str]) -> str:
    """Kill the program and its children; what they had said so far on stderr is returned."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    try:
        # A process in uninterruptible sleep (frozen storage) outlives SIGKILL: it is left behind, never waited for.
        return process.communicate(timeout=1)[1]
    except subprocess.TimeoutExpired:
        return ""
