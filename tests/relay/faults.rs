//! Receivers, agents and relays that fail; every record must arrive all the same.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prunella::model::Seq;

use crate::process::{Program, relay, wait_for};
use crate::receiver::{Act, Receiver, Stream, prove};
use crate::stand_in::{StandIn, opened};

/// Short, so that a test does not wait for what never comes.
const QUICK: &str = "connect_timeout = \"1s\"\ntimeout = \"1s\"\n";

fn config(stand_in: &StandIn, receivers: &[&Receiver], more: &str) -> String {
    let mut text = format!("[agent]\nsoket = {:?}\n", stand_in.socket).replace("soket", "socket");
    for receiver in receivers {
        text += &format!("[[otlp]]\nurl = \"{}\"\n{QUICK}", receiver.url());
    }
    text + &format!(
        "[prometheus]\nenabled = false\n[delivery]\nheartbeat = \"1h\"\nhost_metrics = false\nrecords_per_second = 1000000\n{more}"
    )
}

/// Waits until the agent has heard that everything is with the receiver, and proves it. The number of repeats.
fn check(stand_in: &StandIn, receivers: &[&Receiver]) -> usize {
    let head = stand_in.head();
    wait_for("all is acknowledged", || (stand_in.acknowledged() >= head.seq).then_some(()));
    let arrived: Vec<_> = receivers.iter().flat_map(|receiver| receiver.arrived()).collect();
    prove(&arrived, stand_in.chain(), head)
}

pub(crate) fn plain() {
    let folder = tempfile::tempdir().unwrap();
    let mut stand_in = StandIn::start(folder.path(), 1);
    stand_in.fill(5000);
    let receiver = Receiver::start(Act::Take);
    let _relay = relay(folder.path(), &config(&stand_in, &[&receiver], ""));
    assert_eq!(check(&stand_in, &[&receiver]), 0, "repeats without a reason");
    let began = Instant::now();
    stand_in.fill(1);
    check(&stand_in, &[&receiver]);
    assert!(began.elapsed() < Duration::from_secs(5), "a new record waits for {:?}", began.elapsed());
}

pub(crate) fn each_fault() {
    let faults = [
        Act::Silence,
        Act::Refuse,
        Act::Status(500),
        Act::Status(502),
        Act::Status(503),
        Act::Status(401),
        Act::Status(404),
        Act::Status(400),
        Act::Later(2),
        Act::TakeAndCut,
        Act::Garbage,
        Act::Portal,
        Act::Endless,
        Act::Dribble,
    ];
    let cases: Vec<_> = faults
        .into_iter()
        .map(|fault| {
            std::thread::spawn(move || {
                let folder = tempfile::tempdir().unwrap();
                let mut stand_in = StandIn::start(folder.path(), 2);
                stand_in.fill(300);
                let receiver = Receiver::start(fault.clone());
                let mut relay =
                    relay(folder.path(), &config(&stand_in, &[&receiver], "records_per_request = 100\n"));
                if fault == Act::Refuse {
                    std::thread::sleep(Duration::from_secs(2));
                } else {
                    wait_for("a second try", || (receiver.requests() >= 2).then_some(()));
                }
                assert_eq!(stand_in.acknowledged(), Seq(0), "{fault:?}");
                stand_in.fill(300);
                receiver.act(Act::Take);
                let repeats = check(&stand_in, &[&receiver]);
                assert!(relay.runs());
                let aside = folder.path().join("relay/set-aside.jsonl");
                assert!(!aside.exists(), "{fault:?}: something was set aside");
                eprintln!("{fault:?}: 600 records arrived, {repeats} repeats");
            })
        })
        .collect();
    cases.into_iter().for_each(|case| case.join().unwrap());
}

pub(crate) fn failover() {
    let folder = tempfile::tempdir().unwrap();
    let mut stand_in = StandIn::start(folder.path(), 3);
    stand_in.fill(500);
    let (first, second) = (Receiver::start(Act::Silence), Receiver::start(Act::Take));
    let _relay = relay(folder.path(), &config(&stand_in, &[&first, &second], ""));
    check(&stand_in, &[&first, &second]);
    assert_eq!((first.count(), second.count()), (0, usize::try_from(stand_in.head().seq.0).unwrap()));
    first.act(Act::Take);
    wait_for("the first is returned to", || {
        stand_in.fill(1);
        std::thread::sleep(Duration::from_millis(200));
        (first.count() > 0).then_some(())
    });
    check(&stand_in, &[&first, &second]);
}

