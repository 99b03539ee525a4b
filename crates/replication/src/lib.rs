//! How two offices come to hold the same log: state machines without input, output or clock.
//!
//! Scope: what is said on one link between two offices and what follows from it. Every log has
//! one writer (origin) and is mirrored by the other side (follower); both directions and any
//! number of logs share the link, and neither side of it is special. Time comes in as a
//! parameter, work for the disk, the keys and the socket goes out as actions.
//!
//! Not in scope: sockets, TLS, tasks (`node`), protobuf (`wire`), storage (`journal`), what is
//! in a record beyond its header, who is enrolled (`identity`, `node`), how a fork is resolved
//! (a person does that).
//!
//! Invariants: nothing is answered before it is durable · nothing enters a mirror except through
//! `evidence::verify` · a contradiction is kept and shown, never healed · "live" is said only of
//! a recent signed head that is held in full · no error, text or `Debug` carries record content.
//!
//! Modules:
//! * [`message`] what is said; [`session`] one link, with the order of the protocol and how to
//!   drive it; [`action`] what a session asks of its driver
//! * [`origin`] and [`follower`] the two parts in a log; [`giving`] and [`recovery`] the way back
//!   of records that their writer lost
//! * [`message::AttachmentMessage`]: sealed files that follow the records which name them
//! * `keys` the lane for wraps of keys
//! * [`relay`] and `witness` who else co-signs a head: asking for it, and doing it
//! * [`status`] what an operator may rely on
//! * [`backoff`] when to dial again; [`limits`] every number; [`now`] time as it comes in

pub mod action;
mod attachments;
pub mod backoff;
pub mod follower;
pub mod giving;
mod head;
mod keys;
pub mod limits;
pub mod message;
pub mod now;
pub mod origin;
mod pace;
mod previews;
mod queue;
pub mod recovery;
pub mod relay;
pub mod session;
pub mod status;
mod witness;

pub use action::{
    Action, AttachmentAsk, AttachmentTicket, AttachmentTrouble, Close, CommitBatch, CommitTicket,
    CosignatureKind, Countersigned, EntriesRead, EpochRefused, EpochTicket, Failure, Fault,
    FindUrgent, Greeted, KeepKeys, KeepTicket, KeysTicket, Mirrored, NewEpoch, Offered, Party,
    PeerForgot, PersistHead, PersistTicket, PersistWitness, PreviewAsk, PreviewRead, PreviewTicket,
    Previewed, ProveHead, ProveTicket, ReadEntries, ReadKeys, ReadPreview, ReadRegister, ReadRoot,
    ReadTicket, Recall, RecallTicket, Recovered, Register, RegisterTicket, Rest, RootTicket,
    SignHead, SignTicket, SignedHead, StoreCosignature, WitnessTicket,
};
pub use backoff::{Backoff, BackoffError};
pub use follower::MirroredLog;
pub use giving::GivenLog;
pub use limits::{LimitError, Limits};
pub use message::{
    ATTACHMENTS, AttachmentAbsent, AttachmentMessage, AttachmentPiece, AttachmentWanted, Cosigned,
    EARLIER_LINES, Entries, Head, HeadAccepted, Held, Hello, Holding, KEYS, KeyWrap, Keys,
    KeysWanted, MEMORY, Message, PREVIEWS, PROTOCOL, Preview, RETURN, RefusalCode, Refused, Return,
    Role, WITNESS, Witness, Witnessed, WitnessedHead,
};
pub use now::Now;
pub use origin::OwnLog;
pub use recovery::{LostEpoch, Recover};
pub use relay::{Candidate, Offer, Schedule};
pub use session::{ConfigError, Session, SessionConfig};
pub use status::{LinkState, LogState, LogStatus, PeerClock, Status};
