# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module silence, with a real Alertmanager on this machine's loopback."""

from __future__ import annotations

import shutil
import subprocess
import time
import typing as t
import urllib.request
from pathlib import Path

import pytest
from local_port import reserved

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.modules import silence

PARAMS: dict[str, t.Any] = {
    "state": "present",
    "matchers": {"alertname": "StandbyCutOff", "instance": "=~pg-a.*"},
    "seconds": 600,
    "until": None,
    "most_seconds": 86400,
    "author": "Anna Berg",
    "comment": "rejoin",
    "ca": "ca",
    "cert": "cert",
    "key": "key",
    "timeout": 5.0,
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[str]:
    assert shutil.which("prometheus-alertmanager"), "Debian's package prometheus-alertmanager is missing: make setup"
    folder = tmp_path_factory.mktemp("alertmanager")
    config = folder / "alertmanager.yml"
    config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n", encoding="utf-8")
    argv = ["prometheus-alertmanager", f"--config.file={config}", f"--storage.path={folder / 'data'}"]
    with reserved() as port:
        argv += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(argv, stdout=log, stderr=log)
        try:
            yield ready(f"http://127.0.0.1:{port}", folder / "log")
        finally:
            process.terminate()
            process.wait(60)


def ready(url: str, log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=1):
                return url
        except OSError:
            time.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8"))


@pytest.fixture
def given(url: str) -> t.Iterator[dict[str, t.Any]]:
    """Arguments of the module; whatever it makes is ended."""
    params = {**PARAMS, "url": url}
    yield params
    silence.act({**params, "state": "absent"}, False, time.time())


def run(params: dict[str, t.Any], *, check: bool = False) -> dict[str, t.Any]:
    return silence.act(params, check, time.time())


@pytest.mark.slow
def test_it_is_made_once_and_ended_once(given: dict[str, t.Any]) -> None:
    assert run({**given, "state": "absent"})["changed"] is False
    first = run(given, check=True)
    assert (first["changed"], first["silence"]["id"]) == (True, "")
    made = run(given)
    assert (made["changed"], made["diff"]["before"]) == (True, {})
    assert made["silence"]["matchers"] == given["matchers"]
    again = run(given)
    assert (again["changed"], again["silence"]["id"]) == (False, made["silence"]["id"])
    assert again["diff"]["before"] == again["diff"]["after"]
    assert run({**given, "state": "absent"}, check=True)["changed"] is True
    ended = run({**given, "state": "absent"})
    assert [one["id"] for one in ended["ended"]] == [made["silence"]["id"]]
    assert run({**given, "state": "absent"})["changed"] is False
    assert run(given)["silence"]["id"] != made["silence"]["id"]


@pytest.mark.slow
def test_another_end_and_another_reason_change_it(given: dict[str, t.Any]) -> None:
    made = run(given)["silence"]
    until = silence.judge.utc(time.time() + 3600)
    later = {**given, "seconds": None, "until": until}
    assert run(later, check=True)["changed"] is True
    longer = run(later)
    assert (longer["changed"], longer["silence"]["ends_at"]) == (True, until)
    assert run(later)["changed"] is False
    assert run(given)["silence"]["ends_at"] == until
    assert run({**given, "comment": "still the rejoin"})["diff"]["before"]["comment"] == "rejoin"
    known = silence.Alertmanager(given["url"], {}, 5).silences()
    assert [one.comment for one in known] == ["still the rejoin"]
    assert made["matchers"] == known[0].as_dict()["matchers"]


@pytest.mark.slow
def test_it_ends_by_itself(given: dict[str, t.Any]) -> None:
    run({**given, "seconds": 1})
    time.sleep(1.5)
    assert run({**given, "state": "absent"})["ended"] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"author": " "},
        {"comment": None},
        {"seconds": 100000},
        {"matchers": {"alertname": "=~.*"}},
        {"url": "observer:9093"},
        {"url": "ftp://observer"},
    ],
)
def test_what_cannot_be_right_is_refused_before_anybody_is_asked(changes: dict[str, t.Any]) -> None:
    with pytest.raises(InputError):
        run({**PARAMS, "url": "http://127.0.0.1:1", **changes})


def test_an_alertmanager_that_does_not_answer_is_unknown() -> None:
    with pytest.raises(UnknownError, match="does not answer"):
        run({**PARAMS, "url": "http://127.0.0.1:1"})
