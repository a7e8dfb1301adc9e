"""What scripts/vm, scripts/nspawn and scripts/host-deps share: the cache, the image's packages, small tools."""

import contextlib
import fcntl
import os
import re
import subprocess
import sys
import time

# mkfs and the like, where a CI job or cron gives its children a short PATH.
os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"

SUITE = "bookworm"  # for another suite see MODULES in scripts/vm: a compressed .ko does not load
CACHE = os.path.abspath(
    os.environ.get("PRUNELLA_CACHE")
    or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "prunella")
)
# On every test host, whichever the tier. apt and dpkg come with mmdebstrap's "minbase" variant.
PACKAGES = (
    "systemd systemd-sysv dbus python3-minimal logrotate stress-ng monit curl iproute2 procps e2fsprogs xfsprogs "
    "btrfs-progs psmisc sysstat " + os.environ.get("PRUNELLA_HOST_PACKAGES", "")
).split()
PF_EXITING = 0x4  # in the flags of /proc/PID/stat
# What a command sees on a test host, the same on both tiers.
ENV = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
# The far end of `put`: $1 file or directory, $2 mode, $3 local name. Whole or not at all.
PUT = '[ -d "$1" ] && set -- "$1/$3" "$2"; cat >"$1.part" && chmod "$2" "$1.part" && mv -f "$1.part" "$1"'


def die(text, code=1):
    print(f"{os.path.basename(sys.argv[0])}: {text}", file=sys.stderr)
    sys.exit(code)


def note(text):
    print(f"{os.path.basename(sys.argv[0])}: {text}", file=sys.stderr)


def wait_for(what, seconds, is_so, poll=0.02):
    """Wait until is_so() is true, and give up with exit code 124 when it takes longer than that."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            die(f"waited {seconds} s in vain for {what}", 124)
        time.sleep(poll)


def check_name(name):
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{0,30}", name):
        die(f"bad host name {name!r}")
    return name


@contextlib.contextmanager
def locked(path):
    """Hold an exclusive lock on a file for the length of a `with` block."""
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def unusable(tools):
    """Why this machine cannot run a tier, in one line, or None. `tools`: {Debian package: program of it}."""
    if os.geteuid() != 0:
        return "needs root"
    path = os.environ["PATH"].split(":")
    lacking = [p for p, tool in tools.items() if not any(os.access(f"{d}/{tool}", os.X_OK) for d in path)]
    return f"missing packages: {' '.join(lacking)} (see scripts/host-deps)" if lacking else None


def process_stat(pid):
    """(dead, start time in ticks) of a process, or None. A zombie is dead, and what is exiting as good as."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return fields[0] == "Z" or bool(int(fields[6]) & PF_EXITING), int(fields[19])


def identity(pid):
    """[pid, start time] of a live process, to be written down and given to `is_alive` later."""
    stat = process_stat(pid)
    return [pid, stat[1]] if stat else None


def is_alive(who):
    """Whether the process that `identity` described still runs; its pid alone may be somebody else's by now."""
    stat = process_stat(who[0]) if who else None
    return bool(stat and stat[1] == who[1] and not stat[0])


def apt_sources():
    """This machine's own apt sources when it has the same suite, else none: mmdebstrap has a default."""
    import platform

    if platform.freedesktop_os_release().get("VERSION_CODENAME") != SUITE:
        return []
    found = []
    for d in ("/etc/apt", "/etc/apt/sources.list.d"):
        for f in sorted(os.listdir(d)) if os.path.isdir(d) else []:
            if re.fullmatch(r"sources\.list|debian.*\.(sources|list)", f) and os.path.getsize(f"{d}/{f}"):
                found.append(f"{d}/{f}")
    return found


def mmdebstrap(tmp, packages, hook, target, form):
    """Install a minimal Debian with these packages at `target`, by way of this machine's apt settings."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, timeout=60).stdout
    with open(f"{tmp}/apt.conf", "w") as f:
        f.writelines(re.findall(r"^Acquire::(?:Check|http|Retries).*\n", dump, re.M))
    subprocess.run(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            f"--format={form}",
            f"--aptopt={tmp}/apt.conf",
            "--include=" + ",".join(packages),
            f"--customize-hook={hook}",
            *(f"--dpkgopt=path-exclude=/usr/share/{d}/*" for d in ("doc", "man", "locale")),
            SUITE,
            target,
            *apt_sources(),
        ],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        check=True,
        timeout=1800,
    )


# Take out of a root what came from the machine that built it, so that a package installed on a test host
# keeps its documentation, and apt there neither looks for a network nor for our mirror.
NEUTRAL = (
    "rm -rf etc/apt/sources.list.d/* etc/apt/apt.conf.d/99mmdebstrap etc/dpkg/dpkg.cfg.d/99mmdebstrap "
    "etc/resolv.conf etc/hostname etc/machine-id var/lib/apt/lists/* var/cache/apt/*.bin; "
    ": >etc/resolv.conf; : >etc/apt/sources.list; mkdir -p etc/apt/sources.list.d"
)
# Nothing of the extra packages runs by itself: monit is there to be compared with, not to interfere.
QUIET = 'chroot "$1" systemctl -q disable monit.service sysstat.service systemd-networkd-wait-online.service'
