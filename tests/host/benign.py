"""What hosts do all the time, and is no fault; each brings its file system to so many percent in use, as df counts.

benign.py step FILE PERCENT             one file, its room taken at once, as databases do it
benign.py even FILE PERCENT SECONDS     one file, written evenly, as a backup over a slow link
benign.py upgrade FOLDER PERCENT        many small files in folders, all of which are removed again
benign.py data FOLDER PERCENT FILES     files that are old, and whose names say that they are no logs
"""
import os
import shutil
import sys
import time

TICK = 0.1
DAY = 86400
# Of an upgrade: files of so many bytes, so many in a folder, and a pause after each folder.
SMALL, OF_A_FOLDER, UNPACKED = 48 << 10, 64, 0.25
# Some are called like a log that was rotated, but for one sign.
NAMES = ("ibdata%d", "mysql-bin.%06d", "orders.db-%d", "photo-%d.jpeg", "archive-%d.tar", "app.log.%d.keys")


def left(folder, percent):
    """Bytes until so much is in use."""
    room = os.statvfs(folder)
    used = room.f_blocks - room.f_bfree
    return int((used + room.f_bavail) * percent / 100 - used) * room.f_frsize


def take(path, size):
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    os.posix_fallocate(file, 0, size)
    os.close(file)


def step(path, percent):
    take(path, left(os.path.dirname(path), float(percent)))


def even(path, percent, seconds):
    file, wanted = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644), left(os.path.dirname(path), float(percent))
    begun, written = time.monotonic(), 0
    a_tick = int(wanted * TICK / float(seconds))
    while written < wanted:
        # Not a byte more after a pause: what was missed is late, and not a burst.
        written += os.write(file, b"x" * min(a_tick, wanted - written))
        time.sleep(TICK)
    os.fsync(file)


def upgrade(folder, percent):
    number = 0
    while left(os.path.dirname(folder), float(percent)) > 0:
        package = "%s/%03d" % (folder, number)
        os.makedirs(package)
        for file in range(OF_A_FOLDER):
            with open("%s/%d" % (package, file), "wb") as out:
                out.write(b"x" * SMALL)
        number += 1
        time.sleep(UNPACKED)
    os.sync()
    shutil.rmtree(folder)


def data(folder, percent, files):
    os.makedirs(folder, exist_ok=True)
    size = left(folder, float(percent)) // int(files)
    for number in range(int(files)):
        path = "%s/%s" % (folder, NAMES[number % len(NAMES)] % number)
        take(path, size)
        age = time.time() - (number + 2) * DAY
        os.utime(path, (age, age))


{"step": step, "even": even, "upgrade": upgrade, "data": data}[sys.argv[1]](*sys.argv[2:])
