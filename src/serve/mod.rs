//! The Unix-socket API: read-only snapshots, and commands that become inputs of the engine.
//!
//! HTTP/1.1 and JSON, so that `curl --unix-socket` works. Peer credentials (`SO_PEERCRED`) and group
//! membership decide who may read and who may command. What a peer sends becomes a closed [`Request`] in one
//! pure function, [`parse`]; what is malformed below HTTP (a broken or oversized head) is answered by hyper
//! with an empty 400 or 431, everything else with a JSON error. Must not change the engine in any other way
//! than by a command, and must not block the loop's threads.

mod access;
mod admission;
mod answer;
mod cgroups;
mod duration;
mod error;
mod history;
pub mod limits;
mod metrics;
mod people;
mod printable;
mod processes;
mod records;
mod request;
mod run;
mod socket;
mod throttle;
mod view;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use access::{Right, Standing, authorize, standing};
pub use answer::{CommandRequest, ReloadRequest, Shared};
pub use cgroups::Cgroups;
pub use duration::{NotADuration, parse_duration};
pub use error::{ApiError, ErrorBody, ErrorCode};
pub use history::{HISTORY_SINCE, HistorySource, NoAnswer, history_path, parse_moment};
pub use people::{Directory, Person, SystemDirectory};
pub use printable::printable;
pub use processes::{NoProcess, ProcessSource};
pub use records::{NotShipped, RecordSource};
pub use request::{
    CgroupSort, CgroupsQuery, ENDPOINTS, Parts, ProcessQuery, ProcessesQuery, RecordsQuery, Request, Shipped,
    Which, parse,
};
pub use run::run;
pub use socket::{Bound, SocketError, bind};
pub use view::*;
