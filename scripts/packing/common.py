"""What all packages have in common: what is in them, who makes them, and how programs are run."""

import calendar
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
MAINTAINER = "Prunella maintainers <prunella@packages.invalid>"
MUSL = "x86_64-unknown-linux-musl"


@dataclass(frozen=True)
class Program:
    """A binary of the package. One with a feature is built by itself, so that no other links what it needs."""

    name: str
    place: str
    feature: str = ""


# A further program is a line here; its unit, sysusers and policy files lie in packaging/ where they are installed.
PROGRAMS = [
    Program("prunellad", "usr/sbin/prunellad"),
    Program("prunella", "usr/bin/prunella"),
    Program("prunella-relay", "usr/bin/prunella-relay", "relay"),
]
# Units that the maintainer scripts enable, start and stop. Those that others start only lie in the tree.
UNITS = ["prunellad.service"]
# Units that wait for somebody to configure them: only one that runs is started anew.
OPTIONAL_UNITS = ["prunella-relay.service"]
# What `prunella` prints, where each shell looks for it.
COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/prunella",
    "zsh": "usr/share/zsh/vendor-completions/_prunella",
    "fish": "usr/share/fish/vendor_completions.d/prunella.fish",
}
PRINT_SECONDS = 10  # for a program that prints text; more means that it hangs
SUMMARY = "self-healing agent for one Linux host"


def metadata() -> dict:
    return json.loads(output("cargo", "metadata", "--no-deps", "--locked", "--format-version=1", cwd=ROOT))


def package_version() -> str:
    return next(p["version"] for p in metadata()["packages"] if p["name"] == "prunella")


def commit_time() -> int:
    """Of the newest commit; of a source tree without one, the newest date in the change log."""
    try:
        return int(output("git", "log", "-1", "--format=%ct", cwd=ROOT))
    except (OSError, subprocess.CalledProcessError, ValueError):
        date = re.search(r"^## \S+ - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
        return midnight(date[1]) if date else 0


def midnight(date: str) -> int:
    """The first second of a day, UTC."""
    return calendar.timegm(time.strptime(date, "%Y-%m-%d"))


def changes() -> list[tuple[str, int | None, list[str]]]:
    """CHANGELOG.md: version, its date if it has one, its points."""
    entries = []
    for part in re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.M)[1:]:
        heading, _, body = part.partition("\n")
        name, _, date = heading.partition(" - ")
        points = [" ".join(point.split()) for point in re.split(r"^- ", body, flags=re.M)[1:]]
        entries.append((name.strip(), midnight(date.strip()) if date else None, points))
    return entries


def maintainer() -> str:
    name, mail = os.environ.get("DEBFULLNAME"), os.environ.get("DEBEMAIL")
    return f"{name} <{mail}>" if name and mail else MAINTAINER


def script(path: str) -> str:
    """A maintainer script with the units of the table in it."""
    text = (ROOT / "packaging" / path).read_text()
    return text.replace("@UNITS@", " ".join(UNITS)).replace("@OPTIONAL_UNITS@", " ".join(OPTIONAL_UNITS))


def freeze(tree: Path, epoch: int) -> None:
    """Modes and times that do not depend on the umask or the hour."""
    for path in [tree, *tree.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def pack(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data, compresslevel=9, mtime=0))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def note(text: str) -> None:
    print(f"package: NOTE: {text}", file=sys.stderr)


def need(program: str, remedy: str) -> None:
    if not shutil.which(program):
        sys.exit(f"package: {program} is missing: {remedy}")


def run(*command: object, quiet: bool = False, **options: object) -> None:
    done = subprocess.run([str(word) for word in command], stdout=subprocess.DEVNULL if quiet else None, **options)
    if done.returncode != 0:
        sys.exit(f"package: {command[0]} failed with exit status {done.returncode}")


def output(*command: object, check: bool = True, **options: object) -> str:
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, check=check, **options)
    return done.stdout.strip()
