# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runbooks of a folder, and what there is in this collection that they may name. Control node only."""

from __future__ import annotations

import ast
import json
import re
import typing as t
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import yaml

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.schema import Schema
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import promql
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import OWN
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.known import (
    Beside,
    Known,
    Module,
    unit_names,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.lint import Source
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.topology import Standing
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import expressions, page

TOP = Path(__file__).resolve().parents[3]
#: Those that ship with the collection.
RUNBOOKS = TOP / "playbooks" / "runbooks"
#: What makes a playbook ask for an approval: the tasks that every operation begins with.
_ASKS = re.compile(r"tasks/begin\.yml|fraiseql\.resilience\.approval:")
_VARIABLE = re.compile(r"\bresilience_[a-z0-9_]+\b")
#: How role health names a check, where it lists those that a host has.
_COMPONENT = re.compile(r"'(\w+)':\s*(?:\{'kind'|__health_session)")
#: How a judge names what it found wrong with a cluster.
_HAZARD = re.compile(r'Hazard\(\s*"(\w+)"')
#: A member's reading, which is no check.
_READING = "postgresql"


#: Written in C where that is there: ten times as fast, and somebody may wait for a runbook in an outage.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Dates(_LOADER):  # type: ignore[misc, valid-type]
    """YAML whose dates are the text that somebody wrote, as a JSON schema wants them."""


_Dates.add_constructor("tag:yaml.org,2002:timestamp", yaml.SafeLoader.construct_yaml_str)


def _yaml(text: str) -> t.Any:
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 - a SafeLoader


def schema() -> Schema:
    path = TOP / "playbooks" / "schemas" / "runbook.schema.json"
    return t.cast("Schema", json.loads(path.read_text(encoding="utf-8")))


def sources(directory: Path = RUNBOOKS) -> list[Source]:
    """Each folder's ``runbook.yml``, by name.

    :raises InputError: there is none, or one that is no YAML.
    """
    return [source(directory, name) for name in folders(directory)]


def folders(directory: Path = RUNBOOKS) -> list[str]:
    """The names of those that hold a ``runbook.yml``.

    :raises InputError: there is none.
    """
    found = sorted(path.parent.name for path in directory.glob("*/runbook.yml"))
    if not found:
        raise InputError(
            "there is no runbook",
            given=str(directory),
            possible="a folder for each scenario, with a file runbook.yml",
            next_step="correct the directory",
        )
    return found


def source(directory: Path, folder: str) -> Source:
    """
    :raises InputError: its ``runbook.yml`` is no YAML.
    """
    return Source(folder, _document(directory / folder / "runbook.yml"), _beside(directory / folder))


def own(directory: Path, source: Source) -> dict[str, str]:
    """By which name or path Ansible is told of the playbooks that a task may name and that the runbook's folder has."""
    there = source.beside.playbooks.intersection(OWN)
    if directory == RUNBOOKS:
        return {name: f"{page.COLLECTION}.runbooks.{source.folder}.{name}" for name in there}
    return {name: str(directory / source.folder / f"{name}.yml") for name in there}


def _beside(folder: Path) -> Beside:
    texts = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.yml") if path.stem != "runbook"}
    return Beside(
        playbooks=frozenset(texts),
        approved=frozenset(name for name, text in texts.items() if name in OWN and _ASKS.search(text)),
        variables=frozenset(name for text in texts.values() for name in _VARIABLE.findall(text)),
    )


def _document(path: Path) -> t.Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Dates)  # noqa: S506 - a SafeLoader, too
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"a runbook is no YAML: {error}", given=str(path), next_step="correct the file") from error


def known(of: Iterable[Source]) -> Known:
    """What these runbooks may name. Links and tests are looked at one by one: any file may be a link."""
    of = list(of)
    alerts, metrics = _rules()
    playbooks = {path.stem: path.read_text(encoding="utf-8") for path in (TOP / "playbooks").glob("*.yml")}
    links, unseen = _links({link for source in of for link in _references(source.document)})
    return Known(
        alerts=frozenset(alerts),
        metrics=frozenset(metrics),
        components=_components(),
        playbooks=frozenset(playbooks),
        approved=frozenset(name for name, text in playbooks.items() if _ASKS.search(text)),
        modules=dict(_modules()),
        variables=frozenset(_variables(playbooks.values())),
        units=frozenset(_units()),
        links=links,
        unseen=unseen,
        hazards=frozenset(_hazards()),
        expressions={text: expressions.read(text) for one in of for text in _tests(one.document)},
    )


