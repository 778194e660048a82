# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe as a program, against a fake database: whatever is done to it, the ledger says what is true, or says no
more than it knows."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path
from types import ModuleType

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.probe_rows import ProbeRows
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import probe_account

PROGRAM = Path(__file__).resolve().parents[4] / "roles/observer/files/probe.py"
FAKE = Path(__file__).parent / "fake"
RUN = "5a1b7a54-7f0a-4a3e-8e0e-5d3f0f4f0001"
NANO = 1_000_000_000


class Probe:
    """A probe that runs, its database and what it wrote down."""

    def __init__(self, folder: Path, **settings: t.Any) -> None:
        self.folder = folder
        self.mood("ack")
        config = {
            "name": "t", "run": RUN, "ledger_dir": str(folder), "status": str(folder / "status.json"), "connection": {},
            "clients": 3, "interval_seconds": 0.02,
            # Nothing is late, and nothing is an outage, because this machine is slow.
            "attempt_deadline_seconds": 60.0, "detect_after_seconds": 60.0, "stall_after_seconds": 60.0, **settings,
        }  # fmt: skip
        (folder / "config.json").write_text(json.dumps(config))
        environment = {**os.environ, "PYTHONPATH": str(FAKE), "FAKE_DATABASE": str(folder)}
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(folder / "config.json")],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def mood(self, what: str) -> None:
        fresh = self.folder / "mood.new"
        fresh.write_text(what)
        fresh.replace(self.folder / "mood")

    def status(self) -> dict[str, t.Any]:
        path = self.folder / "status.json"
        return t.cast("dict[str, t.Any]", json.loads(path.read_text())) if path.exists() else {}

    def until(self, what: t.Callable[[dict[str, t.Any]], t.Any], seconds: float = 60.0) -> dict[str, t.Any]:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            status = self.status()
            if status and what(status):
                return status
            time.sleep(0.01)
        raise AssertionError(f"waited in vain; the probe says {self.status()}")

    def until_all_acked(self) -> None:
        self.until(lambda status: all(status["acked_ns"]))

    def until_all_hang(self) -> None:
        self.until(lambda _: len(list(self.folder.glob("hangs-*"))) == 3)

    def client_pids(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def stop(self) -> int:
        self.process.terminate()
        code = self.process.wait(timeout=60)
        assert self.process.stderr is not None
        assert self.process.stderr.read() == ""
        return code

    def lines(self) -> list[str]:
        return (self.folder / f"{RUN}.jsonl").read_text().splitlines()

    def records(self) -> list[dict[str, t.Any]]:
        return [json.loads(line) for line in self.lines()]

    def attempts(self, outcome: str) -> list[dict[str, t.Any]]:
        return [record for record in self.records() if record.get("outcome") == outcome]

    def of_type(self, kind: str) -> list[dict[str, t.Any]]:
        return [record for record in self.records() if record.get("type") == kind]

    def account(self) -> dict[str, t.Any]:
        path = self.folder / "rows"
        rows = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        pairs = tuple((int(client), int(seq)) for client, seq in rows)
        return probe_account.account(self.lines(), ProbeRows(pairs, "198.18.1.11", 1, "0/0"))

    def kept_its_promise(self) -> bool:
        """Every attempt was on disk before its client's next one began."""
        return not (self.folder / "broken_promises").exists()


@pytest.fixture
def start(tmp_path: Path) -> t.Iterator[t.Callable[..., Probe]]:
    running: list[Probe] = []

    def starter(**settings: t.Any) -> Probe:
        running.append(Probe(tmp_path, **settings))
        return running[-1]

    yield starter
    for probe in running:
        if probe.process.poll() is None:
            probe.process.kill()
        probe.process.wait()
        assert probe.process.stderr is not None
        probe.process.stderr.close()


def verdicts(account: dict[str, t.Any]) -> dict[str, str]:
    return {check["name"]: check["verdict"] for check in account["checks"]}


def test_a_quiet_run_is_whole_and_passes(start: t.Callable[..., Probe]) -> None:
    probe = start()
    probe.until(lambda status: status["outcomes"]["acked"] > 60)
    assert probe.stop() == 0
    account = probe.account()
    assert account["probe"]["problems"] == []
    assert account["verdict"] == "passed", account["checks"]
    assert probe.kept_its_promise()
    assert probe.status()["state"] == "stopped"
    assert probe.of_type("footer")[0]["reason"] == "asked"


def test_clients_keep_their_interval_and_take_turns(start: t.Callable[..., Probe]) -> None:
    probe = start(interval_seconds=0.1)
    probe.until(lambda status: status["outcomes"]["acked"] > 45)
    probe.stop()
    begins = [one["begin_ns"] for one in probe.attempts("acked") if one["client"] == 0]
    steps = sorted(b - a for a, b in itertools.pairwise(begins))
    assert steps[len(steps) // 2] == pytest.approx(0.1 * NANO, rel=0.1)


def test_a_hanging_database_is_unknown_within_the_deadline_and_detected(start: t.Callable[..., Probe]) -> None:
    probe = start(attempt_deadline_seconds=2.0, detect_after_seconds=0.3, stall_after_seconds=0.3)
    probe.until_all_acked()
    probe.mood("hang")
    outage = probe.until(lambda status: status["outages"])["outages"][0]
    assert outage["rule"] == "silence"
    assert 0.3 <= (outage["t3_ns"] - outage["t1_ns"]) / NANO < 2, "before the first attempt has ended"
    probe.until(lambda status: status["outcomes"]["unknown"] >= 6)
    probe.mood("ack")
    outage = probe.until(lambda status: status["outages"][0]["t8_ns"])["outages"][0]
    probe.stop()
    for one in probe.attempts("unknown"):
        assert one["error"] == "no answer within 2 s"
        assert 2 <= (one["end_ns"] - one["begin_ns"]) / NANO < 20
    account = probe.account()
    assert account["probe"]["problems"] == []
    gap = max(account["probe"]["gaps"], key=lambda one: one["seconds"])
    assert (gap["t1_ns"], gap["t3_ns"], gap["t7_ns"], gap["t8_ns"]) == tuple(
        outage[name] for name in ("t1_ns", "t3_ns", "t7_ns", "t8_ns")
    )
    assert probe.of_type("outage")[0]["t3_ns"] == outage["t3_ns"]
    assert probe.of_type("recovered")[0]["t8_ns"] == outage["t8_ns"]
    assert probe.kept_its_promise()


def test_refused_connections_are_failed_and_detected_without_waiting(start: t.Callable[..., Probe]) -> None:
    probe = start()
    probe.until_all_acked()
    probe.mood("refuse")
    outage = probe.until(lambda status: status["outages"])["outages"][0]
    probe.mood("ack")
    probe.until(lambda status: status["outages"][0]["t8_ns"])
    probe.stop()
    assert outage["rule"] == "errors"
    assert (outage["t3_ns"] - outage["t1_ns"]) / NANO < 60
    assert "Connection refused" in probe.attempts("failed")[0]["error"]
    # Only the statements that were under way when the connections broke are in doubt.
    assert len(probe.attempts("unknown")) <= 3
    assert verdicts(probe.account())["acknowledged_is_there"] == "passed"


@pytest.mark.parametrize(("mood", "outcome"), [("42P01", "failed"), ("57P01", "unknown"), ("lost", "unknown")])
def test_what_the_server_says_decides(start: t.Callable[..., Probe], mood: str, outcome: str) -> None:
    probe = start()
    probe.until_all_acked()
    probe.mood(mood)
    probe.until(lambda status: status["outcomes"][outcome] > 5)
    probe.stop()
    other = {"failed": "unknown", "unknown": "failed"}[outcome]
    assert probe.attempts(other) == []
    assert "\n" not in probe.attempts(outcome)[0]["error"]


@pytest.mark.parametrize(
    ("mood", "why"), [("unsafe", "canceling wait"), ("not waited for", "synchronous_commit = local")]
)
def test_an_acknowledgement_without_the_standby_is_unsafe(start: t.Callable[..., Probe], mood: str, why: str) -> None:
    probe = start()
    probe.until_all_acked()
    probe.mood(mood)
    probe.until(lambda status: status["outcomes"]["acked_unsafe"] > 5)
    probe.stop()
    assert why in probe.attempts("acked_unsafe")[0]["error"]
    assert verdicts(probe.account())["acknowledged_safely"] == "unknown"


def test_a_client_that_is_killed_is_replaced_and_its_attempt_written_down(start: t.Callable[..., Probe]) -> None:
    probe = start()
    probe.until_all_acked()
    probe.mood("hang")
    probe.until_all_hang()
    victim = probe.client_pids()[0]
    os.kill(victim, signal.SIGKILL)
    probe.until(lambda status: status["outcomes"]["unknown"] == 1)
    probe.mood("ack")
    probe.until(lambda status: status["outcomes"]["acked"] > 60)
    assert len(probe.client_pids()) == 3
    assert victim not in probe.client_pids()
    probe.stop()
    assert probe.attempts("unknown")[0]["error"] == "client process ended by signal 9"
    assert probe.account()["verdict"] == "passed"


def test_a_client_that_is_stopped_is_replaced_after_the_deadline(start: t.Callable[..., Probe]) -> None:
    probe = start(attempt_deadline_seconds=2.0)
    probe.until_all_acked()
    victim = probe.client_pids()[1]
    os.kill(victim, signal.SIGSTOP)
    probe.until(lambda _: victim not in probe.client_pids())
    before = probe.status()["outcomes"]["acked"]
    probe.until(lambda status: status["outcomes"]["acked"] > before + 60)
    probe.stop()
    account = probe.account()
    assert account["probe"]["problems"] == []
    assert account["probe"]["outcomes"]["unknown"] + account["probe"]["outcomes"]["failed"] <= 1
    assert {one["client"] for one in probe.attempts("acked")[-20:]} == {0, 1, 2}


def test_a_killed_supervisor_takes_its_clients_along_and_leaves_no_footer(start: t.Callable[..., Probe]) -> None:
    probe = start()
    probe.until(lambda status: status["outcomes"]["acked"] > 30)
    clients = probe.client_pids()
    probe.process.kill()
    probe.process.wait()
    end = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in clients) and time.monotonic() < end:
        time.sleep(0.02)
    assert [pid for pid in clients if Path(f"/proc/{pid}").exists()] == []
    account = probe.account()
    assert account["verdict"] == "unknown"
    assert "stopped early" in account["checks"][0]["reason"]
    # Rows of attempts that were under way are no phantoms.
    assert verdicts(account)["nothing_invented"] == "unknown"


def test_a_supervisor_that_stood_still_says_so(start: t.Callable[..., Probe]) -> None:
    probe = start(detect_after_seconds=1.0, stall_after_seconds=1.0)
    probe.until_all_acked()
    probe.process.send_signal(signal.SIGSTOP)
    time.sleep(2.5)
    probe.process.send_signal(signal.SIGCONT)
    before = probe.status()["outcomes"]["acked"]
    probe.until(lambda status: status["outcomes"]["acked"] > before + 30)
    probe.stop()
    account = probe.account()
    assert probe.of_type("stall") != []
    assert account["probe"]["blind_seconds"] > 2.3
    assert verdicts(account)["probe_kept_trying"] == "unknown"
    assert probe.of_type("outage") == []


def test_a_run_ends_by_itself_and_that_is_no_proof(start: t.Callable[..., Probe]) -> None:
    probe = start(max_seconds=0.5)
    assert probe.process.wait(timeout=60) == 0
    assert probe.of_type("footer")[0]["reason"] == "expired"
    assert probe.account()["verdict"] == "unknown"


def test_a_stop_during_a_hang_is_bounded_and_whole(start: t.Callable[..., Probe]) -> None:
    probe = start(attempt_deadline_seconds=2.0)
    probe.until_all_acked()
    probe.mood("hang")
    probe.until_all_hang()
    assert probe.stop() == 0, "it waits as long as an attempt may take, and not for its answer"
    assert probe.account()["probe"]["problems"] == []


def test_a_run_is_never_continued(start: t.Callable[..., Probe], tmp_path: Path) -> None:
    (tmp_path / f"{RUN}.jsonl").write_text("a former run\n")
    probe = start()
    assert probe.process.wait(timeout=60) == 2
    assert probe.process.stderr is not None
    assert "never continued" in probe.process.stderr.read()
    assert (tmp_path / f"{RUN}.jsonl").read_text() == "a former run\n"


# --- the rules, without a process -------------------------------------------------------------------------------------


def load() -> t.Any:
    sys.path.insert(0, str(FAKE))
    try:
        spec = importlib.util.spec_from_file_location("resilience_probe_program", PROGRAM)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(FAKE))
        sys.modules.pop("psycopg2", None)


