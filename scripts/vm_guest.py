"""Runs in the guest of scripts/vm, one process for each virtio-serial port: exec without any network.

A session is SYNC + nonce (echoed), argv and stdin from the host; then frames of output, then "x" + exit code.
"""

import os
import select
import signal
import struct
import subprocess
import sys
import time

SYNC = b"\xff\xff\xff\xff"
ENV = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
CGROUP = "/sys/fs/cgroup/vmagent.service/"
UNIFIED = os.path.exists(CGROUP)
if not UNIFIED:  # version 1: of its hierarchies the one that bounds tasks
    CGROUP = "/sys/fs/cgroup/pids/vmagent.service/"


class Gone(Exception):
    pass


def put(path, text):
    with open(path, "w") as f:
        f.write(text)


def group(name):  # each command gets its own, with room for 500 tasks
    os.mkdir(CGROUP + name)
    put(CGROUP + name + "/pids.max", "500")
    return CGROUP + name


def kill(cgroup):
    if UNIFIED:
        return put(cgroup + "/cgroup.kill", "1")
    for _ in range(100):  # what forks meanwhile is met in the next round
        with open(cgroup + "/cgroup.procs") as f:
            pids = f.read().split()
        for pid in pids:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
        if not pids:
            return
        time.sleep(0.01)


def spawn(argv, stdin, cgroup):
    def child():
        put(cgroup + "/cgroup.procs", "0")
        put("/proc/self/oom_score_adj", "0")

    for _ in range(100):
        try:
            return subprocess.Popen(
                argv,
                stdin=stdin,
                stdout=-1,
                stderr=-1,
                env=ENV,
                cwd="/root",
                start_new_session=True,
                preexec_fn=child,
            )
        except BlockingIOError as e:
            error = e
            time.sleep(0.3)  # a fork bomb: no process to be had
        except OSError as e:
            error = e
            break
    return "vm exec: %s\n" % error


def serve(port):
    def take(n):
        data = b""
        while len(data) < n:
            more = os.read(port, min(n - len(data), 65536))
            if not more:
                raise Gone
            data += more
        return data

    def send(kind, data):
        data = kind + struct.pack(">I", len(data)) + data
        while data:
            data = data[os.write(port, data[:32768]) :]

    window = take(20)
    while window[:4] != SYNC:
        window = window[1:] + take(1)
    os.write(port, window[4:])
    argv, size = struct.unpack(">IQ", take(12))
    argv, stdin = take(argv).split(b"\0"), os.memfd_create("stdin")
    while size:
        data = take(min(size, 65536))
        os.write(stdin, data)
        size -= len(data)
    os.lseek(stdin, 0, 0)
    cgroup = group("exec-%d-%d" % (os.getpid(), time.monotonic_ns()))
    p = spawn(argv, stdin, cgroup)
    os.close(stdin)
    if isinstance(p, str):
        send(b"2", p.encode())
        return send(b"x", b"127")
    pid, out = os.pidfd_open(p.pid), {p.stdout.fileno(): b"1", p.stderr.fileno(): b"2"}

    def drain(fd):
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return False
        if data:
            send(out[fd], data)
        else:
            del out[fd]
        return data

    try:
        for fd in out:
            os.set_blocking(fd, False)
        while p.poll() is None:
            poll = select.poll()
            for fd in (pid, port, *out):
                poll.register(fd, select.POLLIN)
            for fd, _ in poll.poll():
                if fd == port:
                    raise Gone  # the host hung up, or began another session
                if fd in out:
                    drain(fd)
        for fd in list(out):
            for _ in range(17):  # the fullest pipe; what the command left behind could write for ever
                if not drain(fd):
                    break
        send(b"x", b"%d" % (p.returncode if p.returncode >= 0 else 128 - p.returncode))
    finally:
        if p.returncode is None:
            kill(cgroup)
            p.wait()
        try:
            os.rmdir(cgroup)
        except OSError:
            pass  # it left something in the background
        os.close(pid)
        p.stdout.close()
        p.stderr.close()


os.makedirs(CGROUP + "agent", exist_ok=True)
put(CGROUP + "agent/cgroup.procs", "0")
if UNIFIED:
    put(CGROUP + "cgroup.subtree_control", "+pids")
ports = []
while len(ports) < int(sys.argv[1]):
    time.sleep(0.02)
    ports = ["/dev/" + f for f in os.listdir("/dev") if f.startswith("vport")]
for path in ports:
    if os.fork() == 0:
        port, edge = os.open(path, os.O_RDWR), select.epoll()
        edge.register(port, select.EPOLLIN | select.EPOLLET)
        while True:
            try:
                serve(port)
            except Gone:
                edge.poll(2)  # level-triggered, a port without host would spin
os.wait()
sys.exit(1)
