//! Rows that are known by name from pass to pass: devices and interfaces.
//!
//! The kernel lists them in the same order each time, so that a row is found where the one before it stood. Grows
//! only when something new appears, up to a bound; rows beyond it are counted and not kept.

/// Most rows that are kept of one table. A row beyond it costs a search at each pass, and nothing else.
pub(super) const ROWS_MAX: usize = 1024;
/// Longest name of a block device (`DISK_NAME_LEN`); interfaces have half of it.
const NAME_MAX: usize = 32;

/// A name, in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    bytes: [u8; NAME_MAX],
    length: usize,
}

impl Name {
    /// `None` when it is longer than any.
    fn new(name: &[u8]) -> Option<Self> {
        let mut bytes = [0; NAME_MAX];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        Some(Self { bytes, length: name.len() })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// For people; another form of bytes that are no text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(self.as_bytes()).into_owned()
    }
}

#[derive(Debug)]
pub(super) struct Row<T> {
    pub(super) name: Name,
    pub(super) held: T,
    seen: u64,
}

/// The rows of one file.
#[derive(Debug)]
pub(super) struct Table<T> {
    rows: Vec<Row<T>>,
    pass: u64,
    /// Where the next row should be.
    next: usize,
    left_out: usize,
}

impl<T> Table<T> {
    pub(super) const fn new() -> Self {
        Self { rows: Vec::new(), pass: 0, next: 0, left_out: 0 }
    }

    /// A new pass begins.
    pub(super) const fn begin(&mut self) {
        self.pass += 1;
        self.next = 0;
        self.left_out = 0;
    }

    /// The row of this name, and whether it is new. `None` when there is no room for it.
    pub(super) fn row(&mut self, name: &[u8], make: impl FnOnce() -> T) -> Option<(&mut T, bool)> {
        let known = |row: &Row<T>| row.name.as_bytes() == name;
        let at = match self.rows.get(self.next).filter(|row| known(row)) {
            Some(_) => Some(self.next),
            None => self.rows.iter().position(known),
        };
        let (at, new) = match (at, Name::new(name)) {
            (Some(at), _) => (at, false),
            (None, Some(name)) if self.rows.len() < ROWS_MAX => {
                self.rows.push(Row { name, held: make(), seen: 0 });
                (self.rows.len() - 1, true)
            }
            (None, _) => {
                self.left_out += 1;
                return None;
            }
        };
        self.next = at + 1;
        let row = &mut self.rows[at];
        row.seen = self.pass;
        Some((&mut row.held, new))
    }

    /// The row that was added last.
    pub(super) fn newest(&mut self) -> Option<&mut T> {
        self.rows.last_mut().map(|row| &mut row.held)
    }

    /// Nothing is known any more.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.left_out = 0;
    }

    /// A row that was not understood.
    pub(super) const fn leave_out(&mut self) {
        self.left_out += 1;
    }

    /// The pass is over: what it did not list is gone.
    pub(super) fn end(&mut self) {
        let pass = self.pass;
        self.rows.retain(|row| row.seen == pass);
    }

    pub(super) fn rows(&self) -> &[Row<T>] {
        &self.rows
    }

    pub(super) fn rows_mut(&mut self) -> &mut [Row<T>] {
        &mut self.rows
    }

    /// Rows of the last pass that are not kept.
    pub(super) const fn left_out(&self) -> usize {
        self.left_out
    }
}
