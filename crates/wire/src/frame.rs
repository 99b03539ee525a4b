//! Replication messages to frames of the link and back, one to one.
//!
//! Record bytes, notes, cosignature lines and hashes pass unchanged. What the frames say in which
//! order is the business of `replication`; this module only refuses what cannot be a message.

mod attachments;
mod preview;

use evidence::hash::Hash;
use evidence::log::LogName;
use replication::message as m;

use crate::generated::adal::replication::v1 as pb;
use pb::frame::Message as Kind;

/// Why a frame is no message. Carries names of fields only, never their content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Nothing in it that this build knows: a message of a newer protocol. May be ignored.
    #[error("the frame holds no message that this version knows")]
    UnknownMessage,
    /// A field that cannot be what it should.
    #[error("field {field} of the frame is not valid")]
    Field {
        /// Path of the field.
        field: &'static str,
    },
}

fn bad(field: &'static str) -> FrameError {
    FrameError::Field { field }
}

/// The frame of a message.
#[must_use]
pub fn encode_frame(message: m::Message) -> pb::Frame {
    let kind = match message {
        m::Message::Hello(hello) => Kind::Hello(encode_hello(hello)),
        m::Message::Head(head) => Kind::Head(pb::Head {
            log: head.log.to_string(),
            epoch: head.epoch,
            note: head.note,
            old_size: head.old_size,
            proof: encode_proof(&head.proof),
        }),
        m::Message::HeadAccepted(accepted) => Kind::HeadAccepted(pb::HeadAccepted {
            log: accepted.log.to_string(),
            epoch: accepted.epoch,
            size: accepted.size,
            cosignature: accepted.cosignature,
        }),
        m::Message::Entries(entries) => Kind::Entries(pb::Entries {
            log: entries.log.to_string(),
            epoch: entries.epoch,
            first_sequence: entries.first_seq,
            head_size: entries.head_size,
            records: entries.records,
            proof: encode_proof(&entries.proof),
        }),
        m::Message::Held(held) => Kind::Held(pb::Held {
            log: held.log.to_string(),
            epoch: held.epoch,
            size: held.size,
            root: held.root.to_vec(),
            cosignature: held.cosignature,
            cosigned: held.cosigned,
        }),
        m::Message::Refused(refused) => Kind::Refused(pb::Refused {
            log: refused.log.map(|log| log.to_string()),
            epoch: refused.epoch,
            code: encode_code(refused.code).into(),
            text: refused.text,
            note: refused.note,
        }),
        m::Message::Witness(witness) => Kind::Witness(encode_witness(witness)),
        m::Message::Witnessed(witnessed) => Kind::Witnessed(pb::Witnessed {
            log: witnessed.log.to_string(),
            epoch: witnessed.epoch,
            size: witnessed.size,
            cosignature: witnessed.cosignature,
        }),
        m::Message::Cosigned(cosigned) => Kind::Cosigned(pb::Cosigned {
            log: cosigned.log.to_string(),
            epoch: cosigned.epoch,
            size: cosigned.size,
            cosignature: cosigned.cosignature,
        }),
        m::Message::Return(returned) => Kind::Returned(encode_return(returned)),
        m::Message::KeysWanted(wanted) => Kind::KeysWanted(pb::KeysWanted {
            ids: wanted.ids.iter().map(|id| id.to_vec()).collect(),
        }),
        m::Message::Keys(keys) => {
            Kind::Keys(pb::Keys { wraps: keys.wraps.into_iter().map(encode_wrap).collect() })
        }
        m::Message::Attachment(message) => attachments::encode(message),
        m::Message::Preview(message) => preview::encode(message),
        m::Message::Ping { nonce } => Kind::Ping(pb::Ping { nonce }),
        m::Message::Pong { nonce } => Kind::Pong(pb::Pong { nonce }),
    };
    pb::Frame { message: Some(kind) }
}

