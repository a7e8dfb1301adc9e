"""Makes a fault on this host and measures, on its own clocks, without the time that it takes to get in.

fault.py signal NAME UNIT…     sends SIGNAL to the main process of each, one right after the other
fault.py restarts UNIT N       how long N bare `systemctl restart` take
fault.py bare UNIT PORT        how long a bare `systemctl restart` takes until the service answers
fault.py silence UNIT PORT     SIGSTOP, then asks the port until the service answers again
fault.py serve PORT            is a small HTTP server, the service that falls silent
fault.py wait-active UNIT…     until all are active
fault.py exhaust UNIT          a job that takes all memory, until the kernel kills it
fault.py fill                  is that job

Prints one JSON object: times in milliseconds of CLOCK_BOOTTIME, durations in milliseconds. The hosts have Debian's
minimal Python, without `json` and `http`.
"""

import os
import signal
import socket
import subprocess
import sys
import time

PATIENCE_SECONDS = 250  # thirty repairs, one after another, on an emulated processor
ANSWER_SECONDS = 0.5
LOOK_SECONDS = 0.01
# Where systemd keeps units: alone, or among the hierarchies of version 1.
GROUPS = next(path for path in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup") if os.path.isdir(path))
FILL_BYTES = 4 << 20
FILL_SECONDS = 0.02


def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME) * 1000


def show(prop, units):
    out = subprocess.run(["systemctl", "show", "-P", prop, *units], check=True, capture_output=True, text=True)
    return [line for line in out.stdout.splitlines() if line]


def send(number, units):
    pids = [int(pid) for pid in show("MainPID", units)]
    assert len(pids) == len(units) and all(pids), f"not all of {units} run: {pids}"
    at = now()
    for pid in pids:
        os.kill(pid, number)
    return at, now()


def active_since(units):
    """When each was last activated, once all are active."""
    to_boot = now() - time.monotonic() * 1000
    return [int(micros) / 1000 + to_boot for micros in show("ActiveEnterTimestampMonotonic", units)]


def until(what, is_so):
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < end, f"waited {PATIENCE_SECONDS} s in vain for {what}"
        time.sleep(LOOK_SECONDS)


def all_have_processes(units):
    """Costs next to nothing, so that the repair has the host to itself; a system service, by its control group."""
    for unit in units:
        try:
            with open(f"{GROUPS}/system.slice/{unit}.service/cgroup.procs") as group:
                if not group.read():
                    return False
        except OSError:
            return False
    return True


def all_active(units):
    return show("ActiveState", units) == ["active"] * len(units)


def restarts(unit, count):
    took = []
    for _ in range(int(count)):
        begin = time.monotonic()
        subprocess.run(["systemctl", "restart", unit], check=True)
        took.append((time.monotonic() - begin) * 1000)
    return {"took": took}


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", int(port)), timeout=ANSWER_SECONDS) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return peer.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def serve(port):
    with socket.create_server(("127.0.0.1", int(port))) as server:
        while True:
            peer, _ = server.accept()
            with peer:
                try:
                    peer.settimeout(ANSWER_SECONDS)
                    print(peer.recv(4096).split(b"\r\n")[0].decode(), flush=True)
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")
                except OSError:
                    pass  # the client went away


def fill():
    """A little more every moment: nothing that a program could not do by mistake."""
    held = []
    while True:
        held.append(bytearray(b"x") * FILL_BYTES)
        time.sleep(FILL_SECONDS)


def exhaust(unit):
    me = os.path.abspath(__file__)
    # A job that fails is not started again by anybody.
    job = ["systemd-run", "--quiet", "--no-block", "--unit", unit, "-p", "Type=oneshot", "-p", "OOMScoreAdjust=1000"]
    at = now()
    subprocess.run([*job, "python3", me, "fill"], check=True)
    until(f"{unit} to be killed", lambda: show("ActiveState", [unit]) == ["failed"])
    (exited,) = show("ExecMainExitTimestampMonotonic", [unit])
    return {"at": at, "killed": int(exited) / 1000 + now() - time.monotonic() * 1000}


def main(verb, *args):
    if verb == "fill":
        fill()
    if verb == "exhaust":
        return exhaust(*args)
    if verb == "serve":
        serve(*args)
    if verb == "restarts":
        return restarts(*args)
    if verb == "wait-active":
        until(f"{args} to be active", lambda: all_active(args))
        return {"active": active_since(args)}
    if verb == "bare":
        unit, port = args
        begin = now()
        subprocess.run(["systemctl", "restart", unit], check=True)
        until(f"{unit} to answer", lambda: answers(port))
        return {"took": now() - begin}
    if verb == "silence":
        unit, port = args
        until(f"{unit} to answer before the fault", lambda: answers(port))
        at, _ = send(signal.SIGSTOP, [unit])
        until(f"{unit} to answer", lambda: answers(port))
        return {"at": at, "answered": now()}
    if verb == "signal":
        number, *units = args
        before = active_since(units)
        at, end = send(signal.Signals[number], units)
        until(f"{units} to be up again", lambda: all_have_processes(units) and all_active(units) and all(
            after > then + 1 for then, after in zip(before, active_since(units))))
        return {"at": at, "end": end, "active": active_since(units)}
    raise SystemExit(__doc__)


# Numbers and lists of numbers look the same in JSON.
print("{" + ", ".join(f'"{name}": {value}' for name, value in main(*sys.argv[1:]).items()) + "}")
