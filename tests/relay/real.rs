//! Receivers that nobody here wrote.
pub(crate) fn rotel() {}
pub(crate) fn alertmanager() {}
pub(crate) fn prometheus() {}
pub(crate) fn no_rotel() -> Option<String> {
    Some("x".into())
}
pub(crate) fn no_alertmanager() -> Option<String> {
    Some("x".into())
}
pub(crate) fn no_prometheus() -> Option<String> {
    Some("x".into())
}
