//! What a play yields.

use domain::ids::CommandId;
use domain::{OfficeCode, Request, Role, Timestamp};
use uuid::Uuid;

/// One request of one office, ready to be sent as a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The office.
    pub office: OfficeCode,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The role of the person who records it: clerk or chief.
    pub role: Role,
    /// The stream it is about.
    pub stream: Uuid,
    /// How many facts the stream has before it.
    pub expected_version: u32,
    /// The command id to send it with, so that a play can be repeated and adds nothing.
    pub command: CommandId,
    /// The request.
    pub request: Request,
}
