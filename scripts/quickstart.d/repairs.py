#!/usr/bin/env python3
"""The demonstration of scripts/quickstart: three services, three faults, one table."""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from agent import Agent, QuickstartError

SERVICE = Path(__file__).resolve().parent / "service.py"
READY_SECONDS = 30  # until the agent sees all three services and has warmed up
REPAIR_SECONDS = 60  # for one repair, or for the escalation
QUIET_SECONDS = 10  # after the escalation: a second one would come within this, the backoff being capped at 4 s
ANSWER_SECONDS = 1.0  # a service that takes longer does not answer
LOOK_SECONDS = 0.02  # between two looks from outside: the resolution of "repaired"
COLUMNS = 80  # of the narrowest terminal that is usual
# What `prunella doctor` says of an installed agent; this one has a folder of its own and no groups.
OF_AN_INSTALLATION = {"state folder", "ledger", "groups"}

# Shorter than the defaults, for the demonstration alone: first gap 1 s in place of 10 s, never over 4 s in place of
# 30 min; a repair counts as verified after 1 s in place of 3 s.
POLICY = """\
# Written by scripts/quickstart. The rules are the shipped ones; the limits are shorter than theirs.
[limits]
settle = "1s"
warm_up_settle = "1s"

[limits.backoff]
first = "1s"
factor = 2.0
cap = "4s"

[escalation]
file = "{folder}/escalations.jsonl"
"""
SERVICE_POLICY = """
[[service]]
name = "quickstart-{kind}.service"
start = {start}
pid_file = "{folder}/services/{kind}.pid"
log_file = "{folder}/services/{kind}.log"
start_timeout = "5s"
stop_timeout = "2s"
"""
PROBE_POLICY = """
[[probe]]
name = "quickstart-web"
unit = "quickstart-web.service"
http = "http://127.0.0.1:{port}/"
interval = "1s"
timeout = "500ms"
failures = 2
"""


@dataclass
class Case:
    """One fault, and what the ledger says came of it. Times are seconds after the fault."""

    kind: str
    fault: str
    broken_at: float = 0.0
    repaired: float | None = None
    detected: float | None = None
    verified: float | None = None
    incidents: set[str] = field(default_factory=set)
    finding: str = ""
    actions: set[str] = field(default_factory=set)
    attempts: int = 0
    escalations: int = 0
    held: dict[str, int] = field(default_factory=dict)
    end: str = "open"

    @property
    def unit(self) -> str:
        return f"quickstart-{self.kind}.service"

    def guards(self) -> str:
        """Their verdicts, counted."""
        said = [f"permitted {self.attempts}"] + [f"held by {guard} {times}" for guard, times in self.held.items()]
        return ", ".join(said)

    def relative(self, text: str) -> str:
        """With points in time as seconds after the fault."""
        def seconds(match: re.Match) -> str:
            return f"+{datetime.fromisoformat(match[0].replace('Z', '+00:00')).timestamp() - self.broken_at:.1f} s"
        return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", seconds, text)

    def after(self, record: dict) -> float:
        return record["entry"]["at"]["wall_ms"] / 1000 - self.broken_at


