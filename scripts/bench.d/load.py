"""The processes and cgroups that are there while scripts/bench measures. None of them outlives it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

BUSY = 25  # processes that work 3 ms each second: see examples/bench_load.rs
SPARE_PIDS = 1_000  # for all else on the machine
PROCESS_KIB = 160  # measured: 90 to 130 KiB of the kernel's own memory for each that was forked
MADE_SECONDS = 120  # on a busy machine ten thousand take some ten seconds
# Before a command: the kernel ends it with this program, however that ends (util-linux).
BOUND = ("setpriv", "--pdeathsig=KILL", "--") if shutil.which("setpriv") else ()


class NotHere(Exception):
    """Why something can't be had on this machine, in a sentence."""


class Load:
    """So many idle processes, and some busy ones, for the length of a `with` block."""

    def __init__(self, program: Path, idle: int) -> None:
        self.program, self.idle = program, idle
        self.some: list[int] = []  # pids of a few idle ones

    def __enter__(self) -> "Load":
        refuse_more_than_fit(self.idle + BUSY)
        # It ends when its standard input does, however this program ends.
        self.process = subprocess.Popen([str(self.program), str(self.idle), str(BUSY)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        said = json.loads(line) if line else {"error": "it ended without a word"}
        if "error" in said:
            self.__exit__()
            raise NotHere(f"only {said.get('made', 0):,} processes could be made: {said['error']}")
        self.some = said["some"]
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(MADE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()  # the kernel ends its children with it
            self.process.wait()
        self.process.stdout.close()


def refuse_more_than_fit(count: int) -> None:
    """Raises NotHere rather than bring the machine into need."""
    limits = {name: number(Path("/proc/sys/kernel") / name) for name in ("pid_max", "threads-max")}
    limits |= {str(path): number(path) for path in pids_limits()}
    used = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
    for name, limit in limits.items():
        if limit is not None and count + used + SPARE_PIDS > limit:
            raise NotHere(f"{name} is {limit:,}, and {used:,} threads run already")
    free = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemAvailable"))
    if count * PROCESS_KIB > free * 0.7:
        raise NotHere(f"{count:,} processes would take {count * PROCESS_KIB >> 10} MiB of {free >> 10} that are free")


def pids_limits() -> list[Path]:
    """Files of the limits that this process's own cgroups set, of either version."""
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "pids"):
            continue
        base = Path("/sys/fs/cgroup") / controllers
        while path != "/":
            found.append(base / path.strip("/") / "pids.max")
            path = os.path.dirname(path)
    return found


def number(path: Path) -> int | None:
    """None where there is no such limit."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def unified() -> Path | None:
    """Where cgroup v2 is mounted."""
    mounts = (line.split() for line in open("/proc/self/mounts"))
    return next((Path(words[1]) for words in mounts if words[2] == "cgroup2"), None)


def remove_groups_of(unit: str) -> None:
    """Those that the direct manager keeps for a service which is no more."""
    mount = unified()
    for group in mount.rglob(f"prunella.services/*/{unit}") if mount else []:
        try:
            group.rmdir()
            group.parent.rmdir()
        except OSError:
            continue  # another's, with something in it


class Groups:
    """So many empty cgroups in a folder of their own, for the length of a `with` block."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.folder: Path | None = None
        self.why = ""  # there is none

    def __enter__(self) -> "Groups":
        mount = unified()
        if mount is None:
            self.why = "no cgroup v2 is mounted"
            return self
        own = next(line for line in open("/proc/self/cgroup") if line.startswith("0::"))[3:].strip()
        folder = mount / own.strip("/") / f"prunella-bench-{os.getpid()}"
        try:
            folder.mkdir()
            self.folder = folder
            for at in range(self.count):
                (folder / f"group-{at}").mkdir()
        except OSError as error:
            self.__exit__()
            self.why = f"cgroups can't be made: {error}"
        return self

    def __exit__(self, *_: object) -> None:
        if self.folder is None:
            return
        for group in self.folder.glob("group-*"):
            group.rmdir()
        self.folder.rmdir()
        self.folder = None
