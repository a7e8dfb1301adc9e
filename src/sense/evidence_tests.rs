#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use proptest::prelude::*;

use super::*;
use crate::manager::{ManagerError, News, Order, RestraintOrder};
use crate::model::{JobResult, SystemState};

#[test]
fn secrets_are_masked() {
    let cases = [
        ("password=hunter2", "password=[masked]"),
        ("DB_PASSWORD=hunter2 host=db", "DB_PASSWORD=[masked] host=db"),
        ("Password: hunter2", "Password: [masked]"),
        ("{\"api_key\": \"abc\", \"user\": \"me\"}", "{\"api_key\": \"[masked]\", \"user\": \"me\"}"),
        ("token='a b c' next", "token='[masked]' next"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [masked]"),
        ("authorization=Basic dXNlcg==", "authorization=Basic [masked]"),
        ("Cookie: a=1; session=2", "Cookie: [masked]"),
        ("postgres://app:hunter2@db:5432/x", "postgres://app:[masked]@db:5432/x"),
        ("https://app:p@ss@db/x", "https://app:[masked]@db/x"),
        ("GET /login?token=abc&user=me", "GET /login?token=[masked]&user=me"),
        ("run --password hunter2 --verbose", "run --password [masked] --verbose"),
        ("run --auth-token=abc", "run --auth-token=[masked]"),
        ("client_secret=x,scope=y", "client_secret=[masked],scope=y"),
        ("AWS_SECRET_ACCESS_KEY=abc/def", "AWS_SECRET_ACCESS_KEY=[masked]"),
        // Talk about secrets is not a secret.
        ("password authentication failed", "password authentication failed"),
        ("the token expired", "the token expired"),
        ("https://example.org/a:b@c", "https://example.org/a:b@c"),
        ("password=", "password="),
        ("péage password=ä", "péage password=[masked]"),
    ];
    for (line, expected) in cases {
        assert_eq!(mask_secrets(line, &[]), expected, "{line:?}");
    }
}

#[test]
fn the_policy_names_more_of_them() {
    let names = ["customer_id".to_owned(), "token-of".to_owned()];
    let check = |line: &str, expected: &str| assert_eq!(mask_secrets(line, &names), expected);
    check("Customer_ID=4711 paid", "Customer_ID=[masked] paid");
    check("a customer_id is missing", "a customer_id is missing");
    check("token-of=x password=y", "token-of=[masked] password=[masked]");
}

#[test]
fn nothing_paints_the_terminal() {
    assert_eq!(clean_line("a\u{1b}[2Jb\rc\0"), "a\\u{1b}[2Jb\\rc\\u{0}");
    assert_eq!(clean_line("tab\tstays, ümlaut too"), "tab\tstays, ümlaut too");
    assert_eq!(clean_line("x\u{202e}y\u{9b}"), "x\\u{202e}y\\u{9b}");
}

#[test]
fn lines_are_few_and_short() {
    let lines: Vec<_> = (0..100).map(|n| format!("{n} {}", "ä".repeat(2000))).collect();
    let kept = clean(&lines, &[], 3);
    assert_eq!(kept.len(), 3);
    assert!(kept[0].starts_with("97 "));
    assert!(kept.iter().all(|line| line.len() <= EVIDENCE_LINE_BYTES_MAX));
}

proptest! {
    #[test]
    fn any_line_comes_out_clean(line in "\\PC*|[\\x00-\\xff]*|((password|token|cookie|://|--|[:=@\"' ]|bearer|ä){1,2}){0,20}") {
        let clean = clean_line(&line);
        prop_assert!(clean.len() <= EVIDENCE_LINE_BYTES_MAX);
        prop_assert!(clean.chars().all(|c| !c.is_control() || c == '\t'));
    }

    #[test]
    fn a_secret_never_survives(secret in "[a-z0-9]{8,20}", name in "(db_)?(password|secret|token|api_key)", sep in "(=|: | = |=\")") {
        let masked = mask_secrets(&format!("x {name}{sep}{secret}"), &[]);
        prop_assert!(!masked.contains(&secret), "{}", masked);
    }
}

/// Answers at once, late or not at all.
struct Scripted {
    slow: bool,
}

impl ServiceManager for Scripted {
    fn name(&self) -> String {
        "scripted".into()
    }

    fn list<'a>(&'a self, _: &'a [UnitName]) -> BoxFuture<'a, Result<Vec<UnitStatus>, ManagerError>> {
        std::future::pending().boxed()
    }

    fn look<'a>(&'a self, unit: &'a UnitName) -> BoxFuture<'a, Result<UnitStatus, ManagerError>> {
        std::future::ready(Err(ManagerError::NoSuchUnit(unit.clone()))).boxed()
    }

    fn system_state(&self) -> BoxFuture<'_, Reading<SystemState>> {
        std::future::pending().boxed()
    }

    fn news(&self) -> BoxFuture<'_, News> {
        std::future::pending().boxed()
    }

    fn order<'a>(
        &'a self,
        _: Order,
        _: &'a UnitName,
        _: Duration,
    ) -> BoxFuture<'a, Result<JobResult, ManagerError>> {
        std::future::pending().boxed()
    }

    fn restrain<'a>(&'a self, order: RestraintOrder<'a>) -> BoxFuture<'a, Result<String, ManagerError>> {
        async move { Ok(format!("{:?} {}", order.restraint, order.unit)) }.boxed()
    }

    fn last_lines<'a>(&'a self, _: &'a UnitName, _: usize) -> BoxFuture<'a, Reading<Vec<String>>> {
        if self.slow {
            return std::future::pending().boxed();
        }
        std::future::ready(Reading::Value(vec!["token=abc\u{7}".into()])).boxed()
    }
}

async fn taken(slow: bool) -> Evidence {
    taken_by(slow, &LogPrivacy::Masked([].into())).await
}

async fn taken_by(slow: bool, privacy: &LogPrivacy) -> Evidence {
    let unit = UnitName::parse("web.service").unwrap();
    take(&Scripted { slow }, Path::new("/proc"), &unit, privacy, Duration::from_millis(500)).await
}

#[tokio::test]
async fn what_the_policy_withholds_is_not_even_asked_for() {
    let evidence = taken_by(true, &LogPrivacy::Withheld).await;
    assert_eq!(evidence.log, Reading::Absent(Absence::Withheld));
}

#[tokio::test(start_paused = true)]
async fn what_is_late_is_failed_and_the_rest_is_kept() {
    let evidence = taken(true).await;
    assert!(matches!(evidence.log, Reading::Failed(why) if why.contains("500ms")));
    assert!(matches!(evidence.unit, Reading::Failed(why) if why.contains("no unit")));
}

#[tokio::test]
async fn lines_are_cleaned_on_the_way() {
    assert_eq!(taken(false).await.log, Reading::Value(vec!["token=[masked]".to_owned()]));
}
