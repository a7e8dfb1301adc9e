"""Makes rotated logs: room.py FOLDER LOGS OF_EACH KIB

LOGS logs called appN.log, each with OF_EACH rotated files of KIB KiB, the newest called .1, all of them days old; and
beside each a live log that was just written to.
"""
import os
import sys
import time

folder, logs, of_each, kib = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
DAY = 86400
now = time.time()
block = b"a line of a log that nobody has read for long\n" * 32
for log in range(logs):
    for number in range(of_each + 1):
        name = "%s/app%d.log%s" % (folder, log, ".%d" % number if number else "")
        with open(name, "wb") as out:
            left = kib * 1024
            while left > 0:
                left -= out.write(block[:left])
        if number:
            age = now - (number + 1) * DAY
            os.utime(name, (age, age))
