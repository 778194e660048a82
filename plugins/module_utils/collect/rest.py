# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One question to an API that speaks JSON over HTTP, with a deadline."""

from __future__ import annotations

import http.client
import json
import ssl
import typing as t

#: The shape of :func:`ask`; tests inject a function of the same shape.
Ask = t.Callable[..., tuple[int, t.Any]]


def ask(
    place: tuple[str, int],
    path: str,
    tls: t.Mapping[str, str] | None,
    *,
    method: str = "GET",
    body: t.Any = None,
    timeout: float,
) -> tuple[int, t.Any]:
    """Status and content of the answer: parsed where it is JSON, else its text.

    :param tls: files of the authority, and of the certificate and key to show; None for HTTP without TLS.
    :raises OSError: there was no answer.
    """
    connection = _connection(place, tls, timeout)
    try:
        connection.request(
            method,
            path,
            None if body is None else json.dumps(body),
            {} if body is None else {"Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        status, text = answer.status, answer.read().decode("utf-8", "replace")
    except http.client.HTTPException as error:
        raise OSError(f"no answer in HTTP: {error!r}") from error
    finally:
        connection.close()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text.strip()


def _connection(place: tuple[str, int], tls: t.Mapping[str, str] | None, timeout: float) -> http.client.HTTPConnection:
    if tls is None:
        return http.client.HTTPConnection(*place, timeout=timeout)
    context = ssl.create_default_context(cafile=tls["ca"])
    if "cert" in tls:
        context.load_cert_chain(tls["cert"], tls["key"])
    return http.client.HTTPSConnection(*place, timeout=timeout, context=context)
