//! What the root daemon links: asked of cargo, so that it holds on machines without cargo-deny (deny.toml says the
//! same to those that have it).

use std::process::Command;

use crate::source::root;

/// TLS stacks, HTTP clients and the Kubernetes client belong to the relay; the others are second ways to do what the
/// house does in one way.
const BANNED: &[&str] = &[
    "rustls",
    "native-tls",
    "openssl",
    "openssl-sys",
    "boring",
    "ring",
    "aws-lc-rs",
    "reqwest",
    "ureq",
    "isahc",
    "curl",
    "hyper-rustls",
    "hyper-tls",
    "tonic",
    "kube",
    "kube-client",
    "k8s-openapi",
    "async-std",
    "smol",
    "async-io",
    "async-executor",
    "async-global-executor",
    "libsystemd",
    "sqlx",
    "sled",
    "smartstring",
];

/// Licences that Apache-2.0 can be shipped with. The same list stands in deny.toml.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// What `cargo tree` prints for a build with this feature, one `NAME|LICENCE|FEATURES` a line.
fn linked_with(feature: &str) -> Vec<String> {
    let done = Command::new(env!("CARGO"))
        .current_dir(root())
        .args([
            "tree",
            "--locked",
            "--offline",
            "--edges",
            "normal",
            "--no-default-features",
            "--features",
            feature,
        ])
        .args(["--prefix", "none", "--no-dedupe", "--format", "{p}|{l}|{f}"])
        .output()
        .unwrap();
    assert!(done.status.success(), "cargo tree: {}", String::from_utf8_lossy(&done.stderr));
    let mut lines: Vec<String> = String::from_utf8(done.stdout).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines.dedup();
    assert!(lines.len() > 20, "cargo tree shows only {} packages: it can't have looked", lines.len());
    lines
}

fn linked() -> Vec<String> {
    linked_with("agent")
}

fn name(line: &str) -> &str {
    line.split([' ', '|']).next().unwrap()
}

/// An SPDX expression that the list satisfies: one side of each OR, all sides of each AND.
fn acceptable(expression: &str) -> bool {
    // Some crates still write `MIT/Apache-2.0`, which always meant OR. Parentheses group ORs inside an AND only.
    let plain = expression.replace('/', " OR ");
    if let Some((before, rest)) = plain.split_once('(') {
        let (inner, after) = rest.split_once(')').unwrap_or((rest, ""));
        let outside = format!("{before}{}{after}", if acceptable(inner) { "MIT" } else { "Refused" });
        return acceptable(&outside);
    }
    plain.split(" OR ").any(|option| option.split(" AND ").all(|one| LICENCES.contains(&one.trim())))
}

#[test]
fn the_agent_links_no_tls_no_http_client_and_no_kubernetes() {
    let found: Vec<String> = linked().into_iter().filter(|line| BANNED.contains(&name(line))).collect();
    assert!(found.is_empty(), "linked by the agent:\n{}", found.join("\n"));
}

#[test]
fn the_agent_has_no_hyper_client() {
    for line in linked() {
        let features = line.rsplit('|').next().unwrap();
        let client = features.split(',').any(|feature| feature.trim() == "client");
        assert!(!(client && name(&line).starts_with("hyper")), "{line}");
    }
}

/// The default build is the agent's: what is built beside it shares its dependencies.
#[test]
fn the_default_build_has_the_dependencies_of_the_agent() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let default: Vec<&str> =
        manifest["features"]["default"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert_eq!(default, ["agent", "cli"]);
}

/// One TLS stack with one provider of its cryptography, and the client that is known.
#[test]
fn the_relay_links_rustls_with_ring_and_nothing_else_of_the_kind() {
    let linked = linked_with("relay");
    let banned = BANNED.iter().filter(|name| !["rustls", "ring", "hyper-rustls"].contains(*name));
    let found: Vec<&&str> =
        banned.filter(|banned| linked.iter().any(|line| name(line) == **banned)).collect();
    assert!(found.is_empty(), "linked by the relay: {found:?}");
    for wanted in ["rustls", "ring", "hyper-rustls"] {
        assert!(
            linked.iter().any(|line| name(line) == wanted),
            "the relay does without {wanted}: strike it here"
        );
    }
}

#[test]
fn every_licence_fits() {
    let found: Vec<String> = linked()
        .into_iter()
        .chain(linked_with("relay"))
        .filter(|line| !acceptable(line.split('|').nth(1).unwrap()))
        .collect();
    assert!(found.is_empty(), "not on the list in tests/tidy/dependencies.rs:\n{}", found.join("\n"));
}

#[test]
fn licence_expressions_are_read_right() {
    for good in [
        "MIT",
        "MIT OR GPL-3.0",
        "GPL-3.0/MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "MIT AND (Zlib OR GPL-2.0)",
    ] {
        assert!(acceptable(good), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(GPL-2.0 OR GPL-3.0) AND MIT"] {
        assert!(!acceptable(bad), "{bad}");
    }
}

#[test]
fn every_dependency_comes_from_the_registry() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let strange: Vec<&str> = lock
        .lines()
        .filter(|line| line.starts_with("source = "))
        .filter(|line| !line.contains("registry+https://github.com/rust-lang/crates.io-index"))
        .collect();
    assert!(strange.is_empty(), "not from crates.io:\n{}", strange.join("\n"));
}

/// It is a package of its own, with a lock file that nobody writes by building this one.
#[test]
fn the_fuzz_targets_lock_what_the_package_depends_on() {
    let read = |path: &str| {
        let text = std::fs::read_to_string(root().join(path)).unwrap();
        text.parse::<toml::Table>().unwrap()
    };
    let manifest = read("Cargo.toml");
    // What is optional is locked there only when it is asked for.
    let all = manifest["dependencies"].as_table().unwrap().iter();
    let always = all.filter(|(_, it)| it.get("optional").and_then(toml::Value::as_bool) != Some(true));
    let mut wanted: Vec<&str> = always.map(|(name, _)| name.as_str()).collect();
    let lock = read("fuzz/Cargo.lock");
    let packages = lock["package"].as_array().unwrap();
    let package = packages.iter().find(|it| it["name"].as_str() == Some("prunella")).unwrap();
    let named = package["dependencies"].as_array().unwrap().iter();
    // With several versions of one package, the entry names the version too.
    let mut locked: Vec<&str> = named.map(|it| it.as_str().unwrap().split(' ').next().unwrap()).collect();
    wanted.sort_unstable();
    locked.sort_unstable();
    assert_eq!(locked, wanted, "run `cargo update --workspace` in fuzz/");
}
