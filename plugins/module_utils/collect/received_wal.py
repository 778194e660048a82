# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""WAL that a receiver confirmed and a candidate does not have: how much it is, and how it comes to the candidate.

Only the bytes that the candidate misses travel. It puts them behind its own, in the folder that its restore_command
looks into, where a segment appears whole or not at all.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import tempfile
import typing as t
import zlib
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import utc_now
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import Runner
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, RefusedError, UnknownError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.recovery_end import checked_lsn, lsn_to_int
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.wal_chain import ARCHIVED

REPOSITORY = "/etc/fraiseql-resilience/repository.json"
#: Where a member's restore_command looks for what no repository has.
DELIVERED = Path("/var/lib/fraiseql-resilience/received-wal")
#: Beside it, what the recovery has to reach with it: the receiver may have begun anew when it is asked again.
REQUIRED = "required.json"
PAGE = 8192
SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(\.partial)?")
#: pg_waldump's words: where each record begins, and where the first thing lies that is no record any more.
RECORD = re.compile(r"lsn: ([0-9A-F]+/[0-9A-F]+), prev")
DUMP_SECONDS = 60.0
STOP_SECONDS = 30.0
#: The timer that starts a detached receiver again.
BACK = "resilience-receiver-back"


@dataclass(frozen=True)
class Segment:
    """A file of the receiver. ``number`` counts segments from the beginning of WAL."""

    path: Path
    timeline: int
    number: int
    size: int

    @property
    def name(self) -> str:
        return self.path.name[:24]

    @property
    def begin(self) -> int:
        return self.number * self.size


def describe(path: str = REPOSITORY) -> dict[str, t.Any]:
    """What role pgbackrest wrote of this repository host."""
    try:
        facts: dict[str, t.Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"this host holds no repository: {error}", given=path, next_step="run the site playbook on it"
        ) from error
    return facts


def measure(
    repository: t.Mapping[str, t.Any], timeline: int, lsn: str, most_bytes: int, *, run: Runner
) -> dict[str, t.Any]:
    """What the receiver holds on ``timeline`` beyond ``lsn``, where the candidate's own WAL ends.

    :raises RefusedError: it is more than ``most_bytes`` that no repository has.
    :raises UnknownError: the receiver followed a later timeline than the candidate knows.
    """
    receiver: t.Mapping[str, t.Any] | None = repository.get("receiver")
    if not receiver:
        return {"receiver": None, "ahead_bytes": 0, "end_lsn": None, "pieces": []}
    nothing = {"receiver": receiver["name"], "ahead_bytes": 0, "end_lsn": None, "pieces": []}
    held = segments(Path(receiver["directory"]))
    later = max((segment.timeline for segment in held), default=timeline)
    if later > timeline:
        raise UnknownError(
            f"{receiver['name']} holds WAL of timeline {later}, and the candidate is on {timeline}",
            given=f"timeline {timeline}",
            next_step="choose a candidate that is on that timeline; see them with module cluster_info",
        )
    begin = lsn_to_int(lsn)
    useful = contiguous([one for one in held if one.timeline == timeline and one.begin + one.size > begin])
    if not useful:
        return nothing
    last, end = ends(useful, repository["bin_dir"], run=run)
    if last is None or end is None or end <= begin:
        return nothing
    missing = [one for one in useful if one.begin < end and not _archived(repository, one)]
    pieces = [_piece(one, begin, end) for one in missing]
    size = sum(length for _piece_, length in pieces)
    if size > most_bytes:
        raise RefusedError(
            f"{receiver['name']} holds {end - begin} bytes of WAL that the candidate does not have, too much to carry",
            given=f"{size} bytes that no repository has",
            possible=f"{most_bytes} bytes",
            next_step=f"copy {useful[0].name} and later from {receiver['directory']} to the candidate's {DELIVERED}",
        )
    return {
        **nothing,
        "ahead_bytes": end - begin,
        "end_lsn": to_lsn(end),
        # Replay ends at the end of a record, which a page's header may keep from being where the next would begin.
        "require_lsn": to_lsn(last + 1),
        "pieces": [piece for piece, _length in pieces],
    }


def segments(directory: Path) -> list[Segment]:
    """The receiver's files in the order of WAL."""
    found = []
    for path in directory.iterdir() if directory.exists() else ():
        name = SEGMENT.fullmatch(path.name)
        size = path.stat().st_size if name else 0
        if name and size:
            number = (int(name[2], 16) << 32) // size + int(name[3], 16)
            found.append(Segment(path, int(name[1], 16), number, size))
    return sorted(found, key=lambda one: (one.timeline, one.number))


