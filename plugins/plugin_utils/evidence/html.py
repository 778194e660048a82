# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""report.html: one file, no scripts, nothing from elsewhere; for a screen, a phone and paper. Control node only."""

from __future__ import annotations

import shlex
import typing as t
from pathlib import Path, PurePosixPath

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import clocks, ledger, picture, signature
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.picture import Mark, Scene, Window
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.approval import NAMESPACE

TEMPLATES = Path(__file__).resolve().parents[3] / "playbooks" / "templates" / "evidence"
#: Follows the chain of the timeline to the hash that the report gives; a torn line is one that the next line calls so.
CHAIN_COMMAND = """python3 -c 'import hashlib, json, sys
lines = open("timeline.jsonl", "rb").read().split(b"\\n")
hashes = [hashlib.sha256(line).hexdigest() for line in lines]
for i in range(len(lines) - 2):
    if hashes[i].encode() not in lines[i + 1] and b"\\"kind\\":\\"torn\\"" not in lines[i + 2]:
        sys.exit(repr(lines[i + 1]))
if hashes[-2] != json.load(open("report.json"))["evidence"]["timeline_head"]:
    sys.exit("not the timeline of this report")
print("timeline.jsonl: OK")'"""
#: Widths in pixels: for a screen or paper, and for a phone. The style sheet shows the one that fits.
WIDE, NARROW = 960, 400

#: What a phase is called in a picture, by its number in the chain.
LABELS = (
    "fault", "last ack", "first failure", "detected", "fenced", "promote asked", "writable", "first ack", "load back",
    "redundancy back", "archiving back", "new backup",
)  # fmt: skip
#: What a phase means, for the table.
MEANINGS = (
    "the fault", "last acknowledged write before", "first failure that a client saw", "detected",
    "old primary fenced, and proven to be", "promotion asked for", "new primary takes writes",
    "first acknowledged write through the gateway", "every client writes again", "redundancy back",
    "archiving back, in every repository", "first new backup",
)  # fmt: skip
#: An approval as the page shows it, by its kind.
APPROVALS = {
    "ssh": "{approver} for {subject}, asked for by {requester}; key {key_fingerprint}, request {request_sha256}, "
    "good until {expires_at}",
    "awx": "{approver} for {subject}, asked for by {requester}; at {approved_at}, node {node} of AWX's workflow job "
    "{workflow_job}",
    "break_glass": "nobody for {subject}, at the word of {requester}, {at}; needed were {needed}. Reason: {reason}",
}


def page(report: t.Mapping[str, t.Any], ledger_lines: bytes) -> bytes:
    """The report of one operation."""
    template = environment().get_template("report.html.j2")
    return template.render(one=view(report, ledger_lines), verify=[*verify_commands(), *approval_commands(report)]).encode("utf-8")


def summary_page(title: str, table: t.Mapping[str, t.Any], drills: t.Sequence[dict[str, t.Any]]) -> bytes:
    """The report of several drills: one table, then each drill's :func:`view`."""
    template = environment().get_template("summary.html.j2")
    return template.render(title=title, table=table, drills=drills, verify=verify_commands()).encode("utf-8")


def view(report: t.Mapping[str, t.Any], ledger_lines: bytes) -> dict[str, t.Any]:
    """What the templates show of one report."""
    scene = _scene(report, ledger_lines)
    return {
        "report": report,
        "title": (report["scenario"] or report["operation"]).replace("_", " "),
        "figures": figures(report),
        "checks": sorted(report["checks"], key=lambda check: ("failed", "unknown", "passed").index(check["verdict"])),
        "pictures": _pictures(scene),
        "phases": _phases(report),
        "words": [mark for mark in report["marks"] if mark["mark"] not in clocks.PHASES],
    }


