#!/usr/bin/python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a backup, judge it, and write it into the catalogue; what a repository host does by itself.

    backup take 1-incr        one backup into repository 1; what resilience-backup@1-incr.service runs
    backup ask 1-full         have that service started now, for a person
    backup progress 1-full    how far that is, as JSON; waits for the next tenth, or the end
    backup metrics            what a scraper is to see

Exit codes of take: 0 passed, 1 failed, 3 unknown; 2 for words that nobody understands.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import typing as t
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils import asked_backup, backup, backup_metrics
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.catalogue import Line
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Verdict
from ansible_collections.fraiseql.resilience.plugins.module_utils.scheduled_backup import Host

DESCRIPTOR = "/etc/fraiseql-resilience/repository.json"
SETTINGS = "/etc/fraiseql-resilience/backup.json"
CODES = {Verdict.PASSED.value: 0, Verdict.FAILED.value: 1, Verdict.UNKNOWN.value: 3}


def instance(text: str) -> tuple[int, str]:
    """``1-full`` as repository and type."""
    match = re.fullmatch(rf"([1-9]\d*)-({'|'.join(backup.TYPES)})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text} is no <repository>-<full, diff or incr>")
    return int(match[1]), match[2]


def load(path: str) -> Line:
    try:
        return t.cast(Line, json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}", next_step="run the site playbook on this host") from error


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="Backups of a repository host")
    made.add_argument("--descriptor", default=DESCRIPTOR)
    made.add_argument("--settings", default=SETTINGS)
    verbs = made.add_subparsers(dest="verb", required=True)
    for verb in ("take", "ask", "progress"):
        verbs.add_parser(verb).add_argument("instance", type=instance)
    verbs.add_parser("metrics")
    verbs.add_parser("adopt")
    verbs.choices["ask"].add_argument("--check", action="store_true")
    verbs.choices["progress"].add_argument("--token", required=True)
    verbs.choices["progress"].add_argument("--beyond", type=float, default=0.0)
    verbs.choices["progress"].add_argument("--wait", type=float, default=60.0)
    return made


def main(arguments: t.Sequence[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    try:
        descriptor = load(given.descriptor)
        if given.verb in {"take", "adopt"} and os.geteuid() == 0:
            # What root wrote, the service could not write again.
            os.execvp("runuser", ["runuser", "-u", descriptor["user"], "--", *sys.argv])  # noqa: S606
        host = Host(descriptor, load(given.settings), lambda said: print(said, flush=True))
        if given.verb == "metrics":
            print(backup_metrics.Collector(host).collect())
            return 0
        if given.verb == "adopt":
            print(json.dumps({"adopted": host.take_in()}))
            return 0
        repo, wanted = given.instance
        if repo not in host.descriptor["repos"]:
            raise InputError("there is no such repository", given=repo, possible=host.descriptor["repos"])
        if given.verb == "take":
            return CODES[host.take(repo, wanted)["verdict"]]
        if given.verb == "ask":
            answer = asked_backup.ask(host, repo, wanted, check=given.check)
        else:
            answer = asked_backup.progress(host, repo, wanted, given.token, beyond=given.beyond, wait=given.wait)
    except ResilienceError as error:
        print(json.dumps(error.as_result()), file=sys.stderr)
        return 1
    except OSError as error:
        print(f"the catalogue or the metrics cannot be written: {error}", file=sys.stderr)
        return 1
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
