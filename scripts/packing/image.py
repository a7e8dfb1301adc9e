"""A container image as a tar in the OCI layout, from nothing but the static programs; no daemon makes it."""

import gzip
import hashlib
import io
import json
import tarfile
import time
from pathlib import Path

from .common import PROGRAMS, SUMMARY

# What of the tree is in the image: the programs, their policy, and the folders that a host's are mounted over.
KEPT = ["etc/prunella", "usr/lib/prunella/policy.d", "usr/share/doc/prunella/prunella.cdx.json",
        "usr/share/doc/prunella/third-party-licences.txt.gz"]
FOLDERS = ["proc", "sys", "run", "tmp", "var/lib/prunella"]
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
LAYOUT = '{"imageLayoutVersion": "1.0.0"}'


def build(tree: Path, out: Path, version: str, epoch: int, machine: str) -> Path:
    layer = tar_of(entries(tree), epoch)
    packed = gzip.compress(layer, compresslevel=9, mtime=0)
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
    labels = {
        "org.opencontainers.image.title": "prunella",
        "org.opencontainers.image.description": SUMMARY,
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.created": created,
    }
    config = document({
        "created": created,
        "architecture": ARCHITECTURES[machine],
        "os": "linux",
        "config": {
            # The agent repairs the host: it is root there or useless. What needs less says so in its pod.
            "User": "0:0",
            "Entrypoint": ["/usr/sbin/prunellad"],
            "Env": ["PATH=/usr/sbin:/usr/bin"],
            "WorkingDir": "/var/lib/prunella",
            "StopSignal": "SIGTERM",
            "Labels": labels,
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        "history": [{"created": created, "created_by": "scripts/package --static"}],
    })
    manifest = document({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", packed)],
        "annotations": labels,
    })
    named = {**descriptor("application/vnd.oci.image.manifest.v1+json", manifest),
             "annotations": {"org.opencontainers.image.ref.name": version}}
    index = document({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [named]})
    files = {"oci-layout": (LAYOUT.encode(), 0o644), "index.json": (index, 0o644), "blobs": (None, 0o755),
             "blobs/sha256": (None, 0o755)}
    for blob in (config, manifest, packed):
        files[f"blobs/sha256/{digest(blob).partition(':')[2]}"] = (blob, 0o644)
    archive = out / f"prunella-{version}-{ARCHITECTURES[machine]}.oci.tar"
    archive.write_bytes(tar_of(files, epoch))
    return archive


def entries(tree: Path) -> dict[str, tuple[bytes | None, int]]:
    """Name → content (none: a folder) and mode."""
    files: dict[str, tuple[bytes | None, int]] = {}
    for folder in FOLDERS:
        files[folder] = (None, 0o1777 if folder == "tmp" else 0o755)
    paths = [tree / program.place for program in PROGRAMS]
    for kept in KEPT:
        paths += [tree / kept, *(tree / kept).rglob("*")] if (tree / kept).is_dir() else [tree / kept]
    for path in paths:
        name = str(path.relative_to(tree))
        files[name] = (None, 0o755) if path.is_dir() else (path.read_bytes(), path.stat().st_mode & 0o777)
    for name in list(files):
        for parent in Path(name).parents:
            if str(parent) != ".":
                files.setdefault(str(parent), (None, 0o755))
    return files


def tar_of(files: dict[str, tuple[bytes | None, int]], epoch: int) -> bytes:
    """In the order of names, all of root, all of one time."""
    bytes_ = io.BytesIO()
    with tarfile.open(fileobj=bytes_, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, (content, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.mode, entry.mtime = mode, epoch
            entry.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            entry.size = len(content or b"")
            tar.addfile(entry, io.BytesIO(content or b""))
    return bytes_.getvalue()


def descriptor(kind: str, content: bytes) -> dict:
    return {"mediaType": kind, "digest": digest(content), "size": len(content)}


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def document(value: dict) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