/// The message of a frame.
///
/// # Errors
/// [`FrameError::UnknownMessage`] for a message of a newer peer, [`FrameError::Field`] where a
/// name or hash cannot be one.
pub fn decode_frame(frame: pb::Frame) -> Result<m::Message, FrameError> {
    Ok(match frame.message.ok_or(FrameError::UnknownMessage)? {
        Kind::Hello(hello) => m::Message::Hello(decode_hello(hello)?),
        Kind::Head(head) => m::Message::Head(m::Head {
            log: log(&head.log, "head.log")?,
            epoch: head.epoch,
            note: head.note,
            old_size: head.old_size,
            proof: proof(&head.proof, "head.proof")?,
        }),
        Kind::HeadAccepted(accepted) => m::Message::HeadAccepted(m::HeadAccepted {
            log: log(&accepted.log, "head_accepted.log")?,
            epoch: accepted.epoch,
            size: accepted.size,
            cosignature: accepted.cosignature,
        }),
        Kind::Entries(entries) => m::Message::Entries(m::Entries {
            log: log(&entries.log, "entries.log")?,
            epoch: entries.epoch,
            first_seq: entries.first_sequence,
            head_size: entries.head_size,
            records: entries.records,
            proof: proof(&entries.proof, "entries.proof")?,
        }),
        Kind::Held(held) => m::Message::Held(m::Held {
            log: log(&held.log, "held.log")?,
            epoch: held.epoch,
            size: held.size,
            root: hash(&held.root, "held.root")?,
            cosignature: held.cosignature,
            cosigned: held.cosigned,
        }),
        Kind::Refused(refused) => m::Message::Refused(decode_refused(refused)?),
        Kind::Witness(witness) => m::Message::Witness(m::Witness {
            log: log(&witness.log, "witness.log")?,
            epoch: witness.epoch,
            note: witness.note,
            old_size: witness.old_size,
            proof: proof(&witness.proof, "witness.proof")?,
        }),
        Kind::Witnessed(witnessed) => m::Message::Witnessed(m::Witnessed {
            log: log(&witnessed.log, "witnessed.log")?,
            epoch: witnessed.epoch,
            size: witnessed.size,
            cosignature: witnessed.cosignature,
        }),
        Kind::Cosigned(cosigned) => m::Message::Cosigned(m::Cosigned {
            log: log(&cosigned.log, "cosigned.log")?,
            epoch: cosigned.epoch,
            size: cosigned.size,
            cosignature: cosigned.cosignature,
        }),
        Kind::Returned(returned) => m::Message::Return(decode_return(returned)?),
        Kind::KeysWanted(wanted) => m::Message::KeysWanted(decode_wanted(&wanted)?),
        Kind::Keys(keys) => m::Message::Keys(m::Keys {
            wraps: keys.wraps.into_iter().map(decode_wrap).collect::<Result<_, _>>()?,
        }),
        Kind::AttachmentWanted(wanted) => attachments::wanted(&wanted)?,
        Kind::AttachmentPiece(piece) => attachments::piece(piece)?,
        Kind::AttachmentAbsent(absent) => attachments::absent(&absent)?,
        Kind::Preview(message) => preview::decode(message)?,
        Kind::Ping(ping) => m::Message::Ping { nonce: ping.nonce },
        Kind::Pong(pong) => m::Message::Pong { nonce: pong.nonce },
    })
}

fn decode_refused(refused: pb::Refused) -> Result<m::Refused, FrameError> {
    Ok(m::Refused {
        log: refused.log.as_deref().map(|name| log(name, "refused.log")).transpose()?,
        epoch: refused.epoch,
        code: decode_code(refused.code()),
        text: refused.text,
        note: refused.note,
    })
}

fn encode_hello(hello: m::Hello) -> pb::Hello {
    pb::Hello {
        protocol: hello.protocol,
        office: hello.office,
        instance: hello.instance.to_vec(),
        software: hello.software,
        holdings: hello.holdings.into_iter().map(encode_holding).collect(),
        features: hello.features,
        witnessed: hello.witnessed.into_iter().map(encode_witnessed).collect(),
        shown: hello.shown.into_iter().map(encode_witnessed).collect(),
    }
}

