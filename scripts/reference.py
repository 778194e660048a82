#!/usr/bin/env python3
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write docs/reference/, docs/runbooks/, docs/alerts.md and the variable tables of READMEs from their one source.

    scripts/reference.py            write
    scripts/reference.py --check    write nothing; exit 1 and name each page that differs from its source

A module's source is its own documentation, as ``ansible-doc`` reads it; a role's is ``meta/argument_specs.yml``; an
alert's is the rule itself; a runbook's is ``playbooks/runbooks/*/runbook.yml``.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import yaml

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.document import Runbook, parsed
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.lint import Source
from ansible_collections.fraiseql.resilience.plugins.plugin_utils import scenarios
from ansible_collections.fraiseql.resilience.plugins.plugin_utils.runbooks import catalogue, page

TOP = Path(__file__).resolve().parent.parent
COLLECTION = "fraiseql.resilience"
BEGIN = "<!-- begin variables: written by `make docs` from meta/argument_specs.yml -->"
END = "<!-- end variables -->"
GENERATED = "<!-- Written by `make docs`; edit the source instead. -->"
#: ansible-doc's plugin types that this collection has, and the folder of each.
PLUGIN_TYPES = {"module": "modules", "filter": "filter", "lookup": "lookup", "callback": "callback"}

#: Ansible's markup, as Markdown: C(x) and its like; L(text, address); the rest is left as it stands.
MARKUP = (
    (re.compile(r"\b(?:C|E|M|O|P|RV|V)\(((?:[^()\\]|\\.|\([^()]*\))*)\)"), r"`\1`"),
    (re.compile(r"\bB\(([^()]*)\)"), r"**\1**"),
    (re.compile(r"\bI\(([^()]*)\)"), r"*\1*"),
    (re.compile(r"\bL\(([^(),]*),\s*([^()]*)\)"), r"[\1](\2)"),
    (re.compile(r"\bU\(([^()]*)\)"), r"<\1>"),
)

Options = dict[str, dict[str, t.Any]]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--check", action="store_true", help="write nothing, fail when a page is out of date")
    check = arguments.parse_args().check

    pages = {**plugin_pages(), **role_pages(), **alert_page(), **runbook_pages()}
    written = [path for folder in ("reference", "runbooks") for path in (TOP / "docs" / folder).rglob("*.md")]
    stale = [path for path in written if path not in pages]
    outdated = [path for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if check:
        for path in sorted(stale + outdated):
            print(f"{path.relative_to(TOP)}: differs from its source; run `make docs`", file=sys.stderr)
        return 1 if stale or outdated else 0
    for path in stale:
        path.unlink()
    for path in outdated:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pages[path], encoding="utf-8")
    print(f"{len(pages)} pages, {len(outdated)} written, {len(stale)} removed")
    return 0


def plugin_pages() -> dict[Path, str]:
    """One page for each module and callback, and their index."""
    pages: dict[Path, str] = {}
    rows: list[str] = []
    for kind, folder in PLUGIN_TYPES.items():
        names = sorted(path.stem for path in (TOP / "plugins" / folder).glob("*.py") if path.stem != "__init__")
        for name, documentation in described(kind, names).items():
            pages[TOP / "docs" / "reference" / folder / f"{name}.md"] = plugin_page(name, kind, documentation)
            rows.append(
                f"| [{name}]({folder}/{name}.md) | {kind} | {cell(documentation['doc']['short_description'])} |"
            )
    roles = [
        f"| [{path.name}](roles/{path.name}.md) | {cell(spec(path)['short_description'])} |" for path in role_folders()
    ]
    index = [
        f"# Reference\n\n{GENERATED}\n",
        "## Roles\n\n| role | outcome |\n|---|---|",
        *roles,
        "\n## Modules and plugins\n\n| name | kind | what it does |\n|---|---|---|",
        *rows,
    ]
    pages[TOP / "docs" / "reference" / "README.md"] = "\n".join(index) + "\n"
    return pages


def described(kind: str, names: list[str]) -> dict[str, dict[str, t.Any]]:
    """What ansible-doc knows of ``names``; an undocumented one is an error."""
    if not names:
        return {}
    command = [str(Path(sys.executable).parent / "ansible-doc"), "--json", "-t", kind]
    command += [f"{COLLECTION}.{name}" for name in names]
    answer = json.loads(subprocess.run(command, cwd=TOP, check=True, capture_output=True, text=True).stdout)
    return {name: answer[f"{COLLECTION}.{name}"] for name in names}


def plugin_page(name: str, kind: str, documentation: dict[str, t.Any]) -> str:
    doc = documentation["doc"]
    parts = [
        f"# {COLLECTION}.{name}\n",
        f"{GENERATED}\n",
        f"{sentence(doc['short_description'])} ({kind})\n",
        *(f"{markdown(paragraph)}\n" for paragraph in listed(doc.get("description"))),
    ]
    if doc.get("requirements"):
        parts.append("Needs on the host that it runs on: " + ", ".join(map(markdown, doc["requirements"])) + ".\n")
    if doc.get("options"):
        parts += ["## Options\n", table(option_rows(doc["options"]), "option"), ""]
    if doc.get("attributes"):
        parts += ["## Attributes\n", attribute_table(doc["attributes"]), ""]
    parts += [f"## Notes\n\n{bullets(doc['notes'])}\n"] if doc.get("notes") else []
    if documentation.get("examples"):
        parts += [f"## Examples\n\n```yaml\n{documentation['examples'].strip()}\n```\n"]
    if documentation.get("return"):
        parts += ["## Returns\n", return_table(documentation["return"]), ""]
    return "\n".join(parts).rstrip() + "\n"


def role_pages() -> dict[Path, str]:
    """One page for each role, and its README with the table of its variables between the two marks."""
    pages: dict[Path, str] = {}
    for folder in role_folders():
        main = spec(folder)
        variables = table(option_rows(main.get("options", {})), "variable") if main.get("options") else "None."
        parts = [
            f"# Role {COLLECTION}.{folder.name}\n",
            f"{GENERATED}\n",
            f"{sentence(main['short_description'])}\n",
            *(f"{markdown(paragraph)}\n" for paragraph in listed(main.get("description"))),
            f"Outcome, idempotence, atomicity and roll-back: [README](../../../roles/{folder.name}/README.md).\n",
            f"## Variables\n\n{variables}\n",
        ]
        pages[TOP / "docs" / "reference" / "roles" / f"{folder.name}.md"] = "\n".join(parts)
        readme = folder / "README.md"
        text = readme.read_text(encoding="utf-8")
        if BEGIN in text:
            head, rest = text.split(BEGIN, 1)
            _old, tail = rest.split(END, 1)
            pages[readme] = f"{head}{BEGIN}\n\n{variables}\n\n{END}{tail}"
    return pages


def alert_page() -> dict[Path, str]:
    """docs/alerts.md: a row and a chapter for each alert. A rule's ``runbook_url`` leads to its chapter."""
    rules = yaml.safe_load((TOP / "roles" / "monitoring" / "files" / "alerts.yml").read_text(encoding="utf-8"))
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    told = {one["alert"]: one for one in fired_alerts()}
    rows = ["| alert | severity | at stake | says | after | told in the lab |", "|---|---|---|---|---|---|"]
    chapters, books_there = [], [book for _source, book in runbooks()]
    for rule in alerts:
        name, labels, said = rule["alert"], rule["labels"], rule["annotations"]
        after = rule.get("for", "at once")
        link = f"[{name}](#{name.lower()})"
        summary, seen_after = cell(spoken(said["summary"])), f"{told[name]['seconds']:.0f} s" if name in told else ""
        rows.append(f"| {link} | {labels['severity']} | {labels['class']} | {summary} | {after} | {seen_after} |")
        books = [f"[{book.id}](runbooks/{book.id}.md)" for book in books_there if name in book.alerts]
        lead = f"**Runbooks:** {', '.join(books)}\n\n" if books else ""
        expression = f"```promql\n{rule['expr'].strip()}\n```"
        seen = ""
        if name in told:
            fault, seconds, text = (told[name][key] for key in ("fault", "seconds", "said"))
            seen = f'In the lab, told {seconds:.0f} s after the fault ({fault}): "{text}"\n\n'
        chapters.append(
            f"## {name}\n\n{said['description']}\n\n**First:** {said['next']}\n\n{lead}{seen}{expression}\n"
        )
    parts = [
        f"# Alerts\n\n{GENERATED}\n",
        f"The {len(alerts)} rules of [role monitoring](../roles/monitoring/README.md). *N* is a number,",
        "and a word in italics the label of that name. The last column: seconds from a fault in the lab to the page at",
        "Alertmanager's webhook, by `make bench ONLY=fired` ([all of them](alerts-fired.json)).",
        "Routes, receivers and silences: [alerting](alerting.md).\n",
    ]
    return {TOP / "docs" / "alerts.md": "\n".join([*parts, *rows, "", *chapters])}


def runbook_pages() -> dict[Path, str]:
    """docs/runbooks: a page for each scenario, and their index."""
    source, place = TOP / "playbooks" / "runbooks", TOP / "docs" / "runbooks"
    books = runbooks()
    if not books:
        return {}
    pages = {
        place / f"{book.id}.md": page.page(book, catalogue.own(source, one)).replace("\n", f"\n\n{GENERATED}\n", 1)
        for one, book in books
    }
    intro = [
        f"# Runbooks\n\n{GENERATED}\n",
        f"The {len(books)} scenarios of [playbooks/runbooks](../../playbooks/runbooks), by severity. How one is made:",
        "[writing a runbook](../writing-runbooks.md). What the times say is a budget, not a measurement.\n",
    ]
    return {
        **pages,
        place / "README.md": "\n".join([*intro, page.index(book for _source, book in books), *drilled_runbooks()]),
    }


def runbooks() -> list[tuple[Source, Runbook]]:
    """Each with where it comes from."""
    place = TOP / "playbooks" / "runbooks"
    sources = catalogue.sources(place) if place.exists() else []
    return [(one, parsed(one.document, catalogue.schema(), one.folder)) for one in sources]


def drilled_runbooks() -> list[str]:
    """The chapter of what tests/bench/runbooks.py has measured; none before it has."""
    path = TOP / "docs" / "runbooks-drilled.json"
    if not path.exists():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
    about = [
        "## Drilled\n",
        "Faults made in the lab, one after the other, by",
        f"`{found['command']}` ([all of it](../runbooks-drilled.json)).",
        "*After* is from the fault until the runbook was named; *clients felt* is the longest time between two",
        "acknowledged commits; *drill* is all of it, with what a lab needs to be whole again.\n",
    ]
    left_out = sorted(scenarios.drilled(TOP / "playbooks" / "runbooks", None).left_out)
    links = ", ".join(f"[{name}]({name}.md)" for name in left_out)
    why = [f"Without a drill: {links} ([why](../detection.md#signs)).\n"] if left_out else []
    return [*about, page.drilled(found["runbooks"]), *why]


def fired_alerts() -> list[dict[str, t.Any]]:
    """What tests/bench/fired.py has measured, but for what was not told."""
    path = TOP / "docs" / "alerts-fired.json"
    found = json.loads(path.read_text(encoding="utf-8"))["alerts"] if path.exists() else []
    return [one for one in found if one["seconds"] is not None]


def spoken(summary: str) -> str:
    """A summary as a person reads it: ``{{ $labels.cluster }}`` is *cluster*, a value is *N*."""
    text = re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"*\1*", summary)
    return re.sub(r"\{\{ \$value.*?\}\}", "*N*", text)


def role_folders() -> list[Path]:
    return sorted(path.parent.parent for path in (TOP / "roles").glob("*/meta/argument_specs.yml"))


