"""The agent's peers, as Debian packages them: downloaded and unpacked, never installed."""

import http.client
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from load import BOUND, Load, NotHere
from usage import tree

APT_SECONDS = 180
STOP_SECONDS = 10  # between SIGTERM and SIGKILL
EXPORTER_PORT = 19_100  # not its usual one: the machine may have one of its own
CHECKS = 10  # processes that monit checks


@dataclass(frozen=True)
class Peer:
    """One row: a program with its settings. `command` writes what it needs into a folder and says how it is started."""

    name: str
    package: str
    program: str
    command: Callable[[Path, Path, Path, Load], list[str]]  # its program, the unpacked tree, its folder, who is there
    cycle: int = 1  # seconds between two of its passes
    environment: dict[str, str] = field(default_factory=dict)
    collectors: tuple[str, ...] = ()  # of node_exporter, which must succeed for the row to mean what it says


def exporter(*collectors: str) -> Callable[[Path, Path, Path, Load], list[str]]:
    def command(program: Path, _tree: Path, folder: Path, _load: Load) -> list[str]:
        return [str(program), f"--web.listen-address=127.0.0.1:{EXPORTER_PORT}",
                f"--collector.textfile.directory={folder}",
                *(f"--{'' if name in collectors else 'no-'}collector.{name}" for name in ("processes", "systemd"))]
    return command


def monit(program: Path, _tree: Path, folder: Path, load: Load) -> list[str]:
    if len(load.some) < CHECKS:
        raise NotHere(f"there are only {len(load.some)} processes to check")
    lines = ["set daemon 1", *(f"set {name} {folder / name}" for name in ("pidfile", "idfile", "statefile", "logfile"))]
    for pid in load.some[:CHECKS]:
        (folder / f"{pid}.pid").write_text(f"{pid}\n")
        lines.append(f"check process p{pid} with pidfile {folder}/{pid}.pid")
    config = folder / "monitrc"
    config.write_text("\n".join(lines) + "\n")
    config.chmod(0o600)
    return [str(program), "-I", "-c", str(config)]


def collectd(interval: int) -> Callable[[Path, Path, Path, Load], list[str]]:
    def command(program: Path, tree: Path, folder: Path, _load: Load) -> list[str]:
        config = folder / "collectd.conf"
        config.write_text(
            f'Hostname "bench"\nFQDNLookup false\nInterval {interval}\nBaseDir "{folder}"\nPIDFile "{folder}/pid"\n'
            f'PluginDir "{tree}/usr/lib/collectd"\nTypesDB "{tree}/usr/share/collectd/types.db"\nLoadPlugin processes\n'
            # Without a place to write to it complains of each value.
            f'LoadPlugin csv\n<Plugin csv>\nDataDir "{folder}/csv"\n</Plugin>\n')
        return [str(program), "-f", "-C", str(config)]
    return command


def netdata(program: Path, tree: Path, folder: Path, _load: Load) -> list[str]:
    places = {name: folder / name for name in ("config", "log", "cache", "lib", "web", "home", "lock")}
    for place in [*places.values(), folder / "lib" / "registry"]:
        place.mkdir(parents=True)
    # It keeps what it knows to itself.
    (folder / "config" / ".opt-out-from-anonymous-statistics").touch()
    plugins = next((path.parent for path in tree.glob("usr/lib*/netdata/plugins.d/apps.plugin")), None)
    if plugins is None:
        raise NotHere("its apps.plugin is not in the package")
    places |= {"plugins": plugins, "stock config": tree / "usr/lib/netdata/conf.d"}
    config = folder / "netdata.conf"
    config.write_text("[global]\n run as user = root\n[directories]\n"
                      + "".join(f" {name} = {place}\n" for name, place in places.items()) + "[web]\n mode = none\n")
    return [str(program), "-D", "-P", str(folder / "pid"), "-c", str(config)]


def earlyoom(program: Path, _tree: Path, _folder: Path, _load: Load) -> list[str]:
    return [str(program), "-r", "3600", "--dryrun"]  # it looks as ever, and would not kill


def atop(program: Path, _tree: Path, folder: Path, _load: Load) -> list[str]:
    return [str(program), "-w", str(folder / "raw"), "1"]


EXPORTER, EXPORTER_ALONG = "node_exporter, each second", "node_exporter with processes"
PEERS = [
    Peer("earlyoom", "earlyoom", "earlyoom", earlyoom),
    Peer(EXPORTER, "prometheus-node-exporter", "prometheus-node-exporter", exporter()),
    Peer(EXPORTER_ALONG, "prometheus-node-exporter", "prometheus-node-exporter",
         exporter("processes"), collectors=("processes",)),
    Peer("node_exporter with processes, systemd", "prometheus-node-exporter", "prometheus-node-exporter",
         exporter("processes", "systemd"), collectors=("processes", "systemd")),
    Peer("monit, 10 checks, 1 s", "monit", "monit", monit),
    Peer("collectd processes, 10 s", "collectd-core", "collectd", collectd(10), cycle=10),
    Peer("collectd processes, 1 s", "collectd-core", "collectd", collectd(1)),
    Peer("netdata, 1 s", "netdata-core", "netdata", netdata, environment={"DO_NOT_TRACK": "1"}),
    # Left to itself it would switch on the accounting of every process that ends on this machine.
    Peer("atop, 1 s", "atop", "atop", atop, environment={"ATOPACCT": ""}),
]