class Demonstration:
    def __init__(self, binaries: Path, folder: Path) -> None:
        self.folder = folder
        self.agent = Agent(binaries, folder)
        self.port = free_port()
        self.cases = {
            "worker": Case("worker", "killed by SIGKILL"),
            "web": Case("web", "hung by SIGSTOP"),
            "flaky": Case("flaky", "dies at every start"),
        }
        self.seen = 0  # the last record that was shown

    def run(self) -> bool:
        self.prepare()
        self.agent.start()
        self.wait_until_ready()
        self.show_host()

        say("fault 1: the worker gets SIGKILL")
        self.inject("worker", lambda pid: os.kill(pid, signal.SIGKILL))
        self.follow("worker", lambda case: case.end != "open" and case.repaired is not None)

        say("fault 2: the HTTP service gets SIGSTOP; its process lives on, its probe finds no answer")
        self.inject("web", lambda pid: os.kill(pid, signal.SIGSTOP))
        self.follow("web", lambda case: case.end != "open" and case.repaired is not None)

        say("fault 3: a broken release: the service dies, and again at every start "
            "(the gaps between attempts grow: half a minute)")
        (self.folder / "services" / "broken").touch()
        self.inject("flaky", lambda pid: os.kill(pid, signal.SIGKILL))
        self.follow("flaky", lambda case: case.escalations > 0)
        say(f"watching {QUIET_SECONDS} s more: it must not escalate twice")
        self.follow("flaky", lambda _: False, seconds=QUIET_SECONDS, must=False)

        self.agent.stop()
        self.table()
        return self.judge()

    def prepare(self) -> None:
        """Folders, the policy, and the services, started as a host would have started them."""
        for name, mode in {"state": 0o700, "run": 0o755, "config": 0o700, "services": 0o700}.items():
            (self.folder / name).mkdir(mode=mode)
        drop_ins = self.folder / "config" / "policy.d"
        drop_ins.mkdir()
        text = POLICY.format(folder=self.folder)
        for kind in self.cases:
            words = ", ".join(f'"{word}"' for word in self.start_command(kind))
            text += SERVICE_POLICY.format(kind=kind, folder=self.folder, start=f"[{words}]")
        text += PROBE_POLICY.format(port=self.port)
        policy = drop_ins / "50-quickstart.toml"
        policy.write_text(text)
        status, output = self.agent.tool("check", policy)
        if status != 0:
            raise QuickstartError(f"`prunella check {policy}` says:\n{output}")
        for kind in self.cases:
            subprocess.run(self.start_command(kind), check=True, stdin=subprocess.DEVNULL)
        say(f"state folder {self.folder}; three services run, the HTTP one on 127.0.0.1:{self.port}")

    def start_command(self, kind: str) -> list[str]:
        # The agent gives its children no PATH to search: full names.
        command = [os.path.realpath(sys.executable), str(SERVICE), kind, str(self.folder / "services")]
        return [*command, str(self.port)] if kind == "web" else command

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            status = self.agent.get("/v1/status")
            waits = status["held"]
            if status["units_seen"] >= len(self.cases) and waits is None and answers(self.port):
                break
            if time.monotonic() > deadline:
                why = waits["why"] if waits else status["units_lost"] or f"it sees {status['units_seen']} units"
                raise QuickstartError(f"the agent was not ready within {READY_SECONDS} s: {why}")
            time.sleep(0.1)
        self.seen = self.newest_record()
        version = status["agent"]["version"]
        say(f"prunellad {version} watches {status['units_seen']} services, service manager: {status['agent']['manager']}")

    def newest_record(self) -> int:
        newest = 0
        while page := self.agent.records(newest):
            newest = page[-1]["seq"]
        return newest

    def show_host(self) -> None:
        """Which parts of the host can't be used: the agent's own word."""
        _, output = self.agent.tool("--socket", self.agent.socket, "--json", "doctor")
        checks = [check for check in json.loads(output)["checks"] if check["name"] not in OF_AN_INSTALLATION]
        unusable = [check for check in checks if check["state"] != "ok"]
        say(f"prunella doctor: {len(checks) - len(unusable)} parts of this host can be used in full"
            + (", these can't:" if unusable else ""))
        for check in unusable:
            show(f"{check['name']}: {check['found']}; {check['consequence']}", f"    {check['state']:9}")

    def pid(self, kind: str) -> int | None:
        """The process of the service, when it is really ours: pid files get old."""
        try:
            pid = int((self.folder / "services" / f"{kind}.pid").read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if str(self.folder / "services").encode() in words else None

    def inject(self, kind: str, harm) -> None:
        pid = self.pid(kind)
        if pid is None:
            raise QuickstartError(f"the service {kind} was not running before its fault")
        case = self.cases[kind]
        case.broken_at = time.time()
        harm(pid)
        began = time.monotonic()
        threading.Thread(target=self.watch, args=(case, pid, began), daemon=True).start()

    def watch(self, case: Case, old: int, began: float) -> None:
        """Finds out from outside when the service is there again: another process, and an answer from it."""
        while time.monotonic() - began < REPAIR_SECONDS and case.kind != "flaky":
            pid = self.pid(case.kind)
            if pid not in (None, old) and (case.kind != "web" or answers(self.port)):
                case.repaired = time.monotonic() - began
                return
            time.sleep(LOOK_SECONDS)

    def follow(self, kind: str, done, seconds: float = REPAIR_SECONDS, must: bool = True) -> None:
        """Shows records as they come, until `done` says so."""
        case = self.cases[kind]
        deadline = time.monotonic() + seconds
        while not done(case):
            if time.monotonic() > deadline:
                if must:
                    raise QuickstartError(f"the fault of {case.unit} was not dealt with within {seconds:.0f} s")
                return
            for record in self.agent.records(self.seen):
                self.seen = record["seq"]
                self.take(case, record)

    def take(self, case: Case, record: dict) -> None:
        """One record: into the case it belongs to, and onto the screen."""
        body = record["entry"]["body"]
        kind = body["record"]
        incident, action = body.get("incident"), body.get("action")
        if kind == "incident-opened" and body["subject"] == {"unit": case.unit}:
            case.incidents.add(incident)
            case.detected = case.detected or case.after(record)
        elif incident not in case.incidents and action not in case.actions:
            return
        text = kind.replace("-", " ")
        if kind == "incident-opened":
            case.finding = body["finding"]["what"]
            text = f"incident {incident}: {case.finding}"
        elif kind == "held":
            refusal = body["refusal"]
            case.held[refusal["guard"]] = case.held.get(refusal["guard"], 0) + 1
            text = f"guard {refusal['guard']} says no to {body['remedy']}: {refusal['why']}"
        elif kind == "intended":
            case.actions.add(action)
            case.attempts += 1
            text = f"permitted, attempt {body['attempt']}: {body['remedy']}"
            if body["why"] != case.finding:
                text += f", {body['why']}"
        elif kind == "applied":
            text = f"carried out: {body['applied']['applied']} {body['applied'].get('why', '')}"
        elif kind == "verified":
            verdict = body["verification"]
            text = f"{verdict['verification']}: {verdict['why']}"
            if verdict["verification"] == "confirmed":
                case.verified = case.after(record)
        elif kind == "incident-resolved":
            case.end = body["how"]
            text = f"resolved, {body['how']}: {body['why']}"
        elif kind == "escalated":
            case.escalations += 1
            case.end = "escalated"
            text = f"ESCALATED as a {body['severity']}: {body['why']}"
        show(case.relative(text.strip()), f"    +{case.after(record):6.2f} s  ")

    def table(self) -> None:
        rows = [["incident", "what", "detected", "repaired", "verified", "end"]]
        for case in self.cases.values():
            times = [seconds_text(value) for value in (case.detected, case.repaired, case.verified)]
            rows.append([" ".join(sorted(case.incidents)), f"{case.kind}: {case.fault}", *times, case.end])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        rows.insert(1, ["-" * width for width in widths])
        guards = [None, None, *(case.guards() for case in self.cases.values())]
        print()
        for row, verdicts in zip(rows, guards):
            print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
            if verdicts:
                show(verdicts, " " * (widths[0] + 4) + "guards: ")
        print()
        show("Seconds after the fault. 'detected' and 'verified' are the agent's own records. 'repaired' was seen "
             "from outside: a new process and, for the HTTP service, its answer. A service with a pid file counts as "
             "failed 1.2 s after its process ended, for its stop script may be about to remove the file.", "  ")

    def judge(self) -> bool:
        """Whether it went as the help says it would; and the ledger holds."""
        complaints = []
        for kind in ["worker", "web"]:
            if self.cases[kind].end != "repaired" or self.cases[kind].verified is None:
                complaints.append(f"{kind}: not repaired and verified, but {self.cases[kind].end}")
        if self.cases["flaky"].escalations != 1:
            complaints.append(f"flaky: {self.cases['flaky'].escalations} escalations, there must be exactly one")
        status, output = self.agent.tool("verify-ledger", self.folder / "state")
        if status != 0:
            complaints.append("prunella verify-ledger failed")
        print()
        show(f"prunella verify-ledger: {output}", "  ")
        print()
        for complaint in complaints:
            print(f"  NOT AS IT SHOULD BE: {complaint}")
        if not complaints:
            print("  Two faults repaired and verified, one given up and escalated once.")
        return not complaints

    def clean_up(self) -> None:
        """Ends everything that this script started."""
        self.agent.stop()
        for kind in self.cases:
            # The agent is gone: nobody starts them again. A stopped process takes SIGKILL all the same.
            pid = self.pid(kind)
            if pid is not None:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=ANSWER_SECONDS) as answer:
            return answer.status == 200
    except OSError:
        return False