program = load()


def watch(**settings: t.Any) -> t.Any:
    given = {"name": "t", "ledger_dir": Path("/nowhere"), "status": Path("/nowhere"), "connection": {}, "clients": 2}
    return program.OutageWatch(program.Settings(**{**given, **settings}))


def test_nothing_is_an_outage_before_the_first_acknowledgement() -> None:
    seen = watch()
    for _again in range(20):
        seen.result(0, "failed", NANO)
        seen.result(1, "failed", NANO)
    assert seen.tick(100 * NANO, []) is None


def test_silence_alone_is_no_outage() -> None:
    seen = watch()
    seen.result(0, "acked", NANO)
    seen.result(0, "failed", NANO + 1)
    seen.result(0, "failed", NANO + 2)
    assert seen.tick(60 * NANO, []) is None
    seen.result(1, "unknown", 60 * NANO)
    outage = seen.tick(60 * NANO + 1, [])
    assert (outage["t1_ns"], outage["t2_ns"], outage["t3_ns"]) == (NANO, NANO + 1, 60 * NANO + 1)


def test_attempts_that_hang_count_as_failed_after_a_while() -> None:
    seen = watch(detect_attempts=2)
    seen.result(0, "acked", NANO)
    pending = [NANO + 1, NANO + 2]
    assert seen.tick(int(2.9 * NANO), pending) is None
    assert seen.tick(int(3.1 * NANO), pending)["rule"] == "silence"


