"""The Debian package."""

import hashlib
import os
import re
import shutil
import subprocess
import textwrap
from email.utils import formatdate
from pathlib import Path

from .common import PROGRAMS, ROOT, changes, freeze, maintainer, note, output, pack, run, script

MAINTAINER_SCRIPTS = ["preinst", "postinst", "prerm", "postrm"]
# What lintian says of a static build that we know and accept; the reason stands in the override that is packed.
STATIC_OVERRIDES = """\
# One build for hosts with any C library, from RHEL 8 to an image without one.
# lintian takes a static program that can be loaded at any address for a shared library.
""" + "".join(f"prunella: shared-library-lacks-prerequisites [{program.place}]\n" for program in PROGRAMS)


def build(tree: Path, out: Path, scratch: Path, version: str, epoch: int, static: bool) -> Path:
    architecture = output("dpkg", "--print-architecture")
    deb = out / f"prunella_{version}_{architecture}.deb"
    shutil.copytree(tree, scratch / "deb", symlinks=True)
    tree = scratch / "deb"
    documents = tree / "usr/share/doc/prunella"
    shutil.copy(ROOT / "packaging/debian/copyright", documents / "copyright")
    pack(documents / "changelog.gz", debian_changelog(version, epoch).encode())
    if static:
        overrides = tree / "usr/share/lintian/overrides/prunella"
        overrides.write_text(overrides.read_text() + STATIC_OVERRIDES)
    control(tree, scratch, version, architecture, static)
    freeze(tree, epoch)
    # One thread: the compressor cuts its blocks differently with more, and the bytes must not depend on the host.
    run("dpkg-deb", "--root-owner-group", "--threads-max=1", "-Zxz", "--build", tree, deb, quiet=True)
    return deb


def control(tree: Path, scratch: Path, version: str, architecture: str, static: bool) -> None:
    """DEBIAN/: control, conffiles, checksums, maintainer scripts."""
    folder = tree / "DEBIAN"
    folder.mkdir()
    files = sorted(p for p in tree.rglob("*") if p.is_file() and folder not in p.parents)
    for name in MAINTAINER_SCRIPTS:
        (folder / name).write_text(script(f"debian/{name}"))
        (folder / name).chmod(0o755)
    relative = [str(file.relative_to(tree)) for file in files]
    (folder / "conffiles").write_text("".join(f"/{name}\n" for name in relative if name.startswith("etc/")))
    # Configuration files are dpkg's own to check: md5sums lists the rest, as dh_md5sums does.
    (folder / "md5sums").write_text("".join(
        f"{hashlib.md5(file.read_bytes()).hexdigest()}  {name}\n"
        for file, name in zip(files, relative) if not name.startswith("etc/")))
    values = {
        "VERSION": version,
        "ARCHITECTURE": architecture,
        "MAINTAINER": maintainer(),
        # Kibibytes, each file rounded up, as dpkg-gencontrol counts.
        "INSTALLED_SIZE": str(sum(-(-file.stat().st_size // 1024) for file in files)
                              + sum(1 for p in tree.rglob("*") if p.is_dir())),
        "SHLIBS": "" if static else library_dependencies(tree, scratch) + ", ",
    }
    text = (ROOT / "packaging/debian/control.in").read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    (folder / "control").write_text(text)


def library_dependencies(tree: Path, scratch: Path) -> str:
    """`libc6 (>= …), …` from the symbols that the binaries use."""
    work = scratch / "shlibs"
    (work / "debian").mkdir(parents=True)
    (work / "debian/control").write_text("Source: prunella\n\nPackage: prunella\nArchitecture: any\n")
    text = output("dpkg-shlibdeps", "-O", *[f"-e{tree / program.place}" for program in PROGRAMS], cwd=work)
    found = re.search(r"^shlibs:Depends=(.+)$", text, re.M)
    if not found:
        raise SystemExit(f"package: dpkg-shlibdeps named no library: {text!r}")
    return found[1]


def debian_changelog(version: str, epoch: int) -> str:
    """CHANGELOG.md in the form of deb-changelog(5)."""
    entries = []
    for name, date, points in changes():
        lines = "".join("  * " + "\n    ".join(textwrap.wrap(point, 74)) + "\n" for point in points)
        stamp = formatdate(epoch if date is None else date).replace("-0000", "+0000")
        entries.append(f"prunella ({name}) unstable; urgency=medium\n\n{lines}\n -- {maintainer()}  {stamp}\n")
    if not entries or not entries[0].startswith(f"prunella ({version})"):
        raise SystemExit(f"package: the first version in CHANGELOG.md is not {version}, which Cargo.toml names")
    return "\n".join(entries)


def lint(deb: Path) -> bool:
    """False when lintian has an error or a warning that no override of the package justifies."""
    if not shutil.which("lintian"):
        note("lintian is not installed: the package was not looked over")
        return True
    command = ["lintian", "--no-cfg", "--tag-display-limit", "0"]
    if os.geteuid() == 0:
        command.append("--allow-root")
    done = subprocess.run([*command, deb], stdout=subprocess.PIPE, text=True)
    lines = done.stdout.splitlines()
    for line in lines:
        print(f"lintian: {line}")
    bad = sum(line.startswith(("E:", "W:")) for line in lines)
    print(f"lintian: {len(lines)} remarks, {bad} errors and warnings")
    return bad == 0