def _rules() -> tuple[set[str], set[str]]:
    """Alerts of role monitoring, and the metrics that its rules read or record."""
    path = TOP / "roles" / "monitoring" / "files" / "alerts.yml"
    rules = [rule for group in _yaml(path.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
    read = set().union(*(promql.metrics(rule["expr"]) for rule in rules))
    return {rule["alert"] for rule in rules if "alert" in rule}, read | {
        one["record"] for one in rules if "record" in one
    }


def _components() -> frozenset[str]:
    text = (TOP / "roles" / "health" / "vars" / "main.yml").read_text(encoding="utf-8")
    return frozenset({_READING, *_COMPONENT.findall(text)})


def _hazards() -> Iterator[str]:
    """Those that cluster_info finds: by the code that makes them, and by what a member may be seen as."""
    yield from (f"member_{one.value}" for one in Standing if one not in (Standing.PRIMARY, Standing.STANDBY))
    for name in ("topology", "patroni"):
        path = TOP / "plugins" / "module_utils" / "judge" / f"{name}.py"
        yield from _HAZARD.findall(path.read_text(encoding="utf-8"))


def _modules() -> Iterator[tuple[str, Module]]:
    for path in (TOP / "plugins" / "modules").glob("*.py"):
        text = _documentation(path)
        if text is not None:
            documentation = _yaml(text)
            fragments = documentation.get("extends_documentation_fragment", [])
            reads = any(str(one).endswith(".info_module") for one in fragments)
            yield path.stem, Module(frozenset(documentation.get("options", {})), reads)


def _documentation(path: Path) -> str | None:
    """Read and not imported: what a module needs may be missing here."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DOCUMENTATION":
            return str(ast.literal_eval(node.value))
    return None


def _variables(playbooks: Iterable[str]) -> Iterator[str]:
    """What playbooks and their tasks read, and the options of roles."""
    tasks = (path.read_text(encoding="utf-8") for path in (TOP / "playbooks" / "tasks").rglob("*.yml"))
    for text in [*playbooks, *tasks]:
        yield from _VARIABLE.findall(text)
    for path in (TOP / "roles").glob("*/meta/argument_specs.yml"):
        yield from _yaml(path.read_text(encoding="utf-8"))["argument_specs"]["main"].get("options", {})


def _units() -> Iterator[str]:
    """Those that roles set up, by their templates' names, and those of packages, which tasks name."""
    for path in (TOP / "roles").rglob("*"):
        if path.suffix in (".yml", ".j2", ".py", ".service") and path.is_file():
            yield from unit_names(path.name)
            yield from unit_names(path.read_text(encoding="utf-8"))


def _references(document: t.Any) -> list[str]:
    found = document.get("references") if isinstance(document, dict) else None
    return [one for one in found if isinstance(one, str) and "://" not in one] if isinstance(found, list) else []


def _tests(document: t.Any) -> Iterator[str]:
    """Of what may be no runbook at all."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key == "test" and isinstance(value, str):
                yield value
            yield from _tests(value)
    elif isinstance(document, list):
        for part in document:
            yield from _tests(part)


def _links(wanted: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Links that lead somewhere, and those into a folder that is not installed here."""
    links = sorted(wanted)
    unseen = {link for link in links if not (TOP / link.partition("/")[0].partition("#")[0]).exists()}
    return frozenset(link for link in links if _leads(link)), frozenset(unseen)


def _leads(link: str) -> bool:
    path, _hash, anchor = link.partition("#")
    page = TOP / path
    return page.exists() and (not anchor or anchor in _anchors(page.read_text(encoding="utf-8").splitlines()))


def _anchors(lines: Sequence[str]) -> set[str]:
    """As GitHub makes them of headings: lower case, blanks become hyphens, signs go."""
    headings = (line.lstrip("#").strip().lower() for line in lines if line.startswith("#"))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}
