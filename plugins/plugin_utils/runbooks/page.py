# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A runbook as a page of Markdown, and the index of all of them. Pure."""

from __future__ import annotations

import json
import re
import shlex
import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import flow
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import (
    COUNTED,
    Runbook,
    Step,
    Task,
    tag,
)

COLLECTION = "fraiseql.resilience"
#: How a step looks in the diagram, by type: what stands before and after its words.
_SHAPES: t.Final = {
    "check": ("[", "]"),
    "decision": ("{", "}"),
    "action": ("[[", "]]"),
    "manual": ("[/", "/]"),
    "runbook": ("[(", ")]"),
    "end": ("([", "])"),
}
#: What a command takes for granted, by what stands in it.
_SUPPOSED: t.Final = {
    "-u postgres psql": "PostgreSQL is the host's only cluster of Debian (else `psql --cluster 17/orders`)",
    "-u postgres pgbackrest": "pgBackRest runs as postgres on repository hosts (pgbackrest_user)",
    "/received-wal/": "the receiver writes where the role puts it (pgbackrest_receiver_directory)",
    "/var/lib/pgbackrest": "the first repository lies in /var/lib/pgbackrest (pgbackrest_repo1_path)",
    ":8008/": "agents answer on port 8008, under the names of the inventory (health_port, resilience_address)",
    "port=5432": "members listen on port 5432, under their names (resilience_postgresql_port, resilience_address)",
    "port=6432": "the gateway listens on port 6432 (gateway_port)",
    "dbname=resilience ": "the probe's database is resilience and its role resilience_probe",
}
#: Variables that hold a sentence, which may have an apostrophe.
_SENTENCE = re.compile(r"_accept_|_reason$")
_DESTROYS = {"reversible": "can be undone", "data_loss": "may lose data"}
_SUMMARY = "| scenario | severity | told by | RTO | RPO | engine | reviewed |\n|---|---|---|---|---|---|---|"
_DRILLED = (
    "| scenario | recognised first as | after | clients felt | rows lost | drill | on | verdict |\n"
    "|---|---|--:|--:|--:|--:|---|---|"
)


def page(book: Runbook, own: Mapping[str, str]) -> str:
    """The whole page, without a title's comment of where it comes from.

    :param own: what the playbooks of the runbook's folder are called by.
    """
    parts = [
        f"# {book.title}\n",
        *_about(book),
        "## Decisions\n",
        diagram(book),
        "A dotted way is for an outcome that is not known; a red step may destroy something.\n",
        "## Steps\n",
        *_preliminaries(book),
        *(_step(book, own, number, step) for number, step in enumerate(book.steps, 1)),
        "## Who is told\n",
        *_told(book),
        "## Afterwards\n",
        _bullets(book.questions),
        "\nMore: " + ", ".join(map(_link, book.references)) + ".",
    ]
    return "\n".join(parts).rstrip() + "\n"


def index(books: Iterable[Runbook]) -> str:
    rows = [
        f"| [{book.id}]({book.id}.md): {_cell(book.title)} | {book.severity} | {', '.join(book.alerts) or 'people'} |"
        f" {book.rto_seconds} s | {book.rpo_seconds} s | {', '.join(book.engines)} | {book.reviewed} |"
        for book in sorted(books, key=lambda book: (book.severity, book.id))
    ]
    return "\n".join([_SUMMARY, *rows]) + "\n"


def drilled(lines: Iterable[Mapping[str, t.Any]]) -> str:
    """What came of the last drill of each, by the lines that the measurement of all of them has written."""
    rows = [
        f"| [{one['runbook']}]({one['runbook']}.md) | {one['recognised'] or 'by people'} |"
        f" {_seconds(one['recognised_seconds'])} | {_seconds(one['rto_seconds'])} | {_count(one['lost_rows'])} |"
        f" {_seconds(one['seconds'])} | {one['on']} | {one['verdict']} |"
        for one in sorted(lines, key=lambda one: str(one["runbook"]))
    ]
    return "\n".join([_DRILLED, *rows]) + "\n"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"


