//! Control groups by the kernel's numbers, which are the inodes of their folders: those few are looked for in the tree.
#![expect(clippy::disallowed_methods, reason = "lists the control groups")]

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Groups that are passed on the way: a host of 5,000 with room to spare.
const GROUPS_MAX: usize = 8192;
/// Levels below the root; real trees are less than half as deep.
const DEPTH_MAX: usize = 32;

/// The paths, below the root of the hierarchy, of those of these groups that are there.
pub(super) fn paths(mount: &Path, wanted: &BTreeSet<u64>) -> BTreeMap<u64, Vec<u8>> {
    let mut found = BTreeMap::new();
    if wanted.is_empty() {
        return found;
    }
    if let Ok(root) = std::fs::metadata(mount)
        && wanted.contains(&root.ino())
    {
        found.insert(root.ino(), b"/".to_vec());
    }
    let (mut left, mut seen) = (vec![(mount.to_owned(), Vec::new(), 0)], 0);
    while let Some((folder, path, depth)) = left.pop() {
        // What is gone since has nothing to tell.
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if found.len() >= wanted.len() || seen >= GROUPS_MAX {
                return found;
            }
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            seen += 1;
            let inner: Vec<u8> = [&path[..], b"/", entry.file_name().as_encoded_bytes()].concat();
            if wanted.contains(&entry.ino()) {
                found.insert(entry.ino(), inner.clone());
            }
            if depth < DEPTH_MAX {
                let folder: PathBuf = entry.path();
                left.push((folder, inner, depth + 1));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_found_by_their_number() {
        let root = tempfile::tempdir().expect("a folder");
        let inner = root.path().join("system.slice/cron.service");
        std::fs::create_dir_all(&inner).expect("folders");
        let number = |path: &Path| std::fs::metadata(path).expect("it is there").ino();
        let wanted = [number(root.path()), number(&inner), 1 << 60].into();
        let found = paths(root.path(), &wanted);
        assert_eq!(found.get(&number(root.path())).map(Vec::as_slice), Some(&b"/"[..]));
        assert_eq!(found.get(&number(&inner)).map(Vec::as_slice), Some(&b"/system.slice/cron.service"[..]));
        assert_eq!(found.len(), 2);
        assert!(paths(Path::new("/nowhere"), &wanted).is_empty());
    }
}
