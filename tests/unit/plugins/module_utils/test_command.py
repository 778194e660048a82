# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs on a leash: what a process starts ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import CommandFailed

STARTS = """
import sys
from ansible_collections.fraiseql.resilience.plugins.module_utils import command
argv = ["sh", "-c", "echo $$ > " + sys.argv[1] + "; exec sleep 120"]
{how}
"""
WAYS = {
    "leashed": "command.leashed(command.run)(argv, timeout=110)",
    "beside": "import time\nwith command.beside(argv, output=sys.argv[1] + '.log'): time.sleep(110)",
}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()


@pytest.mark.parametrize("way", WAYS)
def test_it_ends_with_who_started_it_also_where_that_is_killed(tmp_path: Path, way: str) -> None:
    file = tmp_path / "pid"
    starter = subprocess.Popen([sys.executable, "-c", STARTS.format(how=WAYS[way]), str(file)])
    end = time.monotonic() + 60
    while not (file.exists() and file.read_text().strip()):
        assert time.monotonic() < end
        time.sleep(0.02)
    pid = int(file.read_text())
    assert alive(pid)
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    while alive(pid):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_what_a_program_says_can_be_read_whatever_language_people_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some programs obey LANGUAGE even where LC_ALL says C.UTF-8."""
    for name in ("LANG", "LANGUAGE", "LC_ALL"):
        monkeypatch.setenv(name, "de_DE.UTF-8")
    said = command.run(["sh", "-c", 'echo "$LC_ALL/$LANGUAGE/$TZ"'], timeout=10).stdout
    assert said == "C.UTF-8//UTC\n"


def test_a_leashed_program_answers_as_any_other() -> None:
    run = command.leashed(command.run)
    assert run(["sh", "-c", "cat; echo $GIVEN"], timeout=10, stdin="in ", env={"GIVEN": "env"}).stdout == "in env\n"
    with pytest.raises(CommandFailed) as failed:
        run(["sh", "-c", "echo why >&2; exit 3"], timeout=10)
    assert (failed.value.rc, failed.value.stderr_tail) == (3, "why\n")
    assert run(["sh", "-c", "exit 3"], timeout=10, check=False).rc == 3


def test_what_runs_beside_ends_with_the_block_and_its_words_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with command.beside(["sh", "-c", "echo said; echo erred >&2; exec sleep 60"], output=str(log)) as process:
        end = time.monotonic() + 30
        while "erred" not in log.read_text():
            assert time.monotonic() < end
            time.sleep(0.02)
        assert process.poll() is None
    assert process.poll() is not None
    assert log.read_text() == "said\nerred\n"


def test_it_ends_with_the_block_also_for_what_was_started_in_the_background(tmp_path: Path) -> None:
    former = signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    try:
        with command.beside(["sleep", "60"], output=str(tmp_path / "log"), patience=30) as process:
            end = time.monotonic() + 30
            # Programs that set it free come before it, and one of them makes it heed the signal.
            while Path(f"/proc/{process.pid}/comm").read_text() != "sleep\n":
                assert time.monotonic() < end
                time.sleep(0.02)
    finally:
        signal.signal(signal.SIGQUIT, former)
    assert process.poll() == -signal.SIGQUIT


def test_what_does_not_end_when_asked_is_killed(tmp_path: Path) -> None:
    stubborn = ["sh", "-c", "trap '' QUIT; echo ready; while :; do sleep 0.1; done"]
    log = tmp_path / "log"
    with command.beside(stubborn, output=str(log), patience=0.3) as process:
        end = time.monotonic() + 30
        while "ready" not in log.read_text():
            assert time.monotonic() < end
            time.sleep(0.02)
    assert process.wait(30) == -signal.SIGKILL
