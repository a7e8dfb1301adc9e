//! What the agent itself takes of the host, and how much less often it looks when that is too much.
//!
//! Must not decide what people are told: that is for the policy's rules.

mod reader;
mod thrift;

pub use reader::{OwnReader, Taken};
pub use thrift::Thrift;
