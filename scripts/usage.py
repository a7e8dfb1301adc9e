"""What the kernel counted for a process and its children: for scripts/bench and scripts/idle-cost.

As a program, `usage.py NAME=PID...`, for a guest that has python3-minimal alone (no dataclasses, no json): prints
`COUNTER NUMBER` lines, with times in microseconds. `NAME.cpu` is that of the unit that the process runs in; all else
is of the last process named.
"""

import os
import sys
import time

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
MEMORY = {"Pss": "pss", "Rss": "rss", "Private_Dirty": "private_dirty"}


class Usage:
    """One reading. Memory in KiB, of all processes together."""

    def __init__(self) -> None:
        self.at_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self.cpu_ns = 0
        self.memory = dict.fromkeys(MEMORY.values(), 0)
        self.wakeups: dict[tuple[int, str], int] = {}  # by thread and its name

    def cpu_percent_since(self, before: "Usage") -> float:
        """Share of one core."""
        return 100 * (self.cpu_ns - before.cpu_ns) / (self.at_ns - before.at_ns)

    def wakeups_per_second_since(self, before: "Usage") -> float:
        """Those of threads that are there still."""
        times = sum(times - before.wakeups.get(thread, 0) for thread, times in self.wakeups.items())
        return times * 1e9 / (self.at_ns - before.at_ns)


def usage(root: int) -> Usage:
    """Of a process with all that descend from it. One that ends meanwhile is left out: its parent counts its time."""
    reading = Usage()
    for pid in tree(root):
        try:
            add(reading, pid)
        except OSError:
            continue
    return reading


def add(reading: Usage, pid: int) -> None:
    reading.cpu_ns += cpu_ns(pid)
    for line in text(f"/proc/{pid}/smaps_rollup").splitlines():
        name, _, rest = line.partition(":")
        if name in MEMORY:
            reading.memory[MEMORY[name]] += int(rest.split()[0])
    for thread in os.listdir(f"/proc/{pid}/task"):
        status = text(f"/proc/{pid}/task/{thread}/status").splitlines()
        name = status[0].split(None, 1)[1]
        # A thread that gives way and then runs again was woken; one that was pushed aside was not.
        woken = next(line for line in status if line.startswith("voluntary_ctxt_switches"))
        reading.wakeups[int(thread), name] = int(woken.split()[1])


def cpu_ns(pid: int) -> int:
    """CPU time of a process, its ended threads and its reaped children; theirs in ticks."""
    # The number of another process's CPU clock, as clock_getcpuclockid(3) makes it: to the nanosecond.
    own = time.clock_gettime_ns((~pid << 3) | 2)
    fields = text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return own + (int(fields[13]) + int(fields[14])) * TICK_NS


def unit_cpu_ns(pid: int) -> int:
    """CPU time of the unit that a process runs in: the cgroup's own count, else the process's."""
    for line in text(f"/proc/{pid}/cgroup").splitlines():
        if line.startswith("0::"):
            try:
                counted = text(f"/sys/fs/cgroup{line[3:]}/cpu.stat").splitlines()
            except OSError:
                break
            return next(int(row.split()[1]) * 1000 for row in counted if row.startswith("usage_usec "))
    return cpu_ns(pid)


def tree(root: int) -> list[int]:
    """The process and all that descend from it."""
    found, at = [root], 0
    while at < len(found):
        found += children(found[at])
        at += 1
    return found


def children(pid: int) -> list[int]:
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            found += [int(word) for word in text(f"/proc/{pid}/task/{thread}/children").split()]
    except OSError:
        pass
    return found


def text(path: str) -> str:
    with open(path, errors="replace") as file:
        return file.read()


def main() -> None:
    print("at", time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000)
    # systemctl says 0 of a unit that does not run.
    named = [(name, int(pid)) for name, _, pid in (word.partition("=") for word in sys.argv[1:])]
    for name, pid in named:
        if pid:
            print(f"{name}.cpu", unit_cpu_ns(pid) // 1000)
    name, pid = named[-1]
    if not pid:
        return
    reading = usage(pid)
    print(f"{name}.wakeups", sum(reading.wakeups.values()))
    print(f"{name}.threads", len(reading.wakeups))
    for kind, kib in reading.memory.items():
        print(f"{name}.{kind}", kib)
    for (thread, comm), times in reading.wakeups.items():
        print(f"{name}.thread:{comm}:{thread}", times)


if __name__ == "__main__":
    main()
