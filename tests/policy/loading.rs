//! Directories, masks, overrides, and files that root must not obey.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use prunella::policy::{self, PolicyErrors, Sources};

struct Host {
    root: tempfile::TempDir,
    sources: Sources,
}

impl Host {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for directory in ["usr", "etc"] {
            std::fs::create_dir(at(directory)).unwrap();
            std::fs::set_permissions(at(directory), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let sources =
            Sources { builtin: true, shipped: at("usr"), operator: at("etc"), main: at("prunella.toml") };
        Self { root, sources }
    }

    fn write(self, path: &str, text: &str) -> Self {
        let path = self.root.path().join(path);
        std::fs::write(&path, text).unwrap();
        self.mode(&path, 0o644)
    }

    fn mode(self, path: &Path, mode: u32) -> Self {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn rules(&self) -> Vec<String> {
        let policy = policy::load(&self.sources).unwrap_or_else(|errors| panic!("{errors}"));
        policy.rules.iter().map(|rule| rule.name.to_string()).collect()
    }

    fn errors(&self) -> PolicyErrors {
        policy::load(&self.sources).unwrap_err()
    }

    fn refused(&self, expected: &str) {
        let told = self.errors().to_string();
        assert!(told.contains(expected) && told.contains("help: "), "{told}");
    }
}

const RULE: &str = "[[rule]]\nname = \"mine\"\nsubject = \"unit\"\nwhen = \"restarts > 3\"\n";

#[test]
fn without_any_file_the_shipped_policy_is_in_force() {
    let host = Host::new();
    assert!(host.rules().contains(&"unit-failed".to_owned()));
    let nowhere = Sources {
        shipped: "/nonexistent/a".into(),
        operator: "/nonexistent/b".into(),
        main: "/nonexistent/c.toml".into(),
        ..host.sources
    };
    assert!(policy::load(&nowhere).is_ok());
}

#[test]
fn a_file_of_the_same_name_replaces_and_an_empty_one_masks() {
    let host = Host::new().write("etc/10-units.toml", RULE);
    assert!(host.rules().contains(&"mine".to_owned()));
    assert!(!host.rules().contains(&"unit-failed".to_owned()));
    let host = Host::new().write("usr/10-units.toml", RULE).write("etc/10-units.toml", "");
    assert!(!host.rules().contains(&"mine".to_owned()));
    assert!(!host.rules().contains(&"unit-failed".to_owned()));
    let host = Host::new();
    std::os::unix::fs::symlink("/dev/null", host.root.path().join("etc/10-units.toml")).unwrap();
    assert!(!host.rules().contains(&"unit-failed".to_owned()));
    assert!(host.rules().contains(&"ledger-degraded".to_owned()));
}

#[test]
fn later_files_override_single_keys() {
    let host = Host::new()
        .write("etc/50-a.toml", "[limits]\nsettle = \"5s\"\n[limits.backoff]\nfirst = \"20s\"\n")
        .write(
            "prunella.toml",
            "[limits.backoff]\nfactor = 2\n[[rule]]\nname = \"unit-failed\"\noverride = true\nmode = \"observe\"\n",
        );
    let policy = policy::load(&host.sources).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(policy.limits.settle.as_secs(), 5);
    assert_eq!(policy.limits.backoff.first.as_secs(), 20);
    assert!((policy.limits.backoff.factor - 2.0).abs() < f64::EPSILON);
    let rule = policy.rules.iter().find(|rule| rule.name.as_str() == "unit-failed").unwrap();
    assert_eq!((rule.mode, rule.attempts), (prunella::model::Mode::Observe, 4));
}

#[test]
fn a_rule_can_be_switched_off() {
    let off = "[[rule]]\nname = \"unit-failed\"\noverride = true\nenabled = false\n";
    assert!(!Host::new().write("prunella.toml", off).rules().contains(&"unit-failed".to_owned()));
}

#[test]
fn other_files_are_passed_over() {
    let host = Host::new()
        .write("etc/.hidden.toml", "nonsense")
        .write("etc/50-mine.toml.rpmsave", "nonsense")
        .write("etc/README", "nonsense");
    host.rules();
}

#[test]
fn all_files_with_mistakes_are_told_at_once() {
    let host = Host::new()
        .write("etc/50-a.toml", "a = b\n")
        .write("etc/60-b.toml", "[limits]\nsetle = \"3s\"\n")
        .write(
            "etc/70-c.toml",
            "[[rule]]\nname = \"from-the-broken-file\"\noverride = true\nmode = \"auto\"\n",
        );
    let errors = host.errors();
    let files: Vec<bool> =
        ["50-a", "60-b"].iter().map(|n| errors.to_string().contains(&format!("{n}.toml:"))).collect();
    assert_eq!(files, [true, true], "{errors}");
    assert!(
        !errors.to_string().contains("to override"),
        "it may be in the file that has a mistake: {errors}"
    );
}

#[test]
fn links_pipes_directories_and_large_or_foreign_files_are_refused() {
    let host = Host::new().write("elsewhere", RULE);
    let link = host.root.path().join("etc/50-a.toml");
    std::os::unix::fs::symlink(host.root.path().join("elsewhere"), &link).unwrap();
    host.refused("is a link");
    std::fs::remove_file(&link).unwrap();
    std::fs::create_dir(&link).unwrap();
    host.refused("is not a regular file");
    std::fs::remove_dir(&link).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &link, rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
    host.refused("is not a regular file");
    std::fs::remove_file(&link).unwrap();
    let host = host.write("etc/50-a.toml", &"# \n".repeat(200_000));
    host.refused("larger than 256 KiB");
    std::fs::write(&link, b"# fine\nname = \"\xff\"\n").unwrap();
    host.refused("line 2 is not UTF-8");
}

#[test]
fn candidates_are_judged_in_the_place_they_would_have() {
    let host = Host::new().write("etc/50-a.toml", RULE).write("50-a.toml", "[[rule]]\nname = \"other\"\n");
    let candidate = host.root.path().join("50-a.toml");
    let told = policy::load_with(&host.sources, std::slice::from_ref(&candidate)).unwrap_err().to_string();
    assert!(told.contains("50-a.toml:1:1") && told.contains("has no `when`"), "{told}");
    let host = host.write("50-a.toml", &RULE.replace("mine", "other"));
    let rules = policy::load_with(&host.sources, &[candidate]).unwrap().rules;
    let has = |name: &str| rules.iter().any(|rule| rule.name.as_str() == name);
    assert!(has("other") && !has("mine"), "the file of the same name is replaced");
}

#[test]
fn the_reference_lists_every_field() {
    let page = policy::reference();
    assert!(
        page.contains("| `active_state` | a text |")
            && page.contains("| `restart-with-dependencies` | unit | high")
    );
}

#[test]
fn the_digest_tells_policies_apart() {
    let digest = |host: &Host| policy::load(&host.sources).unwrap().digest;
    let host = Host::new();
    let before = digest(&host);
    assert_eq!(before.len(), 64);
    assert_eq!(before, digest(&host));
    let host = host.write("prunella.toml", "# nothing\n");
    assert_ne!(before, digest(&host));
}

#[test]
fn the_directories_to_watch_are_named() {
    let paths = policy::watch_paths(&Sources::default());
    let names: Vec<&str> = paths.iter().filter_map(|path| path.to_str()).collect();
    assert_eq!(names, ["/usr/lib/prunella/policy.d", "/etc/prunella/policy.d", "/etc/prunella"]);
}