fn decode_hello(hello: pb::Hello) -> Result<m::Hello, FrameError> {
    Ok(m::Hello {
        protocol: hello.protocol,
        office: hello.office,
        instance: hello.instance.try_into().map_err(|_| bad("hello.instance"))?,
        software: hello.software,
        holdings: hello.holdings.into_iter().map(decode_holding).collect::<Result<_, _>>()?,
        features: hello.features,
        witnessed: hello.witnessed.into_iter().map(decode_witnessed).collect::<Result<_, _>>()?,
        shown: hello.shown.into_iter().map(decode_witnessed).collect::<Result<_, _>>()?,
    })
}

fn encode_witness(witness: m::Witness) -> pb::Witness {
    pb::Witness {
        log: witness.log.to_string(),
        epoch: witness.epoch,
        note: witness.note,
        old_size: witness.old_size,
        proof: encode_proof(&witness.proof),
    }
}

fn encode_return(returned: m::Return) -> pb::Return {
    pb::Return {
        log: returned.log.to_string(),
        epoch: returned.epoch,
        note: returned.note,
        size: returned.size,
        root: returned.root.to_vec(),
        rest: encode_proof(&returned.rest),
        old_size: returned.old_size,
        proof: encode_proof(&returned.proof),
    }
}

fn decode_return(returned: pb::Return) -> Result<m::Return, FrameError> {
    Ok(m::Return {
        log: log(&returned.log, "returned.log")?,
        epoch: returned.epoch,
        note: returned.note,
        size: returned.size,
        root: hash(&returned.root, "returned.root")?,
        rest: proof(&returned.rest, "returned.rest")?,
        old_size: returned.old_size,
        proof: proof(&returned.proof, "returned.proof")?,
    })
}

fn decode_wanted(wanted: &pb::KeysWanted) -> Result<m::KeysWanted, FrameError> {
    let ids = wanted.ids.iter().map(|id| key_id(id)).collect::<Result<_, _>>()?;
    Ok(m::KeysWanted { ids })
}

fn encode_wrap(wrap: m::KeyWrap) -> pb::KeyWrap {
    pb::KeyWrap { id: wrap.id.to_vec(), wrap: wrap.bytes }
}

fn decode_wrap(wrap: pb::KeyWrap) -> Result<m::KeyWrap, FrameError> {
    Ok(m::KeyWrap { id: key_id(&wrap.id)?, bytes: wrap.wrap })
}

fn key_id(bytes: &[u8]) -> Result<[u8; 16], FrameError> {
    bytes.try_into().map_err(|_| bad("keys.id"))
}

fn encode_witnessed(head: m::WitnessedHead) -> pb::WitnessedHead {
    pb::WitnessedHead { log: head.log.to_string(), epoch: head.epoch, note: head.note }
}

fn decode_witnessed(head: pb::WitnessedHead) -> Result<m::WitnessedHead, FrameError> {
    let log = log(&head.log, "hello.witnessed.log")?;
    Ok(m::WitnessedHead { log, epoch: head.epoch, note: head.note })
}

fn encode_holding(holding: m::Holding) -> pb::Holding {
    let role = match holding.role {
        m::Role::Origin => pb::Role::Origin,
        m::Role::Follower => pb::Role::Follower,
    };
    pb::Holding {
        log: holding.log.to_string(),
        epoch: holding.epoch,
        role: role.into(),
        size: holding.size,
        root: holding.root.to_vec(),
        head: holding.head,
        succession: holding.succession,
        first: holding.first.map(|first| first.to_vec()),
    }
}

