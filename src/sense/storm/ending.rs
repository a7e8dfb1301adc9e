//! What `bpf/endings.bpf.c` writes: counts, and a ring of the newest endings. Any bytes are read without a panic; what
//! makes no sense is left out.

use std::time::Duration;

/// Endings that the ring holds (`RING`). A look at 20,000 a minute needs 340; faster storms are told by their newest.
pub const RING: usize = 512;
const HEAD_BYTES: usize = 24;
pub(in crate::sense) const ENDING_BYTES: usize = 64;
/// `sizeof(struct endings)`: 33 KB.
pub const ENDINGS_BYTES: usize = HEAD_BYTES + RING * ENDING_BYTES;
/// Of a name of the kernel's.
pub(super) const NAME_BYTES: usize = 16;

/// `ENDING_THREAD`.
const THREAD: u32 = 1;

/// Where a member of `struct ending` begins; a test compares it with the object's own types.
pub(in crate::sense) mod at {
    pub(in crate::sense) const NUMBER: usize = 0;
    pub(in crate::sense) const LIVED_NS: usize = 8;
    pub(in crate::sense) const CGROUP: usize = 16;
    pub(in crate::sense) const MAKER: usize = 24;
    pub(in crate::sense) const MARKS: usize = 28;
    pub(in crate::sense) const COMM: usize = 32;
    pub(in crate::sense) const MAKER_COMM: usize = 48;
}

/// One task that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// They are counted from 1, since the hook was loaded.
    pub number: u64,
    pub lived: Duration,
    /// The kernel's number of its control group; 0 when it is not known.
    pub group: u64,
    /// The process that made it: its parent, or for a thread the process that it was of.
    pub maker: i32,
    pub thread: bool,
    pub name: [u8; NAME_BYTES],
    pub maker_name: [u8; NAME_BYTES],
}

/// All that was written since the hook was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endings {
    pub processes: u64,
    pub threads: u64,
    /// The newest, at most [`RING`], in no order.
    pub newest: Vec<Ending>,
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

fn name(bytes: &[u8], at: usize) -> Option<[u8; NAME_BYTES]> {
    let mut name: [u8; NAME_BYTES] = bytes.get(at..at.checked_add(NAME_BYTES)?)?.try_into().ok()?;
    // What is behind the closing zero is left from longer names.
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(NAME_BYTES);
    name[end..].fill(0);
    Some(name)
}

impl Endings {
    /// From the whole value; none when it is shorter. An ending that is just being written is left out. The programs
    /// are for little-endian machines.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let ring = bytes.get(HEAD_BYTES..ENDINGS_BYTES)?;
        let newest =
            ring.chunks_exact(ENDING_BYTES).enumerate().filter_map(|(place, it)| Ending::parse(it, place));
        Some(Self { processes: long(bytes, 0)?, threads: long(bytes, 8)?, newest: newest.collect() })
    }
}

impl Ending {
    fn parse(bytes: &[u8], place: usize) -> Option<Self> {
        let number = long(bytes, at::NUMBER)?;
        // Each number has its place; 0 is none.
        let here = usize::try_from(number % RING as u64).ok()? == place;
        let maker = word(bytes, at::MAKER)?.cast_signed();
        (number > 0 && here && maker >= 0).then_some(())?;
        Some(Self {
            number,
            lived: Duration::from_nanos(long(bytes, at::LIVED_NS)?),
            group: long(bytes, at::CGROUP)?,
            maker,
            thread: word(bytes, at::MARKS)? & THREAD != 0,
            name: name(bytes, at::COMM)?,
            maker_name: name(bytes, at::MAKER_COMM)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(number: u64, maker: u32, marks: u32) -> Vec<u8> {
        let mut bytes = vec![0; ENDINGS_BYTES];
        bytes[..8].copy_from_slice(&7_u64.to_le_bytes());
        bytes[8..16].copy_from_slice(&2_u64.to_le_bytes());
        let begin = HEAD_BYTES + usize::try_from(number % RING as u64).expect("small") * ENDING_BYTES;
        let it = &mut bytes[begin..begin + ENDING_BYTES];
        it[at::NUMBER..][..8].copy_from_slice(&number.to_le_bytes());
        it[at::LIVED_NS..][..8].copy_from_slice(&1_500_000_u64.to_le_bytes());
        it[at::CGROUP..][..8].copy_from_slice(&99_u64.to_le_bytes());
        it[at::MAKER..][..4].copy_from_slice(&maker.to_le_bytes());
        it[at::MARKS..][..4].copy_from_slice(&marks.to_le_bytes());
        it[at::COMM..][..8].copy_from_slice(b"date\0old");
        it[at::MAKER_COMM..][..4].copy_from_slice(b"cron");
        bytes
    }

    #[test]
    fn what_was_written_is_read() {
        let read = Endings::parse(&written(515, 812, 0)).expect("whole");
        assert_eq!((read.processes, read.threads, read.newest.len()), (7, 2, 1));
        let it = &read.newest[0];
        assert_eq!((it.number, it.maker, it.group, it.thread), (515, 812, 99, false));
        assert_eq!(it.lived, Duration::from_micros(1500));
        assert_eq!(
            (&it.name, &it.maker_name),
            (b"date\0\0\0\0\0\0\0\0\0\0\0\0", b"cron\0\0\0\0\0\0\0\0\0\0\0\0")
        );
        assert!(Endings::parse(&written(3, 812, THREAD)).expect("whole").newest[0].thread);
    }

    #[test]
    fn what_is_half_written_or_damaged_is_left_out() {
        assert_eq!(Endings::parse(&written(515, 812, 0)[1..]), None, "too short");
        // A number that is not of its place; none at all; a pid that can't be.
        let mut moved = written(515, 812, 0);
        moved.copy_within(HEAD_BYTES + 3 * ENDING_BYTES..HEAD_BYTES + 4 * ENDING_BYTES, HEAD_BYTES);
        assert_eq!(Endings::parse(&moved).expect("whole").newest.len(), 1);
        assert!(Endings::parse(&written(0, 812, 0)).expect("whole").newest.is_empty());
        assert!(Endings::parse(&written(1, u32::MAX, 0)).expect("whole").newest.is_empty());
    }
}
