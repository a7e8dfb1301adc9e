"""Mounts a small FUSE file system and serves it, until it is stopped.

fuse.py POINT     an empty folder with a gigabyte of room

Whoever stops this program by SIGSTOP has a file system that hangs: its requests are taken by nobody. The kernel's side
of what it speaks is include/uapi/linux/fuse.h.
"""

import errno
import os
import struct
import subprocess
import sys

GETATTR, STATFS, INIT, DESTROY = 3, 17, 26, 38
SILENT = {2, 36, 42}  # forget, interrupt, forget many: nobody waits for an answer
REQUEST_BYTES = 1 << 17  # more than max_write and the headers
ROOM = struct.pack("<5Q4I24x", 262144, 131072, 131072, 1000, 900, 4096, 255, 4096, 0)
FOLDER = struct.pack("<QII6Q10I", 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0)


def answer(opcode, body):
    """The error, or what is told."""
    if opcode == INIT:
        readahead = struct.unpack_from("<3I", body)[2]
        return 0, struct.pack("<4I2H2I2H8I", 7, 31, readahead, 0, 1, 1, 4096, 1, 1, *[0] * 9)
    if opcode == GETATTR:
        return 0, FOLDER
    if opcode == STATFS:
        return 0, ROOM
    if opcode == DESTROY:
        return 0, b""
    return -errno.ENOSYS, b""


def main(point):
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0"
    subprocess.run(["mount", "-i", "-t", "fuse.toy", "-o", options, "toy", point], pass_fds=[device], check=True)
    while True:
        try:
            request = os.read(device, REQUEST_BYTES)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return  # unmounted
            if error.errno in (errno.EINTR, errno.ENOENT):
                continue  # a request that was taken back
            raise
        _, opcode, unique = struct.unpack_from("<IIQ", request)
        if opcode not in SILENT:
            error, told = answer(opcode, request[40:])
            os.write(device, struct.pack("<IiQ", 16 + len(told), error, unique) + told)


main(sys.argv[1])
