"""Talks to the agent's socket as another user.

peer.py ask USER METHOD PATH       the status of the answer
peer.py crowd USER N OTHER         N connections of USER that never finish their request; then the status that
                                   one more of theirs gets, and the one that OTHER gets

Credentials are taken when connecting; a process that has become a user can't become another, so that each has one of
its own. Debian's minimal Python has neither `json` nor `http`.
"""

import os
import pwd
import socket
import sys

SOCKET = "/run/prunella/prunella.sock"
ANSWER_SECONDS = 20
PAUSE = '{"scope":"agent","for":"1h","reason":"test"}'


def become(name):
    user = pwd.getpwnam(name)
    os.initgroups(name, user.pw_gid)
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)


def connect():
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(ANSWER_SECONDS)
    peer.connect(SOCKET)
    return peer


def status(peer):
    head = b""
    while b"\r\n" not in head:
        more = peer.recv(4096)
        assert more, f"closed after {head}"
        head += more
    return int(head.split()[1])


def ask(method, path):
    body = PAUSE if method == "POST" else ""
    with connect() as peer:
        kind = "content-type: application/json\r\n" if body else ""
        peer.sendall(f"{method} {path} HTTP/1.1\r\nhost: x\r\n{kind}content-length: {len(body)}\r\n\r\n{body}".encode())
        return status(peer)


def crowd(user, count, other):
    # The other one is there before, and speaks when the seats are taken.
    (wait, go), (read, tell) = os.pipe(), os.pipe()
    if os.fork() == 0:
        os.close(go)
        become(other)
        os.read(wait, 1)
        os.write(tell, str(ask("GET", "/v1/status")).encode())
        os._exit(0)
    os.close(tell)
    become(user)
    seats = [connect() for _ in range(int(count))]
    for seat in seats:
        seat.sendall(b"GET /v1/status HTTP/1.1\r\n")
    with connect() as extra:
        answer = status(extra)
    os.write(go, b"!")
    return f"extra {answer}, other {os.read(read, 16).decode()}"


verb, *args = sys.argv[1:]
if verb == "ask":
    become(args[0])
    print(ask(*args[1:]))
elif verb == "crowd":
    print(crowd(*args))
else:
    raise SystemExit(__doc__)
