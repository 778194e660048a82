# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action gameday: what the evidence says was drilled becomes a plan, and a page that changes only where it differs."""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from evidence_folders import seal


def planned(control: t.Any, *options: str, **given: t.Any) -> t.Any:
    usual = {"name": "orders", "start": "2027-01-04", "people": ["anna", "ben"], "engine": "manual"}
    tasks = [
        {"fraiseql.resilience.gameday": {**usual, **given}, "register": "planned"},
        {"ansible.builtin.copy": {"content": "{{ planned | to_json }}", "dest": str(control.folder / "said.json")},
         "check_mode": False},
    ]  # fmt: skip
    return control.play(tasks, *options)


def said(control: t.Any) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", yaml.safe_load((control.folder / "said.json").read_text()))


def evidence(
    folder: Path, stamp: str, operation: str, scenario: str, verdict: str = "passed", cluster: str = "orders"
) -> Path:
    report = {"operation": operation, "scenario": scenario, "cluster": cluster, "verdict": verdict,
              "ended_utc": f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}T10:00:00Z"}  # fmt: skip
    return seal(folder / "evidence" / f"{stamp}T100000Z-{operation}-{cluster}", report)


def test_what_never_passed_comes_first_and_what_passed_last_comes_last(control: t.Any, tmp_path: Path) -> None:
    evidence(tmp_path, "20260901", "drill", "data_loss")
    evidence(tmp_path, "20260902", "training", "replay_paused")
    evidence(tmp_path, "20260903", "drill", "region_lost", "failed")
    evidence(tmp_path, "20260904", "drill", "primary_crash", cluster="billing")
    edited = evidence(tmp_path, "20260905", "drill", "primary_crash")
    (edited / "report.json").write_text((edited / "report.json").read_text() + " ")
    answer = planned(control, weeks=53)
    assert answer.rc == 0, answer.stdout
    found = said(control)
    names = [day["scenario"] for day in found["plan"]]
    once = names[: len(set(names))]
    assert once[-2:] == ["data_loss", "replay_paused"]
    assert names[len(once)] == names[0]  # and round again
    days = {day["scenario"]: day for day in found["plan"]}
    assert (days["replay_paused"]["drilled"], days["replay_paused"]["verdict"]) == ("2026-09-02", "passed (training)")
    assert days["region_lost"]["verdict"] == "failed (drill)" and days["primary_crash"]["drilled"] == ""
    assert "is not what was sealed" in found["problems"][0]
    assert found["left_out"]["repository_key_leaked"].startswith("its folder has no inject.yml")
    assert [(day["date"], day["leads"]) for day in found["plan"][:3]] == [
        ("2027-01-05", "anna"), ("2027-01-12", "ben"), ("2027-01-19", "anna"),
    ]  # fmt: skip
    assert days["data_loss"]["command"].endswith("-e resilience_confirm=orders -e resilience_scenario=data_loss")
    assert found["table"][0].startswith("date") and found["changed"] is False


def test_the_page_is_written_where_it_differs(control: t.Any, tmp_path: Path) -> None:
    page = tmp_path / "plans" / "gamedays.md"
    answer = planned(control, "--check", "--diff", file=str(page))
    assert answer.rc == 0 and "+| 2027-01-05 |" in answer.stdout and not page.exists()
    assert said(control)["changed"] is True
    assert planned(control, file=str(page)).rc == 0
    assert said(control)["changed"] is True and "| 2027-01-05 |" in page.read_text()
    assert planned(control, file=str(page)).rc == 0
    assert said(control)["changed"] is False
    assert planned(control, file=str(page), people=["carl"]).rc == 0
    assert said(control)["changed"] is True and "carl" in page.read_text()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"weekday": "sunday"}, "resilience_gameday_weekday=sunday"),
        ({"start": "soon"}, "resilience_gameday_start=soon"),
        ({"per_week": 99}, "resilience_gameday_per_week=99"),
        ({"directory": "nothing"}, "there is no runbook"),
        ({"file": "."}, "resilience_gameday_file"),
    ],
)
def test_bad_input_is_refused(control: t.Any, given: dict[str, t.Any], told: str) -> None:
    answer = planned(control, **given)
    assert answer.rc != 0 and told in answer.stdout and "Nothing was changed" in " ".join(answer.stdout.split())


def test_the_playbook_shows_the_plan(control: t.Any) -> None:
    options = ["-e", "resilience_cluster=lab", "-e", "resilience_gameday_start=2027-01-04"]
    done = subprocess.run(
        [*control.command([])[:3], "fraiseql.resilience.gameday", *options],
        cwd=control.folder, env=control.environment, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "2027-01-05" in done.stdout and "first: ansible-playbook" in done.stdout