def _count(value: int | None) -> str:
    return "unknown" if value is None else str(value)


def diagram(book: Runbook) -> str:
    """The steps and ways of a runbook, in the language of Mermaid."""
    names = {step.id: f"s{number}" for number, step in enumerate(book.steps)}
    lines = ["```mermaid", "flowchart TD"]
    for step in book.steps:
        opening, closing = _SHAPES[step.type]
        lines.append(f'  {names[step.id]}{opening}"{_words(step.title)}"{closing}')
    for step in book.steps:
        lines += [f"  {names[step.id]} {arrow} {names[to]}" for to, arrow in _arrows(step)]
    dangerous = [names[step.id] for step in book.steps if step.destructive != "none"]
    if dangerous:
        lines += ["  classDef destructive stroke:#c00,stroke-width:3px", f"  class {','.join(dangerous)} destructive"]
    return "\n".join([*lines, "```\n"])


def _arrows(step: Step) -> Iterator[tuple[str, str]]:
    """Where each arrow leads and how it looks: one for all outcomes that lead to the same step."""
    labels: dict[str, list[str]] = {}
    for label, to in step.ways_on:
        labels.setdefault(to, []).append(label)
    for to, said in labels.items():
        line = "-.->" if said == ["unknown"] else "-->"
        words = "in any case" if len(labels) == 1 else " or ".join(said)
        yield to, f'{line}|"{_words(words)}"|'


def _words(text: str) -> str:
    return text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")


def typed(task: Task, own: Mapping[str, str]) -> str:
    """The task as somebody types it on the control node."""
    if task.playbook is not None:
        words = [f"ansible-playbook -i inventory.yml {own.get(task.playbook, f'{COLLECTION}.{task.playbook}')}"]
        words += [f"-e {_quoted(_given(name, value))}" for name, value in task.variables.items()]
    else:
        words = [f"ansible -i inventory.yml {_quoted(_group(task.host))} -m {COLLECTION}.{task.module}"]
        options = " ".join(_given(name, value) for name, value in task.variables.items())
        words += [f"-a {_quoted(options)}"] if options else []
    return " \\\n  ".join([*words, *(["--check"] if task.check else [])])


def _group(host: str) -> str:
    """Of a group, those hosts that are this cluster's."""
    return "localhost" if host == "control" else host if host.startswith("$") else f"$CLUSTER:&{host}"


def _given(name: str, value: t.Any) -> str:
    """As Ansible reads ``name=value``: what is not one word stands in quotes."""
    if not isinstance(value, str):
        return f"{name}={json.dumps(value)}"
    if "$" not in value and not any(part.isspace() for part in value):
        return f"{name}={value}"
    quote = '"' if _SENTENCE.search(name) else "'"
    return f"{name}={quote}{value}{quote}"


def _quoted(text: str) -> str:
    """As a shell reads one word, its parameters filled in."""
    if "$" not in text:
        return shlex.quote(text)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("`", "\\`")
    return f'"{escaped}"'


def _about(book: Runbook) -> Iterator[str]:
    until = flow.seconds_of(book, COUNTED)
    versions = ", ".join(map(str, book.postgresql))
    yield f"**{book.severity}**: {book.severity_rule}\n"
    yield "| | |\n|---|---|"
    yield f"| applies to | PostgreSQL {versions}, engine {' or '.join(book.engines)}; {_cell(book.topology)} |"
    yield f"| objectives | back within {book.rto_seconds} s, transactions of {book.rpo_seconds} s lost at most |"
    yield f"| longest way | {until:.0f} s, if each step takes all the time that it has |"
    yield f"| owner | {_cell(book.owner)}; reviewed {book.reviewed}, again after {book.review_days} days |\n"
    yield "## Detection\n"
    yield "Alerts: " + (", ".join(f"[{name}](../alerts.md#{name.lower()})" for name in book.alerts) or "none") + ".\n"
    if book.components:
        yield "Health components: " + ", ".join(f"`{name}`" for name in book.components) + ".\n"
    for query in book.queries:
        yield f"{query.means}:\n\n```promql\n{query.promql.strip()}\n```\n"
    yield "## Before\n"
    yield _bullets(book.preconditions) + "\n"


