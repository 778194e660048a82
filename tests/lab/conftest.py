# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test of a running lab gets.

    RESILIENCE_LAB=.lab .venv/bin/pytest tests/lab

``RESILIENCE_LAB`` is the lab's directory (``.lab`` unless said); the lab must be up and ``site`` have run.
"""

from __future__ import annotations

import os
import sys
import typing as t
from pathlib import Path

import pytest
from lab_hosts import Lab, eventually

TOP = Path(__file__).resolve().parents[2]
# testinfra starts ansible-inventory by its bare name.
os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
DIRECTORY = Path(os.environ.get("RESILIENCE_LAB", TOP / ".lab"))


@pytest.fixture(scope="session")
def lab() -> Lab:
    if not (DIRECTORY / "inventory.yml").exists():
        pytest.exit(f"{DIRECTORY}/inventory.yml is not there: bring a lab up first (make lab-up)", returncode=2)
    return Lab(DIRECTORY)


@pytest.fixture(scope="session")
def wait() -> t.Callable[..., t.Any]:
    return eventually


@pytest.fixture
def monitor(lab: Lab) -> dict[str, t.Any]:
    """Connection words of the monitor, with everything verified; tests take one of them away."""
    return {
        "user": "resilience_monitor",
        "password": lab.secrets["resilience_monitor_password"],
        "dbname": "postgres",
        "sslmode": "verify-full",
        "sslrootcert": "/etc/fraiseql-resilience/tls/ca.crt",
    }


@pytest.fixture
def application(lab: Lab) -> dict[str, t.Any]:
    """Connection words of an application: it knows the gateway only."""
    [gateway] = lab.group("gateways")
    return {
        "host": gateway,
        "port": 6432,
        "user": "resilience_probe",
        "password": lab.secrets["resilience_probe_password"],
        "dbname": "resilience",
        "sslmode": "verify-full",
        "sslrootcert": "/etc/fraiseql-resilience/tls/ca.crt",
    }