def test_an_outage_is_told_once_and_ends_when_every_client_is_back() -> None:
    seen = watch(detect_attempts=1)
    seen.result(0, "acked", NANO)
    seen.result(0, "failed", NANO + 1)
    assert seen.tick(3 * NANO, []) is not None
    assert seen.tick(4 * NANO, []) is None
    assert seen.result(0, "acked", 5 * NANO) is None
    assert seen.result(0, "acked", 6 * NANO) is None
    ended = seen.result(1, "acked", 7 * NANO)
    assert (ended["t7_ns"], ended["t8_ns"]) == (5 * NANO, 7 * NANO)
    assert seen.open is None


def test_the_first_acknowledgement_and_the_last_clients_count_by_their_own_time() -> None:
    """Reports of several clients are read together, in the order of their numbers."""
    seen = watch(detect_attempts=1)
    seen.result(0, "acked", NANO)
    seen.result(0, "failed", NANO + 1)
    seen.tick(3 * NANO, [])
    assert seen.result(0, "acked", 5 * NANO + 3) is None
    ended = seen.result(1, "acked", 5 * NANO)
    assert (ended["t7_ns"], ended["t8_ns"]) == (5 * NANO, 5 * NANO + 3)


def test_an_outage_is_detected_as_of_the_look_that_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While what clients have reported is written down, one of them gets through, and nobody has read that yet."""
    clock = [2 * NANO]
    monkeypatch.setattr(program, "now_ns", lambda: clock[0])
    places = {"ledger_dir": tmp_path, "status": tmp_path / "status.json"}
    supervisor = program.Supervisor(program.Settings(name="t", connection={}, clients=2, **places))
    supervisor.watch.result(0, "acked", NANO)
    for client in (0, 1, 1):
        supervisor.watch.result(client, "failed", NANO + 1)
    back_ns = 2 * NANO + 10_000_000

    def slow_disk(_children: t.Any, _first: t.Any = ()) -> None:
        clock[0] = back_ns + 10_000_000

    supervisor.selector = type("Selector", (), {"select": lambda _self, _seconds: []})()
    monkeypatch.setattr(supervisor, "_take", slow_disk)
    supervisor._turn()
    supervisor.watch.result(0, "acked", back_ns)
    [outage] = supervisor.watch.outages
    assert outage["t3_ns"] == 2 * NANO < outage["t7_ns"] == back_ns


def test_errors_of_one_client_alone_are_no_outage() -> None:
    seen = watch()
    seen.result(1, "acked", NANO)
    for _again in range(50):
        seen.result(0, "failed", NANO + 5)
    assert seen.tick(NANO + 10, []) is None
    for _again in range(5):
        seen.result(1, "failed", NANO + 9)
    assert seen.tick(NANO + 10, [])["rule"] == "errors"


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        ("23505", "failed"), ("25006", "failed"), ("42P01", "failed"), ("53100", "failed"), ("57014", "failed"),
        ("08006", "unknown"), ("08P01", "unknown"), ("57P01", "unknown"), ("57P02", "unknown"), ("58030", "unknown"),
        ("XX000", "unknown"), (None, "unknown"),
    ],
)  # fmt: skip
def test_only_a_definite_no_is_failed(state: str | None, outcome: str) -> None:
    error = program.psycopg2.OperationalError("x")
    error.pgcode = state
    assert program.outcome_of(error) == outcome


def test_a_slot_tells_the_newest_attempt() -> None:
    slot = program.Slot()
    assert slot.read() == (0, 0, False)
    slot.begin(7, 12345)
    assert slot.read() == (7, 12345, False)
    slot.sent()
    assert slot.read() == (7, 12345, True)
    slot.begin(8, 20000)
    assert slot.read() == (8, 20000, False)


def test_a_new_attempt_is_never_seen_with_the_begin_of_the_one_before() -> None:
    """The supervisor reads from the first byte on while the client writes, and would kill who has just begun."""
    written: list[int] = []

    slot = program.Slot()
    pack_into = program.struct.pack_into

    def in_order(form: str, memory: bytearray, at: int, *values: int) -> None:
        pack_into(form, memory, at, *values)
        written.append(at)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program.struct, "pack_into", in_order)
        slot.begin(7, 12345)
    assert written[-1] == 0 and slot.read() == (7, 12345, False), "what is written last has to be read first"


def test_refused_clients_take_turns_so_that_one_tries_in_every_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long each attempt took: the first that gets through is found within one interval."""
    monkeypatch.setitem(sys.modules, "psycopg2", ModuleType("psycopg2"))
    spec = importlib.util.spec_from_file_location("probe_program", PROGRAM)
    assert spec is not None and spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "probe_program", program)
    spec.loader.exec_module(program)
    settings = program.Settings(name="t", ledger_dir=Path(), status=Path(), connection={}, clients=4)
    clients = [program.Client(number, settings, None, 0, 0) for number in range(4)]
    for now in (0, 1, 49, 50, 51, 199, 200, 1234567):
        turns = sorted(client.turn(now, 50) for client in clients)
        assert 0 < turns[0] - now <= 50
        assert [after - before for before, after in itertools.pairwise(turns)] == [50, 50, 50]