def figures(report: t.Mapping[str, t.Any]) -> list[dict[str, str | None]]:
    """The figures at the top: name, value, what was aimed at, and whether that was reached."""
    aims, rpo, short = report["objectives"], report["rpo"], report["summary"]
    return [
        _figure("RTO", report["rto_seconds"], picture.seconds, aims.get("rto_seconds")),
        _figure("lost transactions", rpo["transactions"], str, None),
        _figure("RPO", rpo["seconds"], picture.seconds, aims.get("rpo_seconds")),
        _figure("WAL lost", rpo["wal_bytes"], size, None),
        _figure("detected after", short["detected_seconds"], picture.seconds, None),
        _figure("decision to first ack", short["decided_to_first_ack_seconds"], picture.seconds, None),
        _figure("redundancy back", short["redundancy_back_seconds"], picture.seconds, None),
        _figure("archiving back", short["archiving_back_seconds"], picture.seconds, None),
    ]


def _figure(name: str, value: t.Any, shown: t.Callable[[t.Any], str], aim: t.Any) -> dict[str, str | None]:
    known = isinstance(value, int | float)
    reached = None
    if isinstance(aim, int | float):
        reached = "unknown" if not known else "passed" if value <= aim else "failed"
    return {
        "name": name,
        "value": shown(value) if known else "–",
        "aim": f"objective ≤ {duration(aim)}" if isinstance(aim, int | float) else None,
        "reached": reached,
    }


def size(count: int) -> str:
    """A number of bytes as people read it."""
    value, units = float(count), ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.0f} {units[0]}" if value == int(value) else f"{value:.1f} {units[0]}"


def duration(value: float) -> str:
    """An objective as people say it: 300 s is 5 min."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if value >= length and value % length == 0:
            return f"{value / length:.0f} {unit}"
    return f"{value:g} s"


def span(value: float) -> str:
    """A time between two events as people say it: 40 s, 12 min, 24.0 h, 3.5 d."""
    for unit, length, digits in (("d", 86400, 1), ("h", 3600, 1), ("min", 60, 0)):
        if value >= 2 * length:
            return f"{value / length:.{digits}f} {unit}"
    return f"{value:.0f} s"


def figure(name: str, value: str, aim: str | None = None, reached: str | None = None) -> dict[str, str | None]:
    """One of the figures at the top of a page: its value, what was aimed at, and the verdict's word on that."""
    return {"name": name, "value": value, "aim": aim, "reached": reached}


def drawn(caption: str, legend: t.Sequence[tuple[str, str]], draw: t.Callable[[int], str]) -> dict[str, t.Any]:
    """A picture of a page, wide and narrow. ``legend``: colours of the style sheet, and what they mean."""
    return {
        "caption": caption,
        "legend": [{"colour": colour, "means": means} for colour, means in legend],
        "drawings": [{"svg": Markup(draw(width))} for width in (WIDE, NARROW)],  # noqa: S704
    }


def approval(one: t.Mapping[str, t.Any]) -> str:
    """An approval in one line; one that somebody's own playbook reported, as it is."""
    line = APPROVALS.get(str(one.get("kind")))
    try:
        return line.format_map(one) if line else " ".join(map(str, one.values()))
    except KeyError:
        return " ".join(map(str, one.values()))


def _scene(report: t.Mapping[str, t.Any], ledger_lines: bytes) -> Scene:
    zero = ledger.zero_ns(report, ledger_lines)
    attempts = ledger.attempts(ledger_lines, zero) if zero is not None else []
    chain, errors = report["chain"], {mark["mark"]: mark["error_seconds"] for mark in report["marks"]}
    marks = [
        Mark(f"T{number}", LABELS[number], at, errors.get(clocks.PHASES[number]) or 0.0)
        for number in range(len(LABELS))
        if (at := chain[f"t{number}"]) is not None
    ]
    if report["decided_seconds"] is not None:
        marks.append(Mark("◆", "decided", report["decided_seconds"]))
    interval = report["probe_interval_seconds"] or 0.1
    if chain["t1"] is None or chain["t7"] is None:
        return Scene(attempts, marks, ledger.longest_wait(attempts), "longest wait", interval)
    return Scene(attempts, marks, (chain["t1"], chain["t7"]), "RTO", interval)


