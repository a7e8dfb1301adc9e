"""A service that writes its log for ever, what else fills disks, and a clock on how full one is. All run until they are
stopped, unless it says otherwise; what they have to say they write to RESULT as one JSON object.

fills.py write FOLDER MB_PER_SECOND RESULT    numbered lines to app.log, which is opened once, to be appended to
fills.py spool FOLDER RESULT                  makes a small file and removes it, ten times a second
fills.py hold FILE BYTES                      holds a file open that is deleted
fills.py data FILE PERCENT                    ends when so much of the room is in use; at 100 not a byte is left
fills.py crowd FOLDER                         ends when not one more file can be made
fills.py watch FOLDER space|inodes RAISE CLEAR RESULT
                                              ends when it has been above RAISE percent in use and is below CLEAR again
"""
import errno
import os
import signal
import sys
import time

LINE = 512
BATCH = 128
# What a pause has missed is not made up for, but for so much.
MOST = 4 << 20
TICK = 0.01
LOOK = 0.02
SPOOL = 0.1
WORDS = b"GET /shop/basket/item customer session checkout 200 OK from 10.0.0.7 in 12 ms, cache hit, "
stopped = []


def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME) * 1000


def say(result, **what):
    with open(result + ".new", "w") as out:
        out.write("{" + ", ".join('"%s": %.3f' % pair for pair in what.items()) + "}")
    os.rename(result + ".new", result)


def level(folder, what="space"):
    """In percent, as df counts; and bytes and inodes that are free to root."""
    room = os.statvfs(folder)
    free = room.f_bfree * room.f_frsize, room.f_ffree
    if what == "inodes":
        return 100 * (room.f_files - room.f_ffree) / max(1, room.f_files), free
    taken = room.f_blocks - room.f_bfree
    return 100 * taken / (taken + room.f_bavail), free


def write(folder, rate, result):
    text = (WORDS * LINE)[: 3 * LINE]
    begun, rate = time.monotonic(), float(rate) * 1e6
    # Bytes that were due so far, and what came of them; whether the last line has an end.
    issued = number = written = failed = lost = torn = 0
    until_failed = log = None
    while not stopped:
        try:
            log = log or os.open(folder + "/app.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            failed += 1
            time.sleep(SPOOL)
            continue
        due = int((time.monotonic() - begun) * rate) - issued
        if due > MOST:
            issued += due - MOST
        while due >= LINE * BATCH and not stopped:
            lines = range(number, number + BATCH)
            batch = b"".join(b"%012d %s\n" % (it, text[it % LINE:it % LINE + LINE - 14]) for it in lines)
            number += BATCH
            issued += len(batch)
            due -= len(batch)
            done = 0
            try:
                while done < len(batch):
                    done += os.write(log, batch[done:])
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                failed += 1
                lost += BATCH - done // LINE
                torn += done % LINE > 0
                until_failed = until_failed or (time.monotonic() - begun, written + done)
            written += done
        time.sleep(TICK)
    seconds, by_then = until_failed or (time.monotonic() - begun, written)
    reached = by_then / max(seconds, TICK) / 1e6
    say(result, lines=number - lost, lost=lost, torn=torn, failed=failed, written=written, reached=reached)


def spool(folder, result):
    number = failed = 0
    while not stopped:
        number += 1
        path = "%s/job-%d" % (folder, number)
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
            os.unlink(path)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            failed += 1
        time.sleep(SPOOL)
    say(result, lines=number - failed, lost=failed, torn=0, failed=failed, written=0, reached=0)


def put(file, size):
    """As much of it as there is room for: what df says is available, btrfs has not always."""
    done = 0
    try:
        while done < size:
            done += os.write(file, b"x" * min(1 << 20, size - done))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def hold(path, size):
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    os.unlink(path)
    put(file, int(size))
    while not stopped:
        time.sleep(SPOOL)


def data(path, percent):
    file, percent = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), float(percent)
    try:
        # What was allocated late, and what metadata takes, shows on the way.
        while percent >= 100 or level(os.path.dirname(path))[0] < percent:
            put(file, 1 << 20)
        os.fsync(file)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def crowd(folder):
    os.makedirs(folder)
    number = 0
    try:
        while True:
            os.close(os.open("%s/%d" % (folder, number), os.O_WRONLY | os.O_CREAT, 0o644))
            number += 1
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def watch(folder, what, raised, clear, result):
    crossed = cleared = -1
    freed, inodes, peak = 0, 0, 0.0
    _, before = level(folder, what)
    while not stopped and cleared < 0:
        used, free = level(folder, what)
        if crossed < 0 and used > float(raised):
            crossed = now()
        if crossed >= 0:
            # What others take meanwhile is not set off against it.
            freed, inodes = freed + max(0, free[0] - before[0]), inodes + max(0, free[1] - before[1])
            cleared = now() if used < float(clear) else -1
        peak, before = max(peak, used), free
        time.sleep(LOOK)
    say(result, crossed=crossed, cleared=cleared, freed=freed, inodes=inodes, peak=peak, ended=now())


signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
{"write": write, "spool": spool, "hold": hold, "data": data, "crowd": crowd, "watch": watch}[sys.argv[1]](*sys.argv[2:])