class Packages:
    """What apt-get downloads, unpacked side by side in one tree of the cache."""

    def __init__(self, cache: Path, may_download: bool) -> None:
        self.tree, self.archives, self.may_download = cache / "root", cache / "archives", may_download
        self.tried: dict[str, str] = {}  # package -> why it can't be had, or nothing

    def program(self, peer: Peer) -> tuple[Path, Path, bool]:
        """The program, the tree that it is part of, and whether that is the machine's own."""
        if found := self.unpacked(peer):
            return found, self.tree, False
        if found := shutil.which(peer.program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            return Path(found), Path("/"), True
        if not self.may_download:
            raise NotHere(f"the package {peer.package} is not installed, and nothing is downloaded")
        if peer.package not in self.tried:
            self.tried[peer.package] = self.download(peer.package)
        if found := self.unpacked(peer):
            return found, self.tree, False
        raise NotHere(self.tried[peer.package] or f"{peer.package} has no program {peer.program}")

    def unpacked(self, peer: Peer) -> Path | None:
        places = (self.tree / folder / peer.program for folder in ("usr/sbin", "usr/bin", "sbin", "bin"))
        return next((path for path in places if os.access(path, os.X_OK)), None)

    def environment(self) -> dict[str, str]:
        """So that the programs of the tree find the libraries that came with them."""
        folders = {str(path.parent) for path in self.tree.glob("usr/lib/*/*.so.*")}
        folders |= {str(path.parent) for path in self.tree.glob("lib/*/*.so.*")}
        return {"LD_LIBRARY_PATH": ":".join(sorted(folders))} if folders else {}

    def download(self, package: str) -> str:
        """With what it depends on and is not installed here; nothing is set up, and no service started."""
        if not shutil.which("apt-get") or not shutil.which("dpkg"):
            return "there is no apt-get here"
        (self.archives / "partial").mkdir(parents=True, exist_ok=True)
        self.tree.mkdir(exist_ok=True)
        get = ["apt-get", "install", "--download-only", "-qy", "--no-install-recommends",
               "-o", f"Dir::Cache::archives={self.archives}", package]
        try:
            if run(get).returncode:
                run(["apt-get", "update", "-q"])
                done = run(get)
                if done.returncode:
                    return f"apt-get: {(done.stderr or done.stdout).strip().splitlines()[-1]}"
            for archive in self.archives.glob("*.deb"):
                run(["dpkg", "-x", str(archive), str(self.tree)])
                archive.unlink()
        except subprocess.TimeoutExpired:
            return f"apt-get took over {APT_SECONDS} s"
        return ""


def run(command: list[str]) -> subprocess.CompletedProcess:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=APT_SECONDS,
                          env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"})


class Running:
    """A peer at work, for the length of a `with` block."""

    def __init__(self, peer: Peer, packages: Packages, folder: Path, load: Load) -> None:
        program, tree, own = packages.program(peer)
        folder.mkdir(parents=True)
        self.peer, self.log = peer, folder / "log.txt"
        self.command = [*BOUND, *peer.command(program, tree, folder, load)]
        self.environment = {**os.environ, **peer.environment, **({} if own else packages.environment())}
        self.scraper: Scraper | None = None

    def __enter__(self) -> "Running":
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.environment, start_new_session=True)
        if self.peer.package == "prometheus-node-exporter":
            self.scraper = Scraper()
            self.scraper.start()
        return self

    def check(self) -> None:
        """Raises NotHere when it does not do what the row is about."""
        if self.process.poll() is not None:
            words = self.log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise NotHere(f"it ended with exit status {self.process.returncode}: {words[-1][:120]}")
        if self.scraper:
            self.scraper.check(self.peer.collectors)

    def __exit__(self, *_: object) -> None:
        if self.scraper:
            self.scraper.stop()
        helpers = [descriptor for pid in tree(self.process.pid)[1:] if (descriptor := pidfd(pid)) is not None]
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for descriptor in helpers:
            try:
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            except ProcessLookupError:
                pass
            os.close(descriptor)


def pidfd(pid: int) -> int | None:
    """None when it has ended."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


class Scraper(threading.Thread):
    """Asks node_exporter each second, as Prometheus would."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.last, self.why = "", "it was not asked yet"

    def run(self) -> None:
        due = time.monotonic()
        while not self.ended.wait(max(0.0, due - time.monotonic())):
            due += 1
            try:
                connection = http.client.HTTPConnection("127.0.0.1", EXPORTER_PORT, timeout=5)
                connection.request("GET", "/metrics")
                self.last, self.why = connection.getresponse().read().decode(), ""
                connection.close()
            except (OSError, http.client.HTTPException) as error:
                self.why = str(error)

    def check(self, collectors: tuple[str, ...]) -> None:
        if self.why:
            raise NotHere(f"it does not answer: {self.why}")
        for name in collectors:
            if f'node_scrape_collector_success{{collector="{name}"}} 1' not in self.last:
                raise NotHere(f"its {name} collector finds nothing here")

    def stop(self) -> None:
        self.ended.set()
        self.join()
