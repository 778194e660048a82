#!/usr/bin/python3 -IS
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore_command that never takes a hole in the archive for its end.

    restore_command = 'pgbackrest … archive-get %f "%p" || …/restore_wal.py %f "%p"'   # a restore
    restore_command = '…/restore_wal.py --lenient %f "%p"'                             # a standby

PostgreSQL ends recovery, and promotes, at any plain non-zero exit code: a missing or broken segment in the middle would
lose all that came after it, without an error. It stops with FATAL at exit codes above 125.

Order: the repositories (pgbackrest archive-get), then WAL that a receiver had saved and an operator had copied to this
host. Exit codes:

    0    the file is at its place
    1    there is no such file, and nothing later: the true end of the archive
    255  strict only: the repositories hold later WAL of that timeline, or could not be asked, or the file is broken

A standby asks for ever and gets what is missing by streaming, so ``--lenient`` says 1 where strict says 255.
Replay waits for it, a standby's at each segment: Python leaves site out, and what the usual case needs not is imported
where it is needed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import types

DESCRIPTOR = "/etc/fraiseql-resilience/member.json"
RECEIVED = "/var/lib/fraiseql-resilience/received-wal"
#: Seconds for one pgbackrest call. A standby that waits here can't be promoted, so it waits less.
STRICT_TIMEOUT = 120.0
LENIENT_TIMEOUT = 10.0
LENIENT_IO_TIMEOUT = 3

GOT, END, STOP = 0, 1, 255
SEGMENT = re.compile(r"[0-9A-F]{24}\Z")
ARCHIVED = re.compile(r"[0-9A-F]{24}(-[0-9a-f]{40}(\.[a-z0-9]+)?)?\Z")
HISTORY = re.compile(r"([0-9A-F]{8})\.history\Z")


