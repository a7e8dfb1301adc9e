//! People are told once, of the end too, and by another way when the first fails.

use std::time::Duration;

use prunella::model::Severity;
use prunella::relay::alerts::hmac_sha256;

use crate::process::{relay, wait_for};
use crate::receiver::{Act, Receiver};
use crate::stand_in::{StandIn, escalated, opened, resolved};

fn config(stand_in: &StandIn, routes: &[&Receiver], folder: &std::path::Path) -> String {
    std::fs::write(folder.join("secret"), "key of a test\n").unwrap();
    let mut text = format!(
        "[agent]\nsocket = {:?}\n[prometheus]\nenabled = false\n[alerts]\nnext_route_after = \"2s\"\n",
        stand_in.socket
    );
    for route in routes {
        text += &format!(
            "[[route]]\nkind = \"webhook\"\nurl = \"{}/hook\"\nsecret_file = {:?}\ntimeout = \"1s\"\n",
            route.url(),
            folder.join("secret")
        );
    }
    text
}

/// What a hook has heard, as `STATUS INCIDENT`, each signature checked.
fn heard(receiver: &Receiver) -> Vec<String> {
    let book = receiver.book.lock().unwrap();
    let one = |(_, head, body): &(String, String, Vec<u8>)| {
        let code: String =
            hmac_sha256(b"key of a test", body).iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(
            head.to_ascii_lowercase().contains(&format!("x-prunella-signature: sha256={code}")),
            "{head}"
        );
        let said: serde_json::Value = serde_json::from_slice(body).unwrap();
        format!("{} {}", said["status"].as_str().unwrap(), said["incident"]["id"].as_str().unwrap())
    };
    book.posts.iter().map(one).collect()
}

pub(crate) fn webhooks() {
    let folder = tempfile::tempdir().unwrap();
    let mut stand_in = StandIn::start(folder.path(), 21);
    // Long over: nobody is to hear of it.
    stand_in.append([opened(1), escalated(1, Severity::Page), resolved(1)]);
    let (first, second) = (Receiver::start(Act::Take), Receiver::start(Act::Take));
    let _relay = relay(folder.path(), &config(&stand_in, &[&first, &second], folder.path()));
    stand_in.append([opened(2), escalated(2, Severity::Page), opened(3)]);
    wait_for("the page", || (heard(&first) == ["firing inc-2"]).then_some(()));
    stand_in.append([resolved(2)]);
    wait_for("its end", || (heard(&first) == ["firing inc-2", "resolved inc-2"]).then_some(()));
    assert!(heard(&second).is_empty());
    first.act(Act::Status(500));
    stand_in.append([opened(4), escalated(4, Severity::Page)]);
    wait_for("the second route", || (heard(&second) == ["firing inc-4"]).then_some(()));
    first.act(Act::Take);
    wait_for("the first hears of it", || (heard(&first).last()? == "firing inc-4").then_some(()));
    stand_in.append([resolved(4)]);
    for route in [&first, &second] {
        wait_for("the end, by both", || (heard(route).last()? == "resolved inc-4").then_some(()));
    }
}

pub(crate) fn restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut stand_in = StandIn::start(folder.path(), 22);
    stand_in.append([opened(1), escalated(1, Severity::Page)]);
    let route = Receiver::start(Act::Take);
    let text = config(&stand_in, &[&route], folder.path());
    let mut first = relay(folder.path(), &text);
    wait_for("the page", || (heard(&route).len() == 1).then_some(()));
    wait_for("that is remembered", || {
        let state = std::fs::read_to_string(folder.path().join("relay/alerts.json")).ok()?;
        state.contains("firing").then_some(())
    });
    first.kill();
    let _second = relay(folder.path(), &text);
    // A later page comes through, and the earlier one has not come again before it.
    std::thread::sleep(Duration::from_secs(1));
    stand_in.append([opened(2), escalated(2, Severity::Page)]);
    wait_for("the later page", || (heard(&route).last()? == "firing inc-2").then_some(()));
    assert_eq!(heard(&route), ["firing inc-1", "firing inc-2"]);
    stand_in.append([resolved(1)]);
    wait_for("the end of the earlier", || (heard(&route).last()? == "resolved inc-1").then_some(()));
}
