# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import run
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.evidence import current
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.bundle import Bundle


@pytest.fixture(autouse=True)
def run_of_ansible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "ansible-local"
    folder.mkdir()
    monkeypatch.setattr(current.constants, "DEFAULT_LOCAL_TMP", str(folder))
    return folder


def test_nothing_is_open_at_first() -> None:
    assert current.opened() is None
    with pytest.raises(InputError, match="no evidence is open"):
        current.needed()


def test_what_was_opened_is_found(bundle: Bundle) -> None:
    current.remember(bundle)
    assert current.needed().path == bundle.path


def test_what_is_sealed_is_not_open(bundle: Bundle) -> None:
    current.remember(bundle)
    bundle.seal({}, None, run)
    assert current.opened() is None


def test_another_run_does_not_see_it(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    current.remember(bundle)
    (tmp_path / "another").mkdir()
    monkeypatch.setattr(current.constants, "DEFAULT_LOCAL_TMP", str(tmp_path / "another"))
    assert current.opened() is None


def test_a_folder_that_was_removed_is_not_open(bundle: Bundle, tmp_path: Path) -> None:
    current.remember(Bundle(tmp_path / "gone"))
    assert current.opened() is None