pub(crate) fn poison() {
    let folder = tempfile::tempdir().unwrap();
    let mut stand_in = StandIn::start(folder.path(), 4);
    stand_in.fill(1000);
    let receiver = Receiver::start(Act::Not(417));
    let _relay = relay(folder.path(), &config(&stand_in, &[&receiver], ""));
    let head = stand_in.head();
    wait_for("all but one is settled", || (stand_in.acknowledged() >= head.seq).then_some(()));
    assert_eq!(receiver.count(), usize::try_from(head.seq.0).unwrap() - 1);
    let aside = std::fs::read_to_string(folder.path().join("relay/set-aside.jsonl")).unwrap();
    let aside: Vec<serde_json::Value> =
        aside.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(aside.len(), 1);
    assert_eq!((&aside[0]["seq"], aside[0]["why"].as_str()), (&417.into(), Some("400 no")));
}

pub(crate) fn small_requests() {
    let folder = tempfile::tempdir().unwrap();
    let mut stand_in = StandIn::start(folder.path(), 5);
    stand_in.fill(1000);
    let receiver = Receiver::start(Act::AtMost(70));
    let _relay = relay(folder.path(), &config(&stand_in, &[&receiver], ""));
    assert_eq!(check(&stand_in, &[&receiver]), 0);
}

/// Kills at moments between a start and some hundred milliseconds later, so that all parts of a life are met.
pub(crate) fn kills() {
    const KILLS: u64 = 100;
    let folder = tempfile::tempdir().unwrap();
    let mut stand_in = StandIn::start(folder.path(), 6);
    let receiver = Receiver::start(Act::Take);
    let text = config(&stand_in, &[&receiver], "records_per_request = 50\n");
    let seed = u64::from(std::process::id());
    eprintln!("kills: seed {seed}");
    let mut lives_with_records = 0;
    for kill in 0..KILLS {
        stand_in.fill(200);
        let before = receiver.count();
        let mut relay = relay(folder.path(), &text);
        // A multiplier that visits the whole span; no two runs alike.
        std::thread::sleep(Duration::from_millis(20 + (seed + kill * 7919) % 97 * 2));
        relay.kill();
        lives_with_records += usize::from(receiver.count() > before);
    }
    let _relay = relay(folder.path(), &text);
    let repeats = check(&stand_in, &[&receiver]);
    let records = stand_in.head().seq;
    eprintln!(
        "kills: {KILLS}, {lives_with_records} with records; {records} records arrived, {repeats} repeats"
    );
    assert!(lives_with_records > 20, "only {lives_with_records} lives were long enough to ship anything");
}

pub(crate) fn new_chain() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(Act::Take);
    let mut old = StandIn::start(folder.path(), 7);
    old.fill(300);
    let _relay = relay(folder.path(), &config(&old, &[&receiver], ""));
    check(&old, &[&receiver]);
    drop(old);
    let mut new = StandIn::start(folder.path(), 8);
    new.fill(40);
    check(&new, &[&receiver]);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// With and without an incident that is open: the relay then begins its reading at another place.
pub(crate) fn power_cut() {
    for (chain, incident) in [(11, false), (12, true)] {
        // Less than was shipped, and more.
        for after in [5, 90] {
            let folder = tempfile::tempdir().unwrap();
            let (state, kept) = (folder.path().join(format!("state-{chain}")), folder.path().join("kept"));
            let receiver = Receiver::start(Act::Take);
            let mut stand_in = StandIn::start(folder.path(), chain);
            stand_in.fill(100);
            stand_in.append(incident.then(|| opened(1)));
            let text = config(&stand_in, &[&receiver], "");
            drop(stand_in);
            copy(&state, &kept);
            let mut stand_in = StandIn::start(folder.path(), chain);
            stand_in.fill(30);
            let mut relay_before = relay(folder.path(), &text);
            check(&stand_in, &[&receiver]);
            relay_before.kill();
            drop(stand_in);
            std::fs::remove_dir_all(&state).unwrap();
            copy(&kept, &state);
            let mut stand_in = StandIn::start(folder.path(), chain);
            stand_in.fill(after);
            let relay_after = relay(folder.path(), &text);
            let head = stand_in.head();
            wait_for("the new last record", || {
                receiver.arrived().iter().any(|record| record.place == head).then_some(())
            });
            prove(&receiver.arrived(), stand_in.chain(), head);
            assert!(
                relay_after.log().contains("another way") || relay_after.log().contains("does not go on")
            );
        }
    }
}

pub(crate) fn agent_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(Act::Take);
    let mut stand_in = StandIn::start(folder.path(), 9);
    stand_in.fill(100);
    let _relay = relay(folder.path(), &config(&stand_in, &[&receiver], ""));
    check(&stand_in, &[&receiver]);
    drop(stand_in);
    std::thread::sleep(Duration::from_secs(1));
    let mut stand_in = StandIn::start(folder.path(), 9);
    stand_in.fill(100);
    assert_eq!(check(&stand_in, &[&receiver]), 0);
}