def contiguous(found: t.Sequence[Segment]) -> list[Segment]:
    """Those after the last gap: what lies before one is of no use without what is missing, and in a repository."""
    run_: list[Segment] = []
    for one in found:
        if run_ and one.number != run_[-1].number + 1:
            run_ = []
        run_.append(one)
    return run_


def ends(held: t.Sequence[Segment], bin_dir: str, *, run: Runner) -> tuple[int | None, int | None]:
    """Where the last whole record begins, and where it ends."""
    with tempfile.TemporaryDirectory(prefix="resilience-wal-") as folder:
        for one in held:
            # pg_waldump does not know the name of a segment that is still being received.
            (Path(folder) / one.name).symlink_to(one.path)
        argv = [
            f"{bin_dir}/pg_waldump", "--path", folder, "--timeline", str(held[0].timeline),
            "--start",
        ]  # fmt: skip
        # The newest segment may hold no whole record yet.
        for one in reversed(held[-2:]):
            done = run([*argv, to_lsn(one.begin)], timeout=DUMP_SECONDS, check=False)
            last, end = last_record(done.stdout, done.stderr)
            if last is not None:
                return last, end or held[-1].begin + held[-1].size
    return None, None


def last_record(dump: str, complaint: str) -> tuple[int | None, int | None]:
    """Where the last record that pg_waldump could read begins; and ends, if its complaint tells that."""
    begun = RECORD.findall(dump)
    if not begun:
        return None, None
    last = lsn_to_int(begun[-1])
    named = [lsn_to_int(lsn) for lsn in re.findall(r"[0-9A-F]+/[0-9A-F]+", complaint)]
    return last, max([lsn for lsn in named if lsn > last], default=None)


def deliver(member: t.Mapping[str, t.Any], pieces: t.Sequence[t.Mapping[str, t.Any]], *, check_mode: bool) -> list[str]:
    """Lay the pieces where restore_command finds them. Returns the segments that were not there as they should be.

    :raises UnknownError: the member does not have the WAL that a piece continues.
    """
    changed = []
    for piece in pieces:
        name, offset, size = piece["segment"], int(piece["offset"]), int(piece["size"])
        if SEGMENT.fullmatch(name) is None or name.endswith(".partial"):
            raise InputError("this is no segment of WAL", given=name, possible="what state=taken returned")
        content = _own(member, name, offset) + zlib.decompress(base64.b64decode(piece["data"]))
        content += bytes(size - len(content))
        place = DELIVERED / name
        if place.exists() and place.read_bytes() == content:
            continue
        changed.append(name)
        if not check_mode:
            _write(place, content, member["os_user"])
    return changed


def demand(lsn: str | None, owner: str, *, check_mode: bool) -> str | None:
    """What the recovery on this member has to reach: ``lsn``, or what an earlier run demanded, if that is more."""
    before = demanded()
    if lsn is None or (before is not None and lsn_to_int(before) >= lsn_to_int(lsn)):
        return before
    if not check_mode:
        _write(DELIVERED / REQUIRED, json.dumps({"require_lsn": lsn}).encode(), owner)
    return lsn