class Request:
    """What PostgreSQL asked for, and how to answer."""

    def __init__(self, arguments: list[str]) -> None:
        options = dict((argument[2:] + "=").split("=", 2)[:2] for argument in arguments if argument.startswith("--"))
        unknown = set(options) - {"lenient", "stanza", "received", "timeout", "pgbackrest", "descriptor"}
        files = [argument for argument in arguments if not argument.startswith("--")]
        if unknown or len(files) != 2:
            raise ValueError(f"usage: restore_wal.py [--lenient] [--stanza=NAME] %f %p (given: {arguments})")
        self.name, self.path = files
        self.lenient = "lenient" in options
        self.stanza = options.get("stanza") or stanza_of(options.get("descriptor") or DESCRIPTOR)
        self.received = options.get("received") or RECEIVED
        self.timeout = float(options.get("timeout") or (LENIENT_TIMEOUT if self.lenient else STRICT_TIMEOUT))
        self.program = options.get("pgbackrest") or "pgbackrest"

    def pgbackrest(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [self.program, f"--stanza={self.stanza}", "--log-level-console=off", "--log-level-stderr=warn"]
        if self.lenient:
            argv.append(f"--io-timeout={LENIENT_IO_TIMEOUT}")
        return subprocess.run(
            [*argv, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=self.timeout,
            check=False,
        )


def stanza_of(descriptor: str) -> str:
    import json

    with open(descriptor, encoding="utf-8") as file:
        return str(json.load(file)["stanza"])


def main(arguments: list[str]) -> int:
    try:
        request = Request(arguments)
        answer, reason = fetch(request)
    except subprocess.TimeoutExpired as error:
        answer, reason = STOP, f"{' '.join(error.cmd)} gave no answer within {error.timeout:g} s"
    except (OSError, ValueError, KeyError) as error:
        answer, reason = STOP, f"{type(error).__name__}: {error}"
    if answer == STOP:
        print(f"restore_wal: {reason}", file=sys.stderr)
        return END if "--lenient" in arguments else STOP
    return answer


def fetch(request: Request) -> tuple[int, str]:
    """Exit code and reason: from the repositories, else from what a receiver saved."""
    try:
        done = request.pgbackrest("archive-get", request.name, request.path)
        code, complaint = done.returncode, (done.stderr or done.stdout).strip()
    except subprocess.TimeoutExpired:
        if request.lenient and take_received(request):
            return GOT, "received"
        raise
    if code == 0:
        return GOT, "archive"
    if (code == 1 or request.lenient) and take_received(request):
        return GOT, "received"
    if code != 1:
        return STOP, f"archive-get of {request.name} ended with exit code {code}: {complaint[-1000:]}"
    if request.lenient:
        return END, "not there"
    hole = what_is_later(request)
    # PostgreSQL reads ahead, so of an archive that grows it may have asked for what has come since.
    if hole and request.pgbackrest("archive-get", request.name, request.path).returncode == 0:
        return GOT, "archive"
    return (STOP, hole) if hole else (END, "end of the archive")


def take_received(request: Request) -> bool:
    """Copy the file from the directory of received WAL. What came over half-way has another name there."""
    source = os.path.join(request.received, request.name)
    if not (SEGMENT.match(request.name) or HISTORY.match(request.name)) or not os.path.isfile(source):
        return False
    import shutil

    shutil.copyfile(source, request.path)
    print(f"restore_wal: {request.name} came from {request.received}", file=sys.stderr)
    return True


def what_is_later(request: Request) -> str:
    """The proof that a file which no repository has is a hole and not the end; empty if it is the end."""
    history = HISTORY.match(request.name)
    if not history and not SEGMENT.match(request.name):
        return ""
    timeline = history.group(1) if history else request.name[:8]
    if history and timeline == "00000001":
        return ""  # The first timeline has none, and PostgreSQL asks for it whenever a recovery on that timeline ends.
    for repository, archive in archives(request):
        folder = f"archive/{request.stanza}/{archive}"
        directories = [name for name in listed(request, repository, folder) if re.fullmatch(r"[0-9A-F]{16}", name)]
        of_timeline = [name for name in directories if name.startswith(timeline)]
        if history:
            if of_timeline:
                return f"{request.name} is missing although repository {repository} holds WAL of that timeline"
            continue
        later = later_than(request, repository, folder, of_timeline)
        if later:
            return f"{request.name} is missing although repository {repository} holds {later}: a gap in the archive"
    return ""


def later_than(request: Request, repository: int, folder: str, directories: list[str]) -> str:
    """A segment of the same timeline that comes after the one asked for."""
    for directory in sorted(directories):
        if directory < request.name[:16]:
            continue
        segments = [name[:24] for name in listed(request, repository, f"{folder}/{directory}") if whole(name)]
        later = [name for name in segments if name > request.name]
        if later:
            return min(later)
    return ""


def whole(name: str) -> bool:
    """Whether a repository's file is a whole segment: no .partial, no .backup, nothing that a killed push left."""
    return ARCHIVED.match(name) is not None


def archives(request: Request) -> list[tuple[int, str]]:
    """Number of repository and archive id of what the stanza holds now."""
    done = request.pgbackrest("info", "--output=json")
    if done.returncode != 0:
        raise OSError(f"info ended with exit code {done.returncode}: {done.stderr.strip()[-1000:]}")
    import json

    stanzas = json.loads(done.stdout, strict=False)
    if len(stanzas) != 1:
        raise ValueError(f"info tells of {len(stanzas)} stanzas named {request.stanza}")
    bad = [repo for repo in stanzas[0]["repo"] if repo["status"]["code"] not in (0, 2)]
    if bad:
        # Exit code 0 also comes with a certificate that is not trusted.
        raise OSError(f"repository {bad[0]['key']} is not readable: {bad[0]['status']['message']}")
    newest = max(database["id"] for database in stanzas[0]["db"])
    return [
        (archive["database"]["repo-key"], archive["id"])
        for archive in stanzas[0]["archive"]
        if archive["database"]["id"] == newest
    ]


def listed(request: Request, repository: int, folder: str) -> list[str]:
    done = request.pgbackrest(f"--repo={repository}", "repo-ls", folder)
    if done.returncode != 0:
        raise OSError(f"repo-ls {folder} ended with exit code {done.returncode}: {done.stderr.strip()[-1000:]}")
    return done.stdout.split()


def stop_at_the_unforeseen(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
    """Python ends with 1 at an error that nobody caught, and PostgreSQL would take that for the end of the archive."""
    sys.__excepthook__(kind, error, trace)
    sys.stderr.flush()
    os._exit(END if "--lenient" in sys.argv else STOP)


if __name__ == "__main__":
    sys.excepthook = stop_at_the_unforeseen
    sys.exit(main(sys.argv[1:]))
