# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each member by itself: what a stranger on the network can do (nothing), and what damage it would notice."""

from __future__ import annotations

import typing as t

from lab_hosts import Lab


def test_settings_that_protect_data(lab: Lab) -> None:
    wanted = {
        "data_checksums": "on",
        "fsync": "on",
        "full_page_writes": "on",
        "password_encryption": "scram-sha-256",
        "ssl": "on",
        "archive_mode": "on",
    }
    for name in lab.members:
        names = ", ".join(f"'{setting}'" for setting in wanted)
        found = dict(lab.sql(name, f"SELECT name, setting FROM pg_settings WHERE name IN ({names})"))
        assert found == wanted, name


def test_plain_connections_are_refused(lab: Lab, monitor: dict[str, t.Any]) -> None:
    for name in lab.members:
        assert lab.client("SELECT 1", host=name, **monitor).rows == [["1"]], name
        plain = lab.client("SELECT 1", host=name, **{**monitor, "sslmode": "disable"})
        assert "no encryption" in plain.error, plain


def test_a_wrong_password_is_refused(lab: Lab, monitor: dict[str, t.Any]) -> None:
    for name in lab.members:
        wrong = lab.client("SELECT 1", host=name, **{**monitor, "password": "wrong"})
        assert "password authentication failed" in wrong.error, wrong


def test_a_member_proves_its_name(lab: Lab, monitor: dict[str, t.Any]) -> None:
    """Another authority's clients refuse it, and so do clients that reach it by a name that it does not have."""
    name = lab.members[0]
    other_authority = lab.client(
        "SELECT 1", host=name, **{**monitor, "sslrootcert": "/etc/ssl/certs/ca-certificates.crt"}
    )
    assert "certificate verify failed" in other_authority.error, other_authority
    elsewhere = {**monitor, "host": lab.members[1], "hostaddr": lab.variable(name, "ansible_host")}
    assert "does not match host name" in lab.client("SELECT 1", **elsewhere).error


def test_every_rule_of_hba_wants_tls_and_scram(lab: Lab) -> None:
    for name in lab.members:
        rules = lab.sql(name, "SELECT type, auth_method FROM pg_hba_file_rules WHERE auth_method <> 'reject'")
        assert rules, name
        for kind, method in rules:
            assert (kind, method) in {
                ("local", "peer"),
                ("local", "scram-sha-256"),
                ("hostssl", "scram-sha-256"),
                ("hostssl", "cert"),
            }, (
                name,
                kind,
                method,
            )
        assert lab.value(name, "SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL") == "0"


def test_roles_can_do_only_their_work(lab: Lab) -> None:
    rows = lab.sql(
        lab.primary,
        "SELECT rolname, rolsuper, rolreplication, rolcreaterole, rolcreatedb FROM pg_roles"
        " WHERE rolname !~ '^pg_' ORDER BY rolname",
    )
    assert {row[0]: "".join(row[1:]) for row in rows} == {
        "postgres": "tttt",
        "resilience_monitor": "ffff",
        "resilience_probe": "ffff",
        "resilience_replicator": "ftff",
    }
    kept = lab.sql(lab.primary, "SELECT rolname, left(rolpassword, 14) FROM pg_authid WHERE rolpassword IS NOT NULL")
    assert {method for _name, method in kept} == {"SCRAM-SHA-256$"}


def test_keys_and_passwords_are_readable_by_their_users_only(lab: Lab) -> None:
    for name in set(lab.group("all")) - set(lab.group("stores")):
        found = lab.said(name, "find /etc/fraiseql-resilience -type f -perm /0007 ! -name '*.crt' ! -name '*.json'")
        assert found == "", f"{name}: {found}"


def test_units_are_running_and_none_failed(lab: Lab) -> None:
    for name in lab.group("all"):
        failed = lab.said(name, "systemctl list-units --failed --plain --no-legend")
        assert failed == "", f"{name}: {failed}"
