"""What is linked into the programs: a bill of materials (CycloneDX) and the licences, from cargo's own metadata."""

import json
import re
import time
from pathlib import Path

from .common import PROGRAMS, ROOT, output, sha256

# CycloneDX, the newest version that tools of today all read.
SPECIFICATION = "1.5"
# Names under which crates keep their licences.
LICENCE_FILES = re.compile(r"^(licen[cs]e|copying|notice|unlicense|copyright)([.-].*)?$", re.I)
LICENCE_BYTES_MAX = 256 << 10  # longer than any licence: whatever it is, it is not one


def linked_packages() -> list[dict]:
    """Packages that are linked or run at build time, without those for tests and other systems."""
    features = sorted({program.feature for program in PROGRAMS if program.feature} | {"default"})
    command = ["cargo", "metadata", "--locked", "--format-version=1", "--features", ",".join(features),
               "--filter-platform", "x86_64-unknown-linux-gnu"]
    found = json.loads(output(*command, cwd=ROOT))
    nodes = {node["id"]: node for node in found["resolve"]["nodes"]}
    wanted, todo = set(), [found["resolve"]["root"]]
    while todo:
        name = todo.pop()
        if name in wanted:
            continue
        wanted.add(name)
        for dependency in nodes[name]["deps"]:
            if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"]):
                todo.append(dependency["pkg"])
    packages = [package for package in found["packages"] if package["id"] in wanted]
    for package in packages:
        package["needs"] = sorted(dep["pkg"] for dep in nodes[package["id"]]["deps"] if dep["pkg"] in wanted)
    return sorted(packages, key=lambda package: (package["name"], package["version"]))


def checksums() -> dict[tuple[str, str], str]:
    """SHA-256 of each crate, from Cargo.lock."""
    pattern = r'name = "([^"]+)"\nversion = "([^"]+)"\nsource = "[^"]+"\nchecksum = "([0-9a-f]{64})"'
    return {(name, version): digest for name, version, digest in
            re.findall(pattern, (ROOT / "Cargo.lock").read_text())}


def reference(package: dict) -> str:
    return f"pkg:cargo/{package['name']}@{package['version']}"


def cyclonedx(packages: list[dict], epoch: int) -> str:
    digests = checksums()
    own = next(package for package in packages if package["name"] == "prunella")
    references = {package["id"]: reference(package) for package in packages}

    def component(package: dict) -> dict:
        entry = {
            "type": "application" if package is own else "library",
            "bom-ref": reference(package),
            "name": package["name"],
            "version": package["version"],
            "purl": reference(package),
            "licenses": [{"expression": expression(package)}],
        }
        digest = digests.get((package["name"], package["version"]))
        if digest:
            entry["hashes"] = [{"alg": "SHA-256", "content": digest}]
        return entry

    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        # Of the same crates it is the same document.
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)),
            "component": component(own),
            "properties": [{"name": "prunella:Cargo.lock:sha256", "value": sha256(ROOT / "Cargo.lock")}],
        },
        "components": [component(package) for package in packages if package is not own],
        "dependencies": [
            {"ref": reference(package), "dependsOn": [references[name] for name in package["needs"]]}
            for package in packages],
    }
    return json.dumps(bom, indent=1, sort_keys=True) + "\n"


def expression(package: dict) -> str:
    """The SPDX expression; the slash is how old crates write OR."""
    return (package["license"] or "NOASSERTION").replace("/", " OR ")


def licences(packages: list[dict]) -> str:
    """Name, licence and the licence's text of each crate; equal texts stand once."""
    texts: dict[str, int] = {}
    rows, bodies = [], []
    for package in packages:
        if package["name"] == "prunella":
            continue
        numbers = []
        for file in sorted(Path(package["manifest_path"]).parent.iterdir()):
            if not LICENCE_FILES.match(file.name) or not file.is_file() or file.stat().st_size > LICENCE_BYTES_MAX:
                continue
            text = file.read_text(errors="replace").strip() + "\n"
            if text not in texts:
                texts[text] = len(texts) + 1
                bodies.append(f"{'=' * 100}\n[{texts[text]}] {file.name} of {package['name']}\n{'=' * 100}\n{text}")
            numbers.append(f"[{texts[text]}]")
        rows.append(f"{package['name']} {package['version']}: {expression(package)} {' '.join(numbers)}".rstrip())
    head = ("Crates that are linked into the programs of this package, or that run while it is built, each with its "
            "licence\nand the numbers of the texts below. SQLite, within libsqlite3-sys, is in the public domain.\n\n")
    return head + "\n".join(rows) + "\n\n" + "\n".join(bodies)