def spec(folder: Path) -> dict[str, t.Any]:
    """The specification of the role's entry point ``main``."""
    text = (folder / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    main: dict[str, t.Any] = yaml.safe_load(text)["argument_specs"]["main"]
    return main


class Row(t.NamedTuple):
    name: str
    kind: str
    default: str
    description: str


def option_rows(options: Options, prefix: str = "") -> t.Iterator[Row]:
    """Each option, and below it those that it is made of."""
    for name, option in options.items():
        kind = str(option.get("type", "str"))
        if option.get("elements"):
            kind += f" of {option['elements']}"
        default = (
            "required" if option.get("required") else f"`{inline(option['default'])}`" if "default" in option else ""
        )
        words = [markdown(paragraph) for paragraph in listed(option.get("description"))]
        if option.get("choices"):
            words.append("One of " + ", ".join(f"`{inline(choice)}`" for choice in option["choices"]) + ".")
        yield Row(prefix + name, kind, default, " ".join(words))
        yield from option_rows(option.get("suboptions") or option.get("options") or {}, prefix=f"{prefix}{name}.")


def table(rows: t.Iterable[Row], first: str) -> str:
    lines = [f"| {first} | type | default | meaning |", "|---|---|---|---|"]
    lines += [f"| `{row.name}` | {row.kind} | {cell(row.default)} | {cell(row.description)} |" for row in rows]
    return "\n".join(lines)


def attribute_table(attributes: Options) -> str:
    lines = ["| attribute | support | details |", "|---|---|---|"]
    for name, attribute in attributes.items():
        details = " ".join(markdown(paragraph) for paragraph in listed(attribute.get("details")))
        lines.append(f"| {name} | {attribute['support']} | {cell(details)} |")
    return "\n".join(lines)


def return_table(values: Options) -> str:
    return "\n".join(["| key | type | returned | meaning |", "|---|---|---|---|", *return_rows(values)])


def return_rows(values: Options, prefix: str = "") -> t.Iterator[str]:
    for name, value in values.items():
        words = " ".join(markdown(paragraph) for paragraph in listed(value.get("description")))
        returned = cell(markdown(str(value.get("returned", ""))))
        yield f"| `{prefix}{name}` | {value.get('type', '')} | {returned} | {cell(words)} |"
        yield from return_rows(value.get("contains") or {}, prefix=f"{prefix}{name}.")


def markdown(text: str) -> str:
    for pattern, replacement in MARKUP:
        text = pattern.sub(replacement, str(text))
    return text.strip()


def inline(value: t.Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def sentence(text: str) -> str:
    return markdown(text).rstrip(".") + "."


def bullets(paragraphs: list[str]) -> str:
    return "\n".join(f"- {markdown(paragraph)}" for paragraph in paragraphs)


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def listed(value: t.Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


if __name__ == "__main__":
    sys.exit(main())
