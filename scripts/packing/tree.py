"""Builds the programs and stages everything that is installed, with its final mode."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import bill
from .common import (COMPLETIONS, MUSL, PRINT_SECONDS, PROGRAMS, ROOT, metadata, note, output, pack, run)

# Folders of packaging/ that are about packages and not installed.
NOT_INSTALLED = ["debian", "rpm"]


def build(profile: str, static: bool) -> Path:
    """Builds the programs; their folder. No path of this machine is in static ones."""
    target = Path(metadata()["target_directory"])
    environment = dict(os.environ)
    words = ["cargo", "build", "--locked", "--profile", profile]
    if static:
        statically(environment, target)
        words += ["--target", MUSL]
    plain = [word for program in PROGRAMS if not program.feature for word in ("--bin", program.name)]
    run(*words, *plain, cwd=ROOT, env=environment)
    for program in PROGRAMS:
        if program.feature:
            run(*words, "--no-default-features", "--features", program.feature, "--bin", program.name,
                cwd=ROOT, env=environment)
    return (target / MUSL if static else target) / ("debug" if profile == "dev" else profile)


def statically(environment: dict[str, str], target: Path) -> None:
    """What rustc and musl-gcc must know. Only for their own folder of artefacts: with other flags for the usual one, cargo
    would build everything anew after each package."""
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    # The last that fits counts, so the widest comes first.
    maps = [(home, "/usr/src/cargo"), (target, "/usr/src/prunella/target"), (ROOT, "/usr/src/prunella")]
    flags = [f"--remap-path-prefix={here}={there}" for here, there in maps]
    environment["RUSTFLAGS"] = " ".join([environment.get("RUSTFLAGS", ""), *flags]).strip()
    prefixes = [f"-ffile-prefix-map={here}={there}" for here, there in maps]
    suffix = MUSL.replace("-", "_")
    environment[f"CFLAGS_{suffix}"] = " ".join([environment.get(f"CFLAGS_{suffix}", ""), *prefixes]).strip()
    environment.setdefault(f"CC_{suffix}", "musl-gcc")
    if not shutil.which("musl-gcc"):
        sys.exit("package: musl-gcc is missing, for the C in SQLite: apt-get install musl-tools")
    installed = output("rustup", "target", "list", "--installed") if shutil.which("rustup") else MUSL
    if MUSL not in installed.split():
        run("rustup", "target", "add", MUSL)


def stage(tree: Path, binaries: Path, epoch: int) -> None:
    """Everything but what only one kind of package has."""
    top = ROOT / "packaging"
    shutil.copytree(top, tree, ignore=lambda where, _: NOT_INSTALLED if Path(where) == top else [])
    for program in PROGRAMS:
        source = binaries / program.name
        if not source.is_file():
            sys.exit(f"package: there is no {source}")
        target = tree / program.place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
        # Unstripped only in the dev profile; stripping what is stripped changes nothing.
        run("strip", "--remove-section=.comment", "--remove-section=.note", target)

    policy = tree / "usr/lib/prunella/policy.d"
    policy.mkdir(parents=True)
    shipped = sorted((ROOT / "config" / "policy.d").glob("*.toml"))
    for file in shipped:
        shutil.copy(file, policy)
    if not shipped:
        sys.exit("package: config/policy.d holds no *.toml")
    (tree / "etc/prunella/policy.d").mkdir(parents=True)

    documents = tree / "usr/share/doc/prunella"
    shutil.copy(ROOT / "README.md", documents / "README.md")
    shutil.copy(ROOT / "config" / "prunella.toml", documents / "examples" / "prunella.toml")
    shutil.copytree(ROOT / "config" / "prometheus", documents / "examples" / "prometheus")
    packages = bill.linked_packages()
    (documents / "prunella.cdx.json").write_text(bill.cyclonedx(packages, epoch))
    pack(documents / "third-party-licences.txt.gz", bill.licences(packages).encode())
    generated(tree, epoch)


def generated(tree: Path, epoch: int) -> None:
    """Completions and man pages: what the CLI prints about itself. What it can't print is not made up here."""
    command = tree / next(program.place for program in PROGRAMS if program.name == "prunella")
    for shell, place in COMPLETIONS.items():
        target = tree / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(ask(command, "completions", shell))
    date = time.strftime("%Y-%m-%d", time.gmtime(epoch))
    with tempfile.TemporaryDirectory(prefix="prunella-man-") as scratch:
        ask(command, "manual", scratch, "--date", date)
        pages = sorted(Path(scratch).iterdir())
        if not pages:
            sys.exit("package: `prunella manual` wrote no pages")
        for page in pages:
            pack(tree / f"usr/share/man/man{page.suffix[1:]}/{page.name}.gz", page.read_bytes())


def ask(command: Path, *words: str) -> str:
    try:
        done = subprocess.run([command, *words], capture_output=True, text=True, timeout=PRINT_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        sys.exit(f"package: prunella {words[0]}: {error}")
    if done.returncode != 0:
        sys.exit(f"package: prunella {' '.join(words)}: {done.stderr}")
    return done.stdout


def verify_units(tree: Path) -> bool:
    """systemd's own opinion of the units, with the staged binaries in the place of the installed ones."""
    if not shutil.which("systemd-analyze"):
        note("systemd-analyze is not installed: the units were not verified")
        return True
    with tempfile.TemporaryDirectory(prefix="prunella-unit-") as scratch:
        units = []
        for source in sorted(tree.glob("usr/lib/systemd/system/*.service")):
            # A template is verified as an instance.
            unit = Path(scratch) / source.name.replace("@.", "@sda.")
            text = source.read_text()
            for program in PROGRAMS:
                text = text.replace(f"=/{program.place}", f"={tree}/{program.place}")
            unit.write_text(text)
            units.append(unit)
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
    # The tasks run programs of the host, which need not be on this machine.
    complaints = [line for line in done.stderr.splitlines() if "prunella" in line and "is not executable" not in line]
    print("\n".join(complaints) if complaints else f"systemd-analyze verify: {len(units)} units, nothing to say")
    return not complaints
