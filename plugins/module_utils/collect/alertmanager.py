# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alertmanager's silences, by its API v2."""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.rest import Ask, ask
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.silence import Silence

PORT = 9093


class Alertmanager:
    """One of them, at ``url``."""

    def __init__(self, url: str, tls: t.Mapping[str, str], timeout: float, ask: Ask = ask) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError("not the address of an Alertmanager", given=url, possible="https://observer:9093")
        self._url = url
        self._place = (parts.hostname, parts.port or PORT)
        self._path = parts.path.rstrip("/") + "/api/v2"
        self._tls = tls if parts.scheme == "https" else None
        self._timeout = timeout
        self._ask = ask

    def silences(self) -> list[Silence]:
        """All that have not ended."""
        told = self._asked("GET", "/silences", None)
        return [Silence.found(one) for one in told if one["status"]["state"] != "expired"]

    def set(self, silence: Silence) -> str:
        """Make it, or change the one with its id; the answer is the id that it has now."""
        return str(self._asked("POST", "/silences", silence.as_told())["silenceID"])

    def end(self, silence: Silence) -> None:
        self._asked("DELETE", f"/silence/{silence.id}", None)

    def _asked(self, method: str, path: str, body: t.Any) -> t.Any:
        try:
            status, content = self._ask(
                self._place, self._path + path, self._tls, method=method, body=body, timeout=self._timeout
            )
        except OSError as error:
            raise UnknownError(
                f"Alertmanager does not answer: {error}",
                given=f"{method} {self._url}",
                changed=method != "GET",
                next_step="see whether it runs, and whether the certificate is of its authority",
            ) from error
        if status != 200:
            raise RefusedError(f"Alertmanager answers {method} {path} with {status}: {content}", given=body)
        return content