def free_port() -> int:
    """One that is free now; nobody else is told of it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def seconds_text(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def say(text: str) -> None:
    show(text, "==> ")


def show(text: str, head: str) -> None:
    """Prints behind a head, wrapped under itself."""
    print(textwrap.fill(text, COLUMNS - 1, initial_indent=head, subsequent_indent=" " * len(head),
                        break_long_words=False, break_on_hyphens=False), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binaries", type=Path, required=True)
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    if options.dir:
        options.dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(options.dir.iterdir()):
            print(f"quickstart: {options.dir} is not empty", file=sys.stderr)
            return 1
    folder = (options.dir or Path(tempfile.mkdtemp(prefix="prunella-quickstart-"))).resolve()
    keep = options.keep or options.dir is not None
    # An interrupted run cleans up as well.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    demonstration = None
    good = False
    try:
        demonstration = Demonstration(options.binaries.resolve(), folder)
        good = demonstration.run()
    except (QuickstartError, OSError, subprocess.SubprocessError) as error:
        print(f"quickstart: {error}", file=sys.stderr)
        log = folder / "agent.log"
        if log.exists():
            print("quickstart: the agent's last words:", file=sys.stderr)
            print("\n".join(log.read_text(errors="replace").splitlines()[-20:]), file=sys.stderr)
    except KeyboardInterrupt:
        print("quickstart: interrupted", file=sys.stderr)
    finally:
        if demonstration:
            demonstration.clean_up()
        if keep:
            cli = options.binaries.resolve() / "prunella"
            print(f"Kept: {folder}\n  {cli} verify-ledger {folder / 'state'}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