def demanded() -> str | None:
    """What :func:`demand` wrote and no recovery has reached yet.

    :raises UnknownError: it cannot be read.
    """
    place = DELIVERED / REQUIRED
    try:
        return checked_lsn(json.loads(place.read_text(encoding="utf-8"))["require_lsn"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, InputError) as error:
        raise UnknownError(
            f"how far the recovery has to come cannot be read: {error}",
            given=str(place),
            next_step="see with pg_waldump how far the segments beside it reach, and remove that file",
        ) from error


def forget_demand() -> None:
    """Recovery has reached it, or the data are to end elsewhere."""
    (DELIVERED / REQUIRED).unlink(missing_ok=True)


def set_aside(repository: t.Mapping[str, t.Any], *, check_mode: bool, run: Runner) -> str | None:
    """Keep what the receiver holds beside its folder, and let it begin anew. Returns where; None if it holds nothing.

    After a restore to an earlier point it would ask the primary for WAL that never was. A run that was cut off in
    between is taken up: the folder is made again, and the receiver started.
    """
    receiver: t.Mapping[str, t.Any] | None = repository.get("receiver")
    if not receiver:
        return None
    directory = Path(receiver["directory"])
    kept = f"{directory}.kept-{utc_now().replace('-', '').replace(':', '')[:15]}Z" if segments(directory) else None
    if kept and (directory.is_symlink() or os.path.ismount(directory)):
        raise RefusedError(
            f"{directory} cannot be set aside, since it is a link or a mount point",
            next_step="give pgbackrest_receiver_directory a folder below it",
        )
    if check_mode:
        return kept
    run(["systemctl", "stop", receiver["unit"]], timeout=STOP_SECONDS)
    if kept:
        directory.rename(kept)
    if not directory.exists():
        directory.mkdir(mode=0o750)
        shutil.chown(directory, repository["user"], repository["user"])
    run(["systemctl", "start", "--no-block", receiver["unit"]], timeout=STOP_SECONDS)
    return kept


def detach(repository: t.Mapping[str, t.Any], seconds: float, *, check_mode: bool, run: Runner) -> bool:
    """Stop the receiver, for ``seconds`` at most: it starts again by itself. True if it ran.

    One that a run that was killed has stopped gets ``seconds`` anew: what is left of that run's would bring it back
    while this one relies on its silence, and if that run came no further than the stop, nothing would.

    :raises UnknownError: it is not proven stopped.
    """
    receiver: t.Mapping[str, t.Any] | None = repository.get("receiver")
    if not receiver:
        return False
    ran = _runs(receiver["unit"], run)
    if check_mode:
        return ran
    run(["systemctl", "stop", f"{BACK}.timer"], timeout=STOP_SECONDS, check=False)
    again = ["systemctl", "start", "--no-block", receiver["unit"]]
    run(["systemd-run", "--quiet", "--collect", f"--unit={BACK}", f"--on-active={seconds:g}", *again], timeout=10)
    run(["systemctl", "stop", receiver["unit"]], timeout=STOP_SECONDS)
    if _runs(receiver["unit"], run):
        raise UnknownError(
            f"{receiver['name']} is not proven stopped",
            changed=True,
            next_step=f"stop {receiver['unit']} on the repository host by hand",
        )
    return ran


def attach(repository: t.Mapping[str, t.Any], *, check_mode: bool, run: Runner) -> bool:
    """Start the receiver again; it follows whoever is primary. True if it did not run."""
    receiver: t.Mapping[str, t.Any] | None = repository.get("receiver")
    if not receiver or _runs(receiver["unit"], run):
        return False
    if not check_mode:
        run(["systemctl", "start", "--no-block", receiver["unit"]], timeout=STOP_SECONDS)
        run(["systemctl", "stop", f"{BACK}.timer"], timeout=STOP_SECONDS, check=False)
    return True


def _runs(unit: str, run: Runner) -> bool:
    said = run(["systemctl", "is-active", unit], timeout=10, check=False).stdout.strip()
    return said not in ("inactive", "failed")


def packed(pieces: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """The pieces as one text, which a module's argument can keep out of every log."""
    return base64.b64encode(json.dumps(pieces).encode()).decode() if pieces else ""


def unpacked(text: str | None) -> list[dict[str, t.Any]]:
    """The reverse of :func:`packed`.

    :raises InputError: it is something else.
    """
    try:
        pieces: list[dict[str, t.Any]] = json.loads(base64.b64decode(text, validate=True)) if text else []
    except ValueError as error:
        raise InputError("this is not what module received_wal took", possible="its return value packed") from error
    return pieces


def to_lsn(position: int) -> str:
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def _archived(repository: t.Mapping[str, t.Any], segment: Segment) -> bool:
    """Whether the repository host has it whole, under any key, so that the candidate gets it from there."""
    paths = [one["repo1_path"] for one in repository.get("generations", [])] or [repository["repo1_path"]]
    folder = Path("archive") / repository["stanza"]
    return any(
        ARCHIVED.fullmatch(found.name)
        for path in paths
        for found in (Path(path) / folder).glob(f"*/{segment.name[:16]}/{segment.name}-*")
    )


def _piece(segment: Segment, begin: int, end: int) -> tuple[dict[str, t.Any], int]:
    """The segment's bytes from ``begin`` to ``end``, in whole pages, and how many they are."""
    first = max(0, begin - segment.begin) // PAGE * PAGE
    last = min(segment.size, -(-(end - segment.begin) // PAGE) * PAGE)
    with segment.path.open("rb") as file:
        file.seek(first)
        content = file.read(last - first)
    data = base64.b64encode(zlib.compress(content, 1)).decode()
    return {"segment": segment.name, "offset": first, "size": segment.size, "data": data}, len(content)


def _own(member: t.Mapping[str, t.Any], name: str, length: int) -> bytes:
    if length == 0:
        return b""
    try:
        with (Path(member["data_dir"]) / "pg_wal" / name).open("rb") as file:
            own = file.read(length)
    except OSError as error:
        raise UnknownError(
            f"{member['name']} does not have the WAL that the receiver's continues: {error.strerror}: {name}",
            next_step="copy that segment from the receiver yourself, and run this again",
        ) from error
    return own + bytes(length - len(own))


def _write(place: Path, content: bytes, owner: str) -> None:
    place.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    unfinished = place.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    shutil.chown(unfinished, owner, owner)
    unfinished.rename(place)
