//! What is taken, and what is said of what is not.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("relay.toml"), text).map_err(|error| error.to_string())
}

#[test]
fn nothing_at_all_is_a_relay_for_prometheus_alone() {
    let config = parse("").unwrap();
    assert_eq!((config.receivers.len(), config.alerts.routes.len()), (0, 0));
    assert_eq!(config.listen, Some("127.0.0.1:9464".parse().unwrap()));
    assert_eq!(config.socket, Path::new("/run/prunella/prunella.sock"));
}

#[test]
fn the_shipped_example_is_taken_with_every_line_in_force() {
    let text = include_str!("../../../packaging/usr/share/doc/prunella/examples/relay.toml");
    parse(text).unwrap();
    let all: Vec<&str> = text
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .collect();
    let config = parse(&all.join("\n")).unwrap();
    assert_eq!((config.receivers.len(), config.alerts.routes.len()), (2, 3));
}

/// `said` is in what is said of the text.
fn check(text: &str, said: &str) {
    let error = parse(text).unwrap_err();
    assert!(error.contains("relay.toml") && error.contains(said), "{text}\n{error}");
}

#[test]
fn mistakes_are_shown_where_they_are() {
    check("[agent]\nsoket = \"/x\"", "line 2");
    check("[agent]\nsoket = \"/x\"", "unknown field `soket`");
    check("[[otlp]]\nurl = \"collector:4318\"", "line 2");
    check("[[otlp]]\nurl = \"ftp://collector\"", "https://HOST:PORT");
    check("[[otlp]]\nurl = \"https://me:secret@collector\"", "no password");
    check("[[otlp]]\nurl = \"https://c\"\ntimeout = \"1x\"", "line 3");
    check("[[otlp]]\nurl = \"https://c\"\ntimeout = \"9d\"", "between a second and a day");
    check("[[otlp]]\nurl = \"https://c\"\nkey_file = \"/k\"", "belong together");
    check("[[otlp]]\nurl = \"http://c\"\nbearer_token_file = \"/t\"", "over https");
    check("[[otlp]]\nurl = \"https://c\"\nbearer_token_credential = \"../x\"", "name of a credential");
    check(
        "[[otlp]]\nurl = \"https://c\"\nbearer_token_credential = \"x\"\nbearer_token_file = \"/x\"",
        "one of the two",
    );
    check("[delivery]\nrecords_per_request = 0", "1 to 1000");
    check("[[route]]\nkind = \"webhook\"\nurl = \"https://c\"", "needs secret_file");
    check("[[route]]\nkind = \"carrier-pigeon\"\nurl = \"https://c\"", "line 2");
    check("[prometheus]\nlisten = \"9464\"", "line 2");
    check(&"#".repeat(CONFIG_BYTES_MAX + 1), "longer than");
}

#[test]
fn secrets_are_named_and_never_held() {
    let config =
        parse("[[route]]\nkind = \"pagerduty\"\nsecret_credential = \"pd\"\nseverities = [\"page\"]")
            .unwrap();
    let route = &config.alerts.routes[0];
    assert_eq!(route.kind, RouteKind::Pagerduty { key: Secret::Credential("pd".into()) });
    assert_eq!((route.page, route.ticket), (true, false));
    assert_eq!(
        route.target.url.join("/v2/enqueue").unwrap().to_string(),
        "https://events.pagerduty.com/v2/enqueue"
    );
}
