"""Writes numbered lines to a log: archive.py LOG RATE_KIB HOW STATE

HOW is append, or own (its own place in the file). SIGHUP makes it open its log anew. Once a second STATE gets a line: how
many lines were written whole, and how many writes failed for want of room. What failed is written again. Ends when
STATE.stop is there.
"""
import errno
import os
import signal
import sys
import time

log, rate, how, state = sys.argv[1], int(sys.argv[2]) * 1024, sys.argv[3], sys.argv[4]
flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if how == "append" else 0)
out = os.open(log, flags, 0o640)
told_to_open = []
# Taken up between two lines, as a service does.
signal.signal(signal.SIGHUP, lambda *_: told_to_open.append(True))
number, failed, told = 0, 0, 0.0
begun = time.monotonic()
written = 0
while True:
    now = time.monotonic()
    over = os.path.exists(state + ".stop")
    if over or now - told >= 1.0:
        with open(state + ".new", "w") as out_state:
            out_state.write("%d %d\n" % (number, failed))
        os.rename(state + ".new", state)
        told = now
        if over:
            sys.exit(0)
    if told_to_open:
        told_to_open.clear()
        os.close(out)
        out = os.open(log, flags, 0o640)
    ahead = written - (now - begun) * rate
    if ahead > 0:
        time.sleep(min(ahead / rate, 0.05))
        continue
    block = b"".join(b"%12d a line that somebody wrote, of no great length\n" % n for n in range(number, number + 64))
    done = 0
    while done < len(block):
        try:
            done += os.write(out, block[done:])
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            failed += 1
            time.sleep(0.05)
    number += 64
    written += len(block)
