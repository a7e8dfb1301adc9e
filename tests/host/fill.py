"""Writes a log at a steady rate until its file system is so full; says when it began, and when it ended and why.

fill.py FOLDER MIB_PER_SECOND PERCENT RESULT
"""
import os
import sys
import time

TICK = 0.02
# Between two looks at how full it is: a host that can't write so fast must not run over the end.
MOST = 4 << 20

folder, rate, percent, result = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), sys.argv[4]


def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME) * 1000


def used():
    room = os.statvfs(folder)
    taken = room.f_blocks - room.f_bfree
    return 100 * taken / (taken + room.f_bavail)


log = os.open(folder + "/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
begun, written, why = now(), 0, "enough"
while used() < percent:
    due = min(MOST, int((now() - begun) / 1000 * rate * (1 << 20)) - written)
    try:
        while due > 0:
            due -= (some := os.write(log, b"x" * min(due, 1 << 20)))
            written += some
    except OSError as error:
        why = error.strerror
        break
    time.sleep(TICK)
with open(result + ".new", "w") as out:
    out.write('{"begun": %f, "ended": %f, "written": %d, "why": "%s"}' % (begun, now(), written, why))
os.rename(result + ".new", result)