def _preliminaries(book: Runbook) -> Iterator[str]:
    if book.parameters:
        yield "Commands read these, so set them first in the shell that you work in (`export CLUSTER=orders`):\n"
        yield "| parameter | is |\n|---|---|"
        yield from (f"| `{name}` | {_cell(text)} |" for name, text in book.parameters.items())
        yield ""
    supposed = _supposed(book)
    if supposed:
        yield f"By hand: {'; '.join(supposed)}. Where that is not so, type what is.\n"
    yield "| phase | time | who is told what |\n|---|---|---|"
    yield from (f"| {name} | {phase.seconds} s | {_cell(phase.communication)} |" for name, phase in book.phases.items())
    yield ""


def _supposed(book: Runbook) -> list[str]:
    """What its commands take for granted: what roles set up unless they are told otherwise."""
    typed_in = "\n".join(command.run for step in book.steps for command in step.commands)
    return [text for word, text in _SUPPOSED.items() if word in typed_in]


def _step(book: Runbook, own: Mapping[str, str], number: int, step: Step) -> str:
    parts = [f"### {number}. {step.title}\n", _facts(step)]
    parts += [f"{step.text}\n"] if step.text else []
    parts += ["Keep: " + "; ".join(step.evidence) + ".\n"] if step.evidence else []
    parts += [_ways(book, own, step)] if step.task or step.commands else []
    if step.destructive != "none":
        people = "one person" if step.approvals == 1 else f"{step.approvals} people"
        back = f"Way back: {step.rollback}" if step.rollback else f"No way back: {step.irreversible}"
        parts.append(f"**{_DESTROYS[step.destructive].capitalize()}**; approved by {people}. {back}\n")
    titles = {one.id: f"{place}. {one.title}" for place, one in enumerate(book.steps, 1)}
    parts += [f"- {label} → {titles[to]}" for label, to in step.ways_on]
    return "\n".join(parts) + "\n"


def _facts(step: Step) -> str:
    if step.type == "end":
        return f"*end, {step.verdict}*\n"
    visits = f", at most {step.attempts} times" if step.attempts else ""
    return f"*{step.type}, {step.phase}, {step.seconds} s{visits}*\n"


def _ways(book: Runbook, own: Mapping[str, str], step: Step) -> str:
    """Side by side. Markdown within a table of HTML is read where blank lines are around it."""
    playbook = f"```sh\n{typed(step.task, own)}\n```" if step.task else "Nothing: only a person can do it."
    typed_by_hand = [f"{tag(book.id, step.id)}"]
    for command in step.commands:
        typed_by_hand += [f"# on {command.host}", command.run.strip()]
    by_hand = "```sh\n" + "\n".join(typed_by_hand) + "\n```" if step.commands else f"Not by hand: {step.no_command}"
    return (
        "<table>\n<tr><th>with Ansible</th><th>by hand</th></tr>\n<tr><td>\n\n"
        f"{playbook}\n\n</td><td>\n\n{by_hand}\n\n</td></tr>\n</table>\n"
    )


def _told(book: Runbook) -> Iterator[str]:
    yield "| who | after | for |\n|---|---|---|"
    yield from (f"| {_cell(one.role)} | {one.after_seconds} s | {_cell(one.purpose)} |" for one in book.contacts)
    yield ""


def _link(reference: str) -> str:
    return f"<{reference}>" if "://" in reference else f"[{reference}](../../{reference})"


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
