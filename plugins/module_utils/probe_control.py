# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, watch and stop the probe on this observer. The probe itself is a service of its own (role observer).

Who waits for an outage reads the status file that the probe replaces the moment its rule fires, so the moment of
detection never depends on how often Ansible looks.
"""

from __future__ import annotations

import json
import re
import typing as t
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import monotonic_ns, poll, utc_now
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, UnknownError

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
#: Seconds between two looks at the status file.
LOOK_EVERY = 0.02
#: A status file older than this, in seconds, was left by a probe that stands still or is gone.
STALE = 5.0
#: Ledgers of one probe that are kept, the newest first.
KEPT_LEDGERS = 10
#: Beside a ledger, the rows that it proves lost.
LOST = ".lost"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def clock_now() -> dict[str, t.Any]:
    """This host's monotonic clock, for placing its moments: ``monotonic_ns`` counts since the boot ``boot_id``."""
    return {"monotonic_ns": monotonic_ns(), "boot_id": BOOT_ID.read_text("ascii").strip(), "utc": utc_now()}


@dataclass(frozen=True)
class ProbeControl:
    """One named probe of this host."""

    name: str
    run: Runner
    state_dir: Path = Path("/var/lib/fraiseql-resilience/probe")
    run_dir: Path = Path("/run/fraiseql-resilience")
    now: t.Callable[[], int] = field(default=monotonic_ns)

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise InputError("not a name for a probe", given=self.name, possible="lower-case letters, digits, hyphens")

    @property
    def unit(self) -> str:
        return f"resilience-probe@{self.name}.service"

    @property
    def folder(self) -> Path:
        return self.state_dir / self.name

    @property
    def config_path(self) -> Path:
        return self.folder / "config.json"

    @property
    def status_path(self) -> Path:
        return self.run_dir / f"probe-{self.name}.json"

    def active(self) -> bool:
        return self._standing() == "active"

    def _standing(self) -> str:
        """In systemd's word."""
        return self.run(["systemctl", "is-active", self.unit], timeout=10, check=False).stdout.strip()

    def config(self) -> dict[str, t.Any] | None:
        """The settings of the newest run, or ``None`` if there never was one."""
        return _json(self.config_path)

    def status(self) -> dict[str, t.Any] | None:
        """What the probe last said of itself, or ``None``."""
        return _json(self.status_path)

    def ledger_path(self) -> Path | None:
        """The ledger of the newest run."""
        config = self.config()
        return None if config is None else self.folder / f"{config['run']}.jsonl"

    def start(self, settings: t.Mapping[str, t.Any], *, check_mode: bool, timeout: float) -> bool:
        """Start a new run and wait until each of its clients had a commit acknowledged; whether one was started.

        :param settings: options of the run, and ``connection``: libpq parameters.
        :raises InputError: one with other settings runs already.
        :raises UnknownError: no acknowledged commit within ``timeout`` seconds; the probe is stopped again.
        """
        wanted = {
            **settings,
            "name": self.name,
            "ledger_dir": str(self.folder),
            "status": str(self.status_path),
        }
        if self.active():
            self._same_settings(wanted)
            return False
        if check_mode:
            return True
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._prune()
        self.status_path.unlink(missing_ok=True)
        run_id = str(uuid.uuid4())
        _replace(self.config_path, {**wanted, "run": run_id})
        self.run(["systemctl", "reset-failed", self.unit], timeout=10, check=False)
        self.run(["systemctl", "start", self.unit], timeout=30)
        try:
            poll(
                lambda: self._all_acked(run_id),
                timeout=timeout,
                interval=LOOK_EVERY,
                what=f"every client of {self.unit} commits",
            )
        except UnknownError as error:
            self.stop(check_mode=False)
            raise self._without_ack(error) from error
        return True

    def _same_settings(self, wanted: t.Mapping[str, t.Any]) -> None:
        config = self.config() or {}
        differing = sorted(key for key in wanted if wanted[key] != config.get(key))
        if differing:
            raise InputError(
                f"the probe {self.name} runs already, with other settings ({', '.join(differing)})",
                next_step="collect or stop it first, or give this one another name",
            )

    def _prune(self) -> None:
        ledgers = sorted(self.folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in ledgers[KEPT_LEDGERS - 1 :]:
            path.unlink()
            path.with_suffix(LOST).unlink(missing_ok=True)

    def _all_acked(self, run_id: str) -> t.Literal[True] | None:
        """By this run's own word: an earlier one that was still ending says its last when its file is gone already."""
        status = self.status()
        return True if status and status["run"] == run_id and all(status["acked_ns"]) else None

    def _without_ack(self, error: UnknownError) -> UnknownError:
        status = self.status() or {}
        said = status.get("last_error") or "it said nothing"
        return UnknownError(
            f"{error.message}; outcomes {status.get('outcomes')}, last error: {said}",
            next_step=f"see journalctl -u {self.unit}, and whether the gateway has a primary",
        )

    def stop(self, *, check_mode: bool) -> bool:
        """Let every client end its attempt and close the ledger; whether it was running.

        One that a run which was killed has told to stop is waited for: until then its ledger has no end.
        """
        if self._standing() not in ("active", "deactivating"):
            return False
        if not check_mode:
            self.run(["systemctl", "stop", self.unit], timeout=60)
        return True

    def await_outage(self, *, since_ns: int, timeout: float) -> dict[str, t.Any]:
        """The first outage that was detected after ``since_ns``, or the one that is not over yet.

        :raises UnknownError: none was detected within ``timeout`` seconds, or the probe does not run.
        """

        def seen() -> dict[str, t.Any] | None:
            outages: list[dict[str, t.Any]] = self._lively()["outages"]
            fresh = [outage for outage in outages if outage["t3_ns"] > since_ns or outage["t8_ns"] is None]
            return fresh[0] if fresh else None

        return poll(seen, timeout=timeout, interval=LOOK_EVERY, what="the probe detects an outage")

    def await_recovery(self, *, since_ns: int, timeout: float) -> dict[str, t.Any] | None:
        """The newest outage after ``since_ns`` (``None`` if there was none), once every client commits again.

        :raises UnknownError: not within ``timeout`` seconds, or the probe does not run.
        """
        begin_ns = self.now()

        def back() -> list[dict[str, t.Any]] | None:
            """The outages since, as the look shows them that shows their end: by the next, another may have begun."""
            status = self._lively()
            outages: list[dict[str, t.Any]] = status["outages"]
            if outages and outages[-1]["t8_ns"] is None:
                return None
            fresh = [outage for outage in outages if outage["t3_ns"] > since_ns]
            return fresh if fresh or all((moment or 0) > begin_ns for moment in status["acked_ns"]) else None

        fresh = poll(back, timeout=timeout, interval=LOOK_EVERY, what="every client of the probe commits again")
        return fresh[-1] if fresh else None

    def _lively(self) -> dict[str, t.Any]:
        """The status of a probe that runs."""
        status = self.status()
        age = None if status is None else (self.now() - status["updated_ns"]) / 1e9
        if status is None or age is None or status["state"] != "running":
            raise UnknownError(f"the probe {self.name} does not run", next_step="start it first: state=started")
        if age > STALE:
            raise UnknownError(
                f"the probe {self.name} has said nothing for {age:.1f} s", next_step=f"see journalctl -u {self.unit}"
            )
        return status


def _json(path: Path) -> dict[str, t.Any] | None:
    try:
        return t.cast("dict[str, t.Any]", json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def _replace(path: Path, content: t.Mapping[str, t.Any]) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)
