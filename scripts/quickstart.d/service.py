#!/usr/bin/env python3
"""The three services of scripts/quickstart: `service.py KIND FOLDER [PORT]` starts one in the background.

It writes its process id to FOLDER/KIND.pid, as daemons do; the caller returns as soon as that is there.
"""

import http.server
import os
import sys
import time
from pathlib import Path

DIES_AFTER = 0.3  # seconds; a start that looks good at first


class Healthy(http.server.BaseHTTPRequestHandler):
    """Answers every GET with 200."""

    def do_GET(self) -> None:
        body = b"well\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def serve(kind: str, folder: Path, port: int) -> None:
    """The service itself; never returns while it is well."""
    if kind == "web":
        # Reused at once: the one before it may have died with connections open.
        http.server.HTTPServer(("127.0.0.1", port), Healthy).serve_forever()
    broken = folder / "broken"
    if kind == "flaky" and broken.exists():
        time.sleep(DIES_AFTER)
        print("flaky: fatal: configuration key 'listen' is missing", file=sys.stderr, flush=True)
        sys.exit(1)
    while True:
        time.sleep(60)


def main() -> None:
    kind, folder = sys.argv[1], Path(sys.argv[2])
    port = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    if os.fork():
        # The starter: its end is the word that the service has begun.
        pid_file = folder / f"{kind}.pid"
        os.wait()
        sys.exit(0 if pid_file.exists() else 1)
    os.setsid()
    second = os.fork()
    if second:
        new = folder / f"{kind}.pid.new"
        new.write_text(f"{second}\n")
        new.rename(folder / f"{kind}.pid")
        os._exit(0)
    log = os.open(folder / f"{kind}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    serve(kind, folder, port)


if __name__ == "__main__":
    main()
