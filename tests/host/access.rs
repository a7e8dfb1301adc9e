//! Who may ask, who may command, and whose files are obeyed: with real users, who only root can make and become.

use std::time::Duration;

use prunella::model::RecordBody;
use prunella::serve::limits::{MEMBER_CONNECTIONS_PER_UID_MAX, STRANGER_CONNECTIONS_PER_UID_MAX};

use crate::agent::Agent;
use crate::harness::{Host, Suite};

/// Talks to the socket as another user; see its head.
const PEER: &str = include_str!("peer.py");
/// A user in no group of the agent's, one who may read, one who may command.
const USERS: &str = "useradd -M sam; useradd -M -G prunella rita; useradd -M -G prunella-admin anna";

/// Adds these trials; they need `PRUNELLA_DEB`.
pub(crate) fn add(suite: &mut Suite) {
    suite.nspawn_with_package("access::groups_decide", || groups_decide(&prepared("groups")));
    suite.nspawn_with_package("access::seats_of_one_user", || seats(&prepared("seats")));
    suite.nspawn_with_package("access::files_of_strangers_are_not_obeyed", || {
        strangers_files(&Agent::install(Host::nspawn("strangers")));
    });
}

fn prepared(label: &str) -> Agent {
    let agent = Agent::install(Host::nspawn(label));
    agent.ok(USERS);
    agent.write("/usr/lib/peer.py", PEER);
    agent
}

fn peer(agent: &Agent, args: &[&str]) -> String {
    let out = agent.exec_within(Duration::from_secs(60), &[&["python3", "/usr/lib/peer.py"], args].concat());
    assert!(out.code == 0, "{args:?}: {out}");
    out.stdout.trim().to_owned()
}

/// The credentials that the kernel vouches for decide, with the groups that the host knows.
fn groups_decide(agent: &Agent) {
    let both = |user| {
        let read = peer(agent, &["ask", user, "GET", "/v1/status"]);
        (read, peer(agent, &["ask", user, "POST", "/v1/pause"]))
    };
    let paused = || agent.ledger().has(|body| matches!(body, RecordBody::Paused { .. }));
    let codes = |read: &str, command: &str| (read.to_owned(), command.to_owned());
    assert_eq!(both("sam"), codes("403", "403"));
    assert_eq!(
        peer(agent, &["ask", "sam", "GET", "/nothing/here"]),
        "403",
        "a stranger does not learn what there is"
    );
    assert_eq!(both("rita"), codes("200", "403"));
    assert!(!paused(), "nothing of these reached the engine");
    assert_eq!(both("anna"), codes("200", "200"));
    agent.until_recorded("the pause to be written down, with who asked", |it| {
        it.has(|body| matches!(body, RecordBody::Paused { by, .. } if by.name == "anna"))
    });
}

/// One user takes all of their seats, is told so, and is in nobody's way.
fn seats(agent: &Agent) {
    for (user, seats) in [("rita", MEMBER_CONNECTIONS_PER_UID_MAX), ("sam", STRANGER_CONNECTIONS_PER_UID_MAX)]
    {
        // Once asked, their groups are known, and the seat is decided when connecting.
        peer(agent, &["ask", user, "GET", "/v1"]);
        let seats = seats.to_string();
        assert_eq!(peer(agent, &["crowd", user, &seats, "anna"]), "extra 503, other 200", "{user}");
    }
}

fn strangers_files(agent: &Agent) {
    let file = "/etc/prunella/policy.d/50-test.toml";
    agent.set_policy("[limits]\nsettle = \"2s\"\n");
    let refused = |prepare: &str, says: &str| {
        agent.ok(prepare);
        let out = agent.sh("prunella reload");
        let said = format!("{}{}", out.stdout, out.stderr);
        assert!(out.code != 0 && said.contains(says), "{prepare}: {out}");
    };
    refused(&format!("chmod 666 {file}"), "can be written by others (mode 0666)");
    refused(
        &format!("chmod 644 {file}; chmod 777 /etc/prunella/policy.d"),
        "can be written by others (mode 0777)",
    );
    refused(&format!("chmod 755 /etc/prunella/policy.d; chown 65534 {file}"), "belongs to the user 65534");
    agent.ok(&format!("chown 0 {file}; prunella reload"));
}
