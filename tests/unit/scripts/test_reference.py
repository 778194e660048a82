# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference says what its source says, and --check sees when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import reference
import yaml
from sample_runbook import document

SPEC = """
argument_specs:
  main:
    short_description: A cellar that keeps.
    description: [It is cool., "See O(cellar_depth)."]
    options:
      cellar_depth: {type: int, default: 3, description: Metres below ground.}
      cellar_racks:
        type: list
        elements: dict
        required: true
        description: What stands in it.
        options:
          wood: {type: str, choices: [oak, pine], description: "Oak | pine."}
"""

RULES = """
groups:
  - name: cellar
    rules:
      - record: cellar:wet
        expr: sum(water)
      - alert: CellarWet
        expr: cellar:wet > 3
        labels: {severity: sev1, class: host}
        annotations:
          summary: "{{ $labels.rack }} stands in {{ $value | humanize }} | cm"
          description: Wine does not mind, corks do.
          next: Find the pump.
"""


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    role = tmp_path / "roles" / "cellar"
    (role / "meta").mkdir(parents=True)
    (role / "meta" / "argument_specs.yml").write_text(SPEC)
    (role / "README.md").write_text(f"# Cellar\n\n{reference.BEGIN}\nold\n{reference.END}\n\n## Outcome\n")
    rules = tmp_path / "roles" / "monitoring" / "files" / "alerts.yml"
    rules.parent.mkdir(parents=True)
    rules.write_text(RULES)
    monkeypatch.setattr(reference, "TOP", tmp_path)
    monkeypatch.setattr(reference, "described", lambda kind, names: {})
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["reference.py", *arguments])
    return reference.main()


def test_a_roles_variables_are_in_its_page_and_its_readme(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch) == 0
    for page in (top / "docs/reference/roles/cellar.md", top / "roles/cellar/README.md"):
        text = page.read_text()
        assert "| `cellar_depth` | int | `3` | Metres below ground. |" in text
        assert "| `cellar_racks` | list of dict | required | What stands in it. |" in text
        assert "| `cellar_racks.wood` | str |  | Oak \\| pine. One of `oak`, `pine`. |" in text
    readme = (top / "roles/cellar/README.md").read_text()
    assert readme.startswith("# Cellar\n")
    assert readme.endswith("## Outcome\n")
    assert "old" not in readme


def test_check_fails_on_drift_and_on_a_page_without_a_source(
    top: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--check") == 1, "nothing was written yet"
    run(monkeypatch)
    assert run(monkeypatch, "--check") == 0
    page = top / "docs/reference/roles/cellar.md"
    page.write_text(page.read_text().replace("Metres", "Feet"))
    (top / "docs/reference/roles/attic.md").write_text("# Gone\n")
    capsys.readouterr()
    assert run(monkeypatch, "--check") == 1
    said = capsys.readouterr().err
    assert "docs/reference/roles/cellar.md" in said
    assert "docs/reference/roles/attic.md" in said
    assert "Feet" in page.read_text(), "--check writes nothing"


@pytest.mark.parametrize(
    ("ansible", "markdown"),
    [
        ("C(a) and O(b=V(c)) but not ABC(d)", "`a` and `b=V(c)` but not ABC(d)"),
        ("B(bold) I(it) L(page, https://example.org) U(https://example.org)",
         "**bold** *it* [page](https://example.org) <https://example.org>"),
        ("M(fraiseql.resilience.promotion)", "`fraiseql.resilience.promotion`"),
    ],
)  # fmt: skip
def test_markup(ansible: str, markdown: str) -> None:
    assert reference.markdown(ansible) == markdown


def test_an_alert_has_a_row_and_a_chapter(top: Path) -> None:
    (text,) = reference.alert_page().values()
    assert "| [CellarWet](#cellarwet) | sev1 | host | *rack* stands in *N* \\| cm | at once |" in text
    assert "## CellarWet\n\nWine does not mind, corks do.\n\n**First:** Find the pump.\n" in text
    assert "The 1 rules of" in text


def test_a_runbook_has_a_page_and_a_row_in_the_index(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = top / "playbooks/runbooks/cellar_wet/runbook.yml"
    scenario.parent.mkdir(parents=True)
    scenario.write_text(yaml.safe_dump(document()))
    assert run(monkeypatch) == 0
    text = (top / "docs/runbooks/cellar_wet.md").read_text()
    assert text.startswith(f"# The cellar is wet\n\n{reference.GENERATED}\n")
    assert "[cellar_wet](cellar_wet.md): The cellar is wet" in (top / "docs/runbooks/README.md").read_text()
    assert run(monkeypatch, "--check") == 0
    scenario.write_text(scenario.read_text().replace("The cellar is wet", "The cellar is damp"))
    assert run(monkeypatch, "--check") == 1
    (top / "docs/runbooks/gone.md").write_text("# Gone")
    assert run(monkeypatch) == 0
    assert not (top / "docs/runbooks/gone.md").exists()
