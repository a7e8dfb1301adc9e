"""The agent as scripts/quickstart sees it: a process of ours, a Unix socket, records as they come."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

START_SECONDS = 20  # until the socket answers
STOP_SECONDS = 15  # between SIGTERM and SIGKILL
CALL_SECONDS = 70  # a long poll lasts up to 60
POLL_SECONDS = 1  # of one long poll: how soon a deadline of ours is noticed
SOCKET_PATH_MAX = 107  # bytes of sun_path without its NUL, unix(7)


class QuickstartError(Exception):
    """What went wrong, in a sentence for the user."""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=CALL_SECONDS)
        self.unix_path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.unix_path))


class Agent:
    """`prunellad` over a folder of its own."""

    def __init__(self, binaries: Path, folder: Path, prefix: tuple[str, ...] = ()) -> None:
        self.prefix = prefix  # words before the command that starts it
        self.cli = binaries / "prunella"
        self.program = binaries / "prunellad"
        self.folder = folder
        self.socket = folder / "run" / "prunella.sock"
        self.log = folder / "agent.log"
        self.process: subprocess.Popen | None = None
        if len(str(self.socket)) > SOCKET_PATH_MAX:
            raise QuickstartError(f"the folder's name is too long for a socket: {folder}")

    def start(self, look_seconds: float = 0.1) -> None:
        """Until it answers; it is asked that often."""
        command = [*self.prefix, self.program,
                   "--state-dir", self.folder / "state", "--runtime-dir", self.folder / "run",
                   "--config", self.folder / "config", "--manager", "direct", "--log", "info"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while True:
            self.check_alive()
            try:
                self.get("/v1/status")
                return
            except (OSError, http.client.HTTPException):
                if time.monotonic() > deadline:
                    raise QuickstartError(f"the agent did not answer within {START_SECONDS} s") from None
                time.sleep(look_seconds)

    def check_alive(self) -> None:
        if self.process and self.process.poll() is not None:
            raise QuickstartError(f"the agent ended with exit status {self.process.returncode}")

    def stop(self) -> None:
        """Ends it, kindly and then not."""
        if not self.process or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def get(self, path: str) -> dict:
        connection = UnixConnection(self.socket)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise QuickstartError(f"GET {path}: {answer.status} {body.decode(errors='replace').strip()}")
        return json.loads(body)

    def records(self, after: int) -> list[dict]:
        """The records behind `after`; waits a moment for the first."""
        self.check_alive()
        return self.get(f"/v1/records?after={after}&limit=200&wait={POLL_SECONDS}")["records"]

    def tool(self, *words: object) -> tuple[int, str]:
        """Exit status and output of the CLI."""
        done = subprocess.run([str(word) for word in (self.cli, *words)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env={**os.environ, "NO_COLOR": "1"}, timeout=60)
        return done.returncode, done.stdout.rstrip()
