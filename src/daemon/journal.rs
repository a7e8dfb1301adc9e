//! Lines that the journal can explain (`journalctl -x`): sent with the id of their entry in the catalog.
//!
//! Only those go to the journal's own socket; all others to standard error, which the journal knows to be the unit's
//! even when the process is gone. Nothing is lost where there is no journal: then these go there as well.

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

// What a line is about, as the target of its event: it says both which entry explains it and what filters can name.
pub(super) const OPENED: &str = "prunella::incident::opened";
pub(super) const REOPENED: &str = "prunella::incident::reopened";
pub(super) const PROPOSED: &str = "prunella::incident::proposed";
pub(super) const ACTING: &str = "prunella::incident::acting";
pub(super) const REFUTED: &str = "prunella::incident::refuted";
pub(super) const ESCALATED: &str = "prunella::incident::escalated";
pub(super) const UNTOLD: &str = "prunella::incident::untold";
pub(super) const RESOLVED: &str = "prunella::incident::resolved";
pub(super) const PAUSED: &str = "prunella::incident::paused";

/// Entries of `packaging/usr/lib/systemd/catalog/prunella.catalog`. An id once given is never given to another.
const CATALOG: [(&str, &str); 9] = [
    (OPENED, "e7ec07deac834a0ba2ae4bb275392530"),
    (REOPENED, "264424b92aa64a9889de25bd174d4619"),
    (PROPOSED, "765818b47e1d468098aa72fafbeb66a6"),
    (ACTING, "96edd46508804934a103e1e1adbfa970"),
    (REFUTED, "c6a741e7966b4057861a3a21792f4771"),
    (ESCALATED, "4500a4ecca874701addde0380c3f180f"),
    (UNTOLD, "4cf73c2bbcbd407d9e1bc3bced2ffb9c"),
    (RESOLVED, "9000459a326f4934a1283202a00d0257"),
    (PAUSED, "d31b6b0d563d415ea84b02926f37b759"),
];

/// Of systemd-journald(8).
const SOCKET: &str = "/run/systemd/journal/socket";

/// Where the log goes.
#[derive(Debug)]
pub(super) struct Journal {
    /// None where there is no journal, or standard error is not the journal's: a person at a terminal reads that.
    socket: Option<UnixDatagram>,
}

impl Journal {
    /// `ours` says that systemd has connected standard error to the journal.
    pub(super) fn new(ours: bool) -> Self {
        let connected = || {
            let socket = UnixDatagram::unbound().ok()?;
            socket.connect(SOCKET).ok()?;
            // A journal that takes nothing must not hold up the loop.
            socket.set_nonblocking(true).ok()?;
            Some(socket)
        };
        Self { socket: ours.then(connected).flatten() }
    }
}

impl<'a> MakeWriter<'a> for Journal {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { socket: None, level: Level::INFO, text: Vec::new() }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line<'a> {
        let entry = CATALOG.iter().find(|(target, _)| *target == meta.target());
        let socket = self.socket.as_ref().zip(entry.map(|(_, id)| *id));
        Line { socket, level: *meta.level(), text: Vec::new() }
    }
}

/// One line, sent when it is complete.
#[derive(Debug)]
pub(super) struct Line<'a> {
    socket: Option<(&'a UnixDatagram, &'static str)>,
    level: Level,
    text: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let sent =
            self.socket.is_some_and(|(socket, id)| socket.send(&fields(&self.text, self.level, id)).is_ok());
        if !sent {
            // Where even that fails there is nobody to tell.
            let _ = io::stderr().lock().write_all(&self.text);
        }
    }
}

/// As systemd's "Native Journal Protocol" has it: what may hold the end of a line is sent with its length.
fn fields(text: &[u8], level: Level, id: &str) -> Vec<u8> {
    let text = text.trim_ascii_end();
    let mut message = b"MESSAGE\n".to_vec();
    message.extend((text.len() as u64).to_le_bytes());
    message.extend(text);
    let priority = priority(level);
    message.extend(format!("\nPRIORITY={priority}\nMESSAGE_ID={id}\nSYSLOG_IDENTIFIER=prunellad\n").bytes());
    message
}

/// Of syslog(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../packaging/usr/lib/systemd/catalog/prunella.catalog");

    #[test]
    fn every_id_is_explained_once_and_every_explanation_is_used() {
        let explained: Vec<&str> = SHIPPED.lines().filter_map(|line| line.strip_prefix("-- ")).collect();
        let sent: Vec<&str> = CATALOG.iter().map(|(_, id)| *id).collect();
        assert_eq!(explained, sent);
        let all = |id: &str| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(sent.iter().all(|id| all(id)));
        let different: std::collections::BTreeSet<_> = sent.iter().collect();
        assert_eq!(different.len(), sent.len());
    }

    #[test]
    fn a_line_with_two_lines_is_one_message() {
        let sent = fields(b"one\ntwo\n", Level::WARN, "0123");
        assert_eq!(
            sent,
            b"MESSAGE\n\x07\0\0\0\0\0\0\0one\ntwo\nPRIORITY=4\nMESSAGE_ID=0123\nSYSLOG_IDENTIFIER=prunellad\n"
        );
    }
}