def _pictures(scene: Scene) -> list[dict[str, t.Any]]:
    """The outage from close up, and all of the recovery, unless that shows nothing more; each wide and narrow."""
    near, far = picture.close_up(scene), picture.whole(scene)
    shown: list[tuple[str, Window, Window | None]] = []
    if near is not None:
        harmed = any(not one.acked for one in scene.attempts) or not scene.attempts
        caption = "The outage, as clients felt it" if harmed else "What clients felt: a wait, and no failure"
        shown.append((caption, near, None))
    if far is not None and (near is None or any(not near.holds(mark.at) for mark in scene.marks)):
        shown.append(("The whole recovery", far, near))
    return [
        {
            "caption": caption,
            "legend": _legend(scene) if framed is None else [],
            "drawings": [
                {"width": name, "svg": Markup(_draw(scene, window, width, framed, caption))}  # noqa: S704
                for name, width in (("wide", WIDE), ("narrow", NARROW))
            ],
        }
        for caption, window, framed in shown
    ]


def _legend(scene: Scene) -> list[dict[str, str]]:
    if not scene.attempts:
        return []
    outcomes = {picture.waited(attempt).outcome for attempt in scene.attempts}
    legend = [("ack", "acknowledged")]
    if "waited" in outcomes:
        legend.append(("unsafe", f"acknowledged after waiting {picture.WAITED:g} s or more"))
    if "acked_unsafe" in outcomes:
        legend.append(("unsafe", "acknowledged, but not safe"))
    if "failed" in outcomes:
        legend.append(("bad", "failed"))
    if "unknown" in outcomes:
        legend.append(("open", "sent, but no answer came"))
    return [{"colour": colour, "means": means} for colour, means in legend]


def _draw(scene: Scene, window: Window, width: int, framed: Window | None, caption: str) -> str:
    return picture.Picture(scene, window, width, title=caption, near=framed).draw()


def _phases(report: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    marked: dict[str, t.Any] = {}
    for mark in report["marks"]:
        marked.setdefault(mark["mark"], mark)
    rows = []
    for number, meaning in enumerate(MEANINGS):
        mark = marked.get(clocks.PHASES[number], {})
        at = report["chain"][f"t{number}"]
        rows.append({
            "short": f"T{number}", "meaning": meaning, "at": at, "detail": mark.get("detail"),
            "error": mark.get("error_seconds") if at is not None else None,
        })  # fmt: skip
    if report["decided_seconds"] is not None:
        mark = marked.get("decided", {})
        rows.append({
            "short": "◆", "meaning": "decided", "at": report["decided_seconds"], "detail": mark.get("detail"),
            "error": mark.get("error_seconds"),
        })  # fmt: skip
    known = sorted((row for row in rows if row["at"] is not None), key=lambda row: row["at"])
    return known + [row for row in rows if row["at"] is None]


def verify_commands() -> list[str]:
    """What to type in the evidence folder, with nothing of ours: files, signature, timeline."""
    return [
        f"sha256sum --check --strict {signature.MANIFEST}",
        (
            f"ssh-keygen -Y verify -f {signature.ALLOWED_SIGNERS} -I {signature.IDENTITY} -n {signature.NAMESPACE} "
            f"-s {signature.SIGNATURE} < {signature.MANIFEST}"
        ),
        CHAIN_COMMAND,
    ]


def approval_commands(report: t.Mapping[str, t.Any]) -> list[str]:
    """What to type in the evidence folder to verify each signed approval."""
    return [
        f"ssh-keygen -Y verify -f {_beside(one['signature'], 'approvers')} -I {shlex.quote(one['approver'])} "
        f"-n {NAMESPACE} -s {shlex.quote(one['signature'])} < {_beside(one['signature'], 'request.json')}"
        for one in report["approvals"]
        if one.get("kind") == "ssh" and {"signature", "approver"} <= set(one)
    ]


def _beside(name: str, other: str) -> str:
    return shlex.quote(str(PurePosixPath(name).with_name(other)))


def environment() -> Environment:
    """The templates of all pages."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(seconds=picture.seconds, size=size, duration=duration, span=span, approval=approval)
    return environment
