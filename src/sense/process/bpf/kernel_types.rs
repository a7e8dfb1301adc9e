//! The kernel's numbers of its functions and tracepoints, from its own description of its types (BTF, `Documentation/bpf/btf.rst`).
//!
//! It is five megabytes: read as a stream, twice, and nothing of it kept. Must not call bpf(2).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Seek, SeekFrom};
use std::path::Path;

/// Where the kernel shows it (5.4, with `CONFIG_DEBUG_INFO_BTF`).
pub(super) const KERNEL_TYPES: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xeb9f;
const HEADER: u64 = 24;
const FUNCTION: u32 = 12;
/// Of a tracepoint the kernel keeps the type of its handlers, under a name of its own.
const TYPE_NAME: u32 = 8;
/// A name of the kernel has up to 512 characters; longer ones are passed over.
const NAME_MAX: u64 = 1024;
/// The longest of the lists behind a type: 65,535 members.
const BUFFER: usize = 64 * 1024;

/// Bytes behind the first twelve of a type, by its kind and how many members it has.
fn more(kind: u32, members: i64) -> Option<i64> {
    Some(match kind {
        // Integer, variable, tag of a declaration.
        1 | 14 | 17 => 4,
        // Pointer, forward, typedef, volatile, const, restrict, function, float, tag of a type.
        2 | 7..=12 | 16 | 18 => 0,
        // Array.
        3 => 12,
        // Structure, union, section, enumeration of 64 bits.
        4 | 5 | 15 | 19 => members * 12,
        // Enumeration, signature.
        6 | 13 => members * 8,
        _ => return None,
    })
}

fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

/// The numbers of those of these functions and type names that the kernel has.
pub(super) fn functions<'a>(path: &Path, wanted: &[&'a str]) -> Result<BTreeMap<&'a str, u32>> {
    #[expect(clippy::disallowed_methods, reason = "the kernel shows its types in a file")]
    let mut file = BufReader::with_capacity(BUFFER, File::open(path)?);
    let mut header = [0; 24];
    file.read_exact(&mut header)?;
    let word = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if u16::from_ne_bytes([header[0], header[1]]) != MAGIC || u64::from(word(4)) < HEADER {
        return Err(damaged("its beginning is not that of BTF"));
    }
    let body = u64::from(word(4));
    let (types_at, types) = (u64::from(word(8)), u64::from(word(12)));
    let (names_at, names) = (u64::from(word(16)), u64::from(word(20)));

    file.seek(SeekFrom::Start(body + names_at))?;
    let places = places(&mut file, names, wanted)?;
    file.seek(SeekFrom::Start(body + types_at))?;
    numbers(&mut file, types, &places)
}

/// Where the wanted names stand among the names.
fn places<'a>(file: &mut impl BufRead, length: u64, wanted: &[&'a str]) -> Result<BTreeMap<u32, &'a str>> {
    let (mut found, mut name, mut at) = (BTreeMap::new(), Vec::new(), 0_u64);
    while at < length {
        name.clear();
        let read = file.by_ref().take(NAME_MAX).read_until(0, &mut name)?;
        if read == 0 {
            return Err(damaged("it ends within its names"));
        }
        let text = name.strip_suffix(&[0]).unwrap_or(&name);
        if let Some(wanted) = wanted.iter().find(|wanted| wanted.as_bytes() == text) {
            found.insert(u32::try_from(at).map_err(Error::other)?, *wanted);
        }
        at += read as u64;
    }
    Ok(found)
}

/// Types are counted from 1 in the order of their description.
fn numbers<'a>(
    file: &mut (impl BufRead + Seek),
    length: u64,
    places: &BTreeMap<u32, &'a str>,
) -> Result<BTreeMap<&'a str, u32>> {
    let (mut found, mut at, mut number) = (BTreeMap::new(), 0_u64, 0_u32);
    while at < length && found.len() < places.len() {
        number += 1;
        let mut head = [0; 12];
        file.read_exact(&mut head)?;
        let name = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]);
        let info = u32::from_ne_bytes([head[4], head[5], head[6], head[7]]);
        let (kind, members) = (info >> 24 & 0x1f, i64::from(info & 0xffff));
        if matches!(kind, FUNCTION | TYPE_NAME)
            && let Some(name) = places.get(&name)
        {
            found.insert(*name, number);
        }
        let more = more(kind, members).ok_or_else(|| damaged("it has a kind of type that is not known"))?;
        skip(file, more.unsigned_abs())?;
        at += 12 + more.unsigned_abs();
    }
    Ok(found)
}

/// Within the buffer as a rule, so without a system call.
fn skip(file: &mut impl BufRead, mut bytes: u64) -> Result<()> {
    while bytes > 0 {
        let there = file.fill_buf()?.len() as u64;
        if there == 0 {
            return Err(damaged("it ends within its types"));
        }
        let step = there.min(bytes);
        file.consume(usize::try_from(step).map_err(Error::other)?);
        bytes -= step;
    }
    Ok(())
}
