//! What the host is made of: read now and then, for people.

use std::io::ErrorKind;
use std::path::Path;

use crate::model::{Absence, Bytes, Disk, Inventory, Reading};
use crate::sense::procfs::{read_bounded, single};

use super::Roots;

/// Longest of these files: os-release has a few hundred bytes.
const FILE_MAX: usize = 16 * 1024;
/// Longest word that is passed on of one.
const WORD_MAX: usize = 120;
/// os-release(5): the first that is there.
const OS_RELEASE: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];
/// Sectors of `/sys/class/block/*/size`, whatever the device's own.
const SECTOR: u64 = 512;

/// Looks at everything; of the files on disks only the first time, because the disk may hang one day and the reader
/// must not hang with it.
pub(super) fn read(
    roots: &Roots,
    before: Option<&Inventory>,
    processors: Reading<u32>,
    memory: Reading<Bytes>,
    disks: impl Iterator<Item = String>,
) -> Inventory {
    let uname = rustix::system::uname();
    let part = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let sys = |path: &str| word(&roots.sys.join(path));
    Inventory {
        kernel: [part(uname.sysname()), part(uname.release()), part(uname.machine())].join(" "),
        distribution: before.map_or_else(distribution, |it| it.distribution.clone()),
        processors,
        memory,
        machine: match (sys("class/dmi/id/sys_vendor"), sys("class/dmi/id/product_name")) {
            (Reading::Value(vendor), Reading::Value(product)) => {
                Reading::Value(format!("{vendor} {product}"))
            }
            (Reading::Value(one), _) | (_, Reading::Value(one)) => Reading::Value(one),
            // Machines without DMI have a device tree.
            _ => word(&roots.proc.join("device-tree/model")),
        },
        hypervisor: sys("hypervisor/type"),
        container: before.map_or_else(container, |it| it.container.clone()),
        disks: disks.map(|name| disk(&roots.sys, name)).collect(),
    }
}

/// `PRETTY_NAME` of an os-release file.
fn pretty_name(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?.trim();
    let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let bare = bare.or_else(|| value.strip_prefix('\'')?.strip_suffix('\'')).unwrap_or(value);
    Some(bare.chars().filter(|c| *c != '\\').take(WORD_MAX).collect())
}

fn distribution() -> Reading<String> {
    let mut found = Reading::Absent(Absence::Unsupported);
    for path in OS_RELEASE {
        match read_bounded(Path::new(path), FILE_MAX) {
            Ok(bytes) => {
                let name = pretty_name(&String::from_utf8_lossy(&bytes));
                return name.map_or(Reading::Absent(Absence::NotApplicable), Reading::Value);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => found = Reading::Failed(format!("{path}: {error}")),
        }
    }
    found
}

/// What the container's manager left for those inside.
fn container() -> Reading<String> {
    for path in ["/run/systemd/container", "/run/host/container-manager"] {
        if let found @ Reading::Value(_) = word(Path::new(path)) {
            return found;
        }
    }
    for (path, name) in [("/.dockerenv", "docker"), ("/run/.containerenv", "podman")] {
        if rustix::fs::access(path, rustix::fs::Access::EXISTS).is_ok() {
            return Reading::Value(name.into());
        }
    }
    Reading::Absent(Absence::NotApplicable)
}

fn disk(sys: &Path, name: String) -> Disk {
    let folder = sys.join("class/block").join(name.replace('/', "!"));
    let number = |file: &str| {
        let path = folder.join(file);
        match read_bounded(&path, WORD_MAX) {
            Ok(bytes) => match single(&bytes) {
                Ok(number) => Reading::Value(number),
                Err(error) => Reading::Failed(format!("{}: {error}", path.display())),
            },
            Err(error) => absent(&path, &error),
        }
    };
    Disk {
        size: number("size").map(|sectors| Bytes(sectors.saturating_mul(SECTOR))),
        rotational: number("queue/rotational").map(|turns| turns != 0),
        name,
    }
}

/// One line of text.
fn word(path: &Path) -> Reading<String> {
    match read_bounded(path, FILE_MAX) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
            match text.is_empty() {
                true => Reading::Absent(Absence::NotApplicable),
                false => Reading::Value(text.chars().take(WORD_MAX).collect()),
            }
        }
        Err(error) => absent(path, &error),
    }
}

fn absent<T>(path: &Path, error: &std::io::Error) -> Reading<T> {
    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) {
        Reading::Absent(Absence::Unsupported)
    } else {
        Reading::Failed(format!("{}: {error}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_distributions() {
        let check = |text: &str, name: Option<&str>| assert_eq!(pretty_name(text).as_deref(), name, "{text}");
        check(
            "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
            Some("Debian GNU/Linux 12 (bookworm)"),
        );
        check("PRETTY_NAME='Alpine Linux v3.20'\n", Some("Alpine Linux v3.20"));
        check("PRETTY_NAME=Void\n", Some("Void"));
        check("PRETTY_NAME=\"a \\$HOME\"\n", Some("a $HOME"));
        check("NAME=x\n", None);
    }
}