fn decode_holding(holding: pb::Holding) -> Result<m::Holding, FrameError> {
    let role = match holding.role() {
        pb::Role::Origin => m::Role::Origin,
        pb::Role::Follower => m::Role::Follower,
        pb::Role::Unspecified => return Err(bad("hello.holdings.role")),
    };
    Ok(m::Holding {
        log: log(&holding.log, "hello.holdings.log")?,
        epoch: holding.epoch,
        role,
        size: holding.size,
        root: hash(&holding.root, "hello.holdings.root")?,
        head: holding.head,
        succession: holding.succession,
        first: match &holding.first {
            Some(first) => Some(hash(first, "hello.holdings.first")?),
            None => None,
        },
    })
}

fn encode_code(code: m::RefusalCode) -> pb::RefusalCode {
    match code {
        m::RefusalCode::UnknownLog => pb::RefusalCode::UnknownLog,
        m::RefusalCode::BadSignature => pb::RefusalCode::BadSignature,
        m::RefusalCode::Gap => pb::RefusalCode::Gap,
        m::RefusalCode::Fork => pb::RefusalCode::Fork,
        m::RefusalCode::Rollback => pb::RefusalCode::Rollback,
        m::RefusalCode::WrongKey => pb::RefusalCode::WrongKey,
        m::RefusalCode::DuplicateOffice => pb::RefusalCode::DuplicateOffice,
        m::RefusalCode::IncompatibleVersion => pb::RefusalCode::IncompatibleVersion,
        m::RefusalCode::NotEnrolled => pb::RefusalCode::NotEnrolled,
        m::RefusalCode::Damaged => pb::RefusalCode::Damaged,
        m::RefusalCode::DiskFull => pb::RefusalCode::DiskFull,
        m::RefusalCode::Internal => pb::RefusalCode::Internal,
        m::RefusalCode::IndexBuilding => pb::RefusalCode::IndexBuilding,
        m::RefusalCode::RecreatedLog => pb::RefusalCode::RecreatedLog,
        m::RefusalCode::OldBackup => pb::RefusalCode::OldBackup,
    }
}

/// A code of a newer peer reads as `Internal`; its text still says what happened.
fn decode_code(code: pb::RefusalCode) -> m::RefusalCode {
    match code {
        pb::RefusalCode::UnknownLog => m::RefusalCode::UnknownLog,
        pb::RefusalCode::BadSignature => m::RefusalCode::BadSignature,
        pb::RefusalCode::Gap => m::RefusalCode::Gap,
        pb::RefusalCode::Fork => m::RefusalCode::Fork,
        pb::RefusalCode::Rollback => m::RefusalCode::Rollback,
        pb::RefusalCode::WrongKey => m::RefusalCode::WrongKey,
        pb::RefusalCode::DuplicateOffice => m::RefusalCode::DuplicateOffice,
        pb::RefusalCode::IncompatibleVersion => m::RefusalCode::IncompatibleVersion,
        pb::RefusalCode::NotEnrolled => m::RefusalCode::NotEnrolled,
        pb::RefusalCode::Damaged => m::RefusalCode::Damaged,
        pb::RefusalCode::DiskFull => m::RefusalCode::DiskFull,
        pb::RefusalCode::IndexBuilding => m::RefusalCode::IndexBuilding,
        pb::RefusalCode::RecreatedLog => m::RefusalCode::RecreatedLog,
        pb::RefusalCode::OldBackup => m::RefusalCode::OldBackup,
        pb::RefusalCode::Internal | pb::RefusalCode::Unspecified => m::RefusalCode::Internal,
    }
}

fn encode_proof(proof: &[Hash]) -> Vec<Vec<u8>> {
    proof.iter().map(|hash| hash.to_vec()).collect()
}

fn proof(hashes: &[Vec<u8>], field: &'static str) -> Result<Vec<Hash>, FrameError> {
    hashes.iter().map(|bytes| hash(bytes, field)).collect()
}

fn hash(bytes: &[u8], field: &'static str) -> Result<Hash, FrameError> {
    bytes.try_into().map_err(|_| bad(field))
}

fn log(name: &str, field: &'static str) -> Result<LogName, FrameError> {
    name.parse().map_err(|_| bad(field))
}

#[cfg(test)]
mod tests;
