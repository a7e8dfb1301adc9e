//! The files that say how near the host is to a limit: `file-nr`, and those of one number.

use crate::sense::Malformed;
use crate::sense::scan::{fields, number, one};

/// Open files of the host, `/proc/sys/fs/file-nr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHandles {
    pub allocated: u64,
    /// 2⁶³ - 1 where systemd raised it: as good as none.
    pub most: u64,
}

impl FileHandles {
    /// From `750 0 2466170`; the middle one is always 0 since 2.6.
    ///
    /// # Errors
    /// When the line is not understood or does not end.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        one("file-nr", bytes, |line| {
            let mut fields = fields(line);
            let (allocated, _free) = (fields.number()?, fields.number()?);
            Some(Self { allocated, most: fields.number()? })
        })
    }
}

/// A file that is one number: `pid_max`, `threads-max`, `nf_conntrack_count`, `nf_conntrack_max`, and most of a
/// control group's.
///
/// # Errors
/// When it is something else, or does not end its line.
pub fn single(bytes: &[u8]) -> Result<u64, Malformed> {
    one("a file of one number", bytes, |line| number(line.trim_ascii()))
}
