//! `/proc/net/dev` (proc_pid_net(5)): the interfaces of this network namespace.

use crate::model::Bytes;
use crate::sense::Malformed;
use crate::sense::scan::{Fields, fields, find, rows};

/// One direction. Since boot, or since the interface came; some drivers start over when it is taken down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    pub bytes: Bytes,
    pub packets: u64,
    pub errors: u64,
    pub dropped: u64,
    /// Overruns of the device's queue.
    pub overruns: u64,
}

/// One interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceRow<'a> {
    /// Any bytes but blanks, `/` and `:`, up to 15.
    pub name: &'a [u8],
    pub received: Traffic,
    /// Frames received with a wrong form.
    pub framing: u64,
    pub sent: Traffic,
    /// Transmissions that lost the carrier, and the like.
    pub carrier: u64,
    pub collisions: u64,
}

/// The interfaces, in the kernel's order.
pub fn interfaces(bytes: &[u8]) -> impl Iterator<Item = Result<InterfaceRow<'_>, Malformed>> {
    // The two lines of the heading have bars between their columns; a name can't hold one and a colon behind it.
    rows("net/dev", bytes, is_heading, row)
}

fn is_heading(line: &[u8]) -> bool {
    line.starts_with(b"Inter-|") || line.starts_with(b" face |")
}

fn row(line: &[u8]) -> Option<InterfaceRow<'_>> {
    // Right behind the colon a number may follow without a blank.
    let colon = find(line, b':')?;
    let name = line[..colon].trim_ascii();
    if name.is_empty() {
        return None;
    }
    let mut fields = fields(&line[colon + 1..]);
    let received = traffic(&mut fields)?;
    let framing = fields.number()?;
    let (_compressed, _multicast) = (fields.number()?, fields.number()?);
    let sent = traffic(&mut fields)?;
    let (collisions, carrier) = (fields.number()?, fields.number()?);
    Some(InterfaceRow { name, received, framing, sent, carrier, collisions })
}

fn traffic(fields: &mut Fields<'_>) -> Option<Traffic> {
    Some(Traffic {
        bytes: fields.amount()?,
        packets: fields.number()?,
        errors: fields.number()?,
        dropped: fields.number()?,
        overruns: fields.number()?,
    })
}
