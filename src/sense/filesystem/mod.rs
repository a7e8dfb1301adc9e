//! What is mounted, and how much room there is.
//!
//! Owns the selection of the mounts that count, each file system once, and asking them without ever being blocked by
//! one. Must not judge what full is.

mod gauge;
mod pace;
mod reader;
mod room;
mod table;

pub use gauge::WriteGauge;
pub use pace::{LOOK_LATEST, Moment, RoomPace};
pub use reader::{FilesystemReader, MountsSeenFrom};
pub(super) use room::open_beneath;
pub use room::{DEADLINE, HANGING_MAX, MountId, Question, RoomAsker};
pub use table::{FILESYSTEMS_MAX, MountFlags, MountTable, Mounted, read_table};
