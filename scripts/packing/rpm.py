"""The RPM package: the same tree, and scriptlets that have the effect of the Debian ones. For static programs only."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from .common import ROOT, SUMMARY, changes, freeze, maintainer, note, run, script

# The words of a spec for each scriptlet in packaging/rpm/.
SCRIPTLETS = ["pre", "post", "preun", "postun", "posttrans"]
# Where RPM systems look for zsh's and fish's completions.
MOVED = {
    "usr/share/zsh/vendor-completions/_prunella": "usr/share/zsh/site-functions/_prunella",
    "usr/share/fish/vendor_completions.d/prunella.fish": "usr/share/fish/vendor_completions.d/prunella.fish",
}
# Nothing of the machine that builds may be in the package, and nothing is done to the files behind our back. xz: what
# rpm of RHEL 8 unpacks; one thread, for its blocks are the same everywhere.
DEFINES = {
    "_buildhost": "reproducible",
    "use_source_date_epoch_as_buildtime": "1",
    "clamp_mtime_to_source_date_epoch": "1",
    "_build_id_links": "none",
    "debug_package": "%{nil}",
    "__os_install_post": "%{nil}",
    "__brp_mangle_shebangs": "%{nil}",
    "_binary_payload": "w6.xzdio",
    "_docdir": "/usr/share/doc",
    "_unpackaged_files_terminate_build": "1",
}


def build(tree: Path, out: Path, scratch: Path, version: str, epoch: int) -> Path:
    if not shutil.which("rpmbuild"):
        raise SystemExit("package: rpmbuild is missing: apt-get install rpm")
    top = scratch / "rpm"
    shutil.copytree(tree, top / "tree", symlinks=True)
    tree = top / "tree"
    for here, there in MOVED.items():
        if here != there and (tree / here).exists():
            (tree / there).parent.mkdir(parents=True, exist_ok=True)
            (tree / here).rename(tree / there)
            (tree / here).parent.rmdir()
    shutil.rmtree(tree / "usr/share/lintian")
    licences = tree / "usr/share/licenses/prunella"
    licences.mkdir(parents=True)
    shutil.copy(ROOT / "LICENSE", licences / "LICENSE")
    freeze(tree, epoch)
    spec = top / "prunella.spec"
    spec.write_text(specification(tree, version))
    # rpmbuild empties the folder that it is told to pack; so it is handed a copy by %install.
    words = ["rpmbuild", "-bb", "--quiet", "--target", os.uname().machine, "--define", f"_topdir {top}/work",
             "--define", f"prunella_tree {tree}"]
    for name, value in DEFINES.items():
        words += ["--define", f"{name} {value}"]
    run(*words, spec, env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch), "LC_ALL": "C", "TZ": "UTC"}, quiet=True)
    [built] = (top / "work/RPMS").rglob("*.rpm")
    return Path(shutil.copy(built, out / built.name))


def specification(tree: Path, version: str) -> str:
    parts = [f"""\
Name: prunella
Version: {version}
Release: 1
Summary: {SUMMARY[0].upper()}{SUMMARY[1:]}
License: Apache-2.0 AND (Apache-2.0 OR GPL-2.0-only)
Packager: {maintainer()}
URL: https://packages.invalid/prunella
# Static programs need no library, and no list of what others could use of them.
AutoReqProv: no
Requires: systemd
Requires(pre): /bin/sh coreutils
Requires(post): systemd coreutils
Requires(preun): systemd
Requires(postun): systemd

%description
{description()}

%install
mkdir -p %{{buildroot}}
cp -a %{{prunella_tree}}/. %{{buildroot}}/
"""]
    for name in SCRIPTLETS:
        if (ROOT / "packaging/rpm" / name).is_file():
            parts.append(f"%{name} -p /bin/sh\n{script(f'rpm/{name}').replace('%', '%%')}")
    parts.append("%files\n" + "".join(f"{line}\n" for line in listing(tree)))
    parts.append("%changelog\n" + changelog())
    return "\n".join(parts)


def listing(tree: Path) -> list[str]:
    """Each file with what rpm must know of it. Folders that are ours alone go with the package."""
    lines = ["%defattr(-,root,root,-)"]
    for path in sorted(tree.rglob("*")):
        place = "/" + str(path.relative_to(tree))
        if path.is_dir() and not path.is_symlink():
            if path.name == "prunella" or "/prunella/" in place:
                lines.append(f"%dir {place}")
        elif place.startswith("/etc/"):
            lines.append(f"%config(noreplace) {place}")
        elif place.startswith("/usr/share/doc/"):
            lines.append(f"%doc {place}")
        elif place.startswith("/usr/share/licenses/"):
            lines.append(f"%license {place}")
        else:
            lines.append(place)
    return lines


def description() -> str:
    """The text of the Debian package, without its marks."""
    text = (ROOT / "packaging/debian/control.in").read_text().split("Description:", 1)[1]
    lines = [line.strip() for line in text.splitlines()[1:]]
    return "\n".join("" if line == "." else line for line in lines)


def changelog() -> str:
    entries = []
    for name, date, points in changes():
        day = time.strftime("%a %b %d %Y", time.gmtime(date or int(os.environ["SOURCE_DATE_EPOCH"])))
        body = "\n".join(f"- {point}" for point in points).replace("%", "%%")
        entries.append(f"* {day} {maintainer()} - {name}-1\n{body}\n")
    return "\n".join(entries)


def check(rpm: Path) -> bool:
    """rpm's own look at the file: its digests, and rpmlint's opinion where it is installed."""
    with tempfile.TemporaryDirectory(prefix="prunella-rpmdb-") as empty:
        words = ["rpm", "--dbpath", empty, "-K", "--nosignature", rpm]
        sound = subprocess.run(words, stdout=subprocess.DEVNULL).returncode == 0
    print(f"rpm -K: digests {'ok' if sound else 'NOT OK'}")
    if not shutil.which("rpmlint"):
        note("rpmlint is not installed: the package was not looked over")
        return sound
    words = ["rpmlint", "--config", ROOT / "packaging/rpm/rpmlint.toml", rpm]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in done.stdout.splitlines():
        print(f"rpmlint: {line}")
    return sound and done.returncode == 0