fn openssl(folder: &Path, arguments: &str) {
    let done = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output().unwrap();
    assert!(done.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A certificate of `NAME.pem` and `NAME.key`, signed by `ca`, or by itself.
fn certificate(folder: &Path, name: &str, ca: Option<&str>, days: &str) {
    openssl(
        folder,
        &format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"
        ),
    );
    let (extensions, sign) = match ca {
        Some(ca) => ("subjectAltName=IP:127.0.0.1", format!("-CA {ca}.pem -CAkey {ca}.key -CAcreateserial")),
        None => ("basicConstraints=critical,CA:TRUE", format!("-signkey {name}.key")),
    };
    std::fs::write(folder.join("ext"), extensions).unwrap();
    openssl(folder, &format!("x509 -req -in {name}.csr -out {name}.pem {sign} {days} -extfile ext"));
}

fn tls_receiver(folder: &Path, name: &str, clients: Option<&str>) -> Receiver {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let load = |name: &str| CertificateDer::from_pem_file(folder.join(format!("{name}.pem"))).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(load(ca)).unwrap();
            let roots = Arc::new(roots);
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots, provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key"))).unwrap();
    let config = Arc::new(builder.with_single_cert(vec![load(name)], key).unwrap());
    Receiver::start_with(Act::Take, move |stream| {
        let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        Some(Box::new(rustls::StreamOwned::new(connection, stream)) as Box<dyn Stream>)
    })
}

pub(crate) fn certificates() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    certificate(at, "ca", None, "-days 30");
    certificate(at, "other-ca", None, "-days 30");
    certificate(at, "good", Some("ca"), "-days 30");
    certificate(at, "expired", Some("ca"), "-days -1");
    certificate(at, "client", Some("ca"), "-days 30");
    let mut stand_in = StandIn::start(at, 10);
    stand_in.fill(20);
    let start = |receiver: &Receiver, more: &str| -> Program {
        let state = at.join("relay");
        if state.exists() {
            std::fs::remove_dir_all(state).unwrap();
        }
        let plain = config(&stand_in, &[receiver], "");
        let url = receiver.url().replace("http:", "https:");
        let text =
            plain.replace(&format!("url = \"{}\"\n", receiver.url()), &format!("url = \"{url}\"\n{more}"));
        let _ = std::fs::remove_file(at.join("relay.log"));
        relay(at, &text)
    };
    let ca = format!("ca_file = {:?}\n", at.join("ca.pem"));
    let other = format!("ca_file = {:?}\n", at.join("other-ca.pem"));
    let mine = format!(
        "{ca}certificate_file = {:?}\nkey_file = {:?}\n",
        at.join("client.pem"),
        at.join("client.key")
    );
    // Who is shown and who is asked for; whether records may go there, or what is said.
    let cases = [
        ("good", None, &ca, None),
        ("good", None, &other, Some("UnknownIssuer")),
        ("expired", None, &ca, Some("xpired")),
        ("good", Some("ca"), &mine, None),
        ("good", Some("ca"), &ca, Some("ertificateRequired")),
    ];
    for (server, clients, more, said) in cases {
        let receiver = tls_receiver(at, server, clients);
        let relay = start(&receiver, more);
        match said {
            None => {
                wait_for("all arrived", || (receiver.count() >= 21).then_some(()));
                prove(&receiver.arrived(), stand_in.chain(), stand_in.head());
            }
            Some(said) => {
                wait_for(said, || relay.log().contains(said).then_some(()));
                assert_eq!(receiver.count(), 0, "{server} {more}");
            }
        }
    }
}

/// The relay's own disk takes nothing: records arrive all the same, and the agent hears only of what is written down.
pub(crate) fn full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut stand_in = StandIn::start(folder.path(), 40);
    stand_in.fill(300);
    let receiver = Receiver::start(Act::Take);
    // Where the new file is to be made, something else is in the way.
    let in_the_way = folder.path().join("relay/position.json.new");
    std::fs::create_dir_all(&in_the_way).unwrap();
    let relay = relay(folder.path(), &config(&stand_in, &[&receiver], "records_per_request = 100\n"));
    let arrive = |stand_in: &StandIn| {
        let head = stand_in.head().seq;
        wait_for("all to arrive", || {
            receiver.arrived().iter().any(|record| record.place.seq == head).then_some(())
        });
    };
    arrive(&stand_in);
    stand_in.fill(50);
    arrive(&stand_in);
    assert_eq!(stand_in.acknowledged(), Seq(0), "nothing is written down");
    assert!(relay.log().contains("position.json"), "it tells of it");
    std::fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(check(&stand_in, &[&receiver]), 0, "nothing is shipped again for it");
}
