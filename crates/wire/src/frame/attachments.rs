//! What is said of attachments.

use super::{FrameError, Kind, hash, log, m, pb};

/// The frame's content.
pub(super) fn encode(message: m::AttachmentMessage) -> Kind {
    match message {
        m::AttachmentMessage::Wanted(wanted) => Kind::AttachmentWanted(pb::AttachmentWanted {
            log: wanted.log.to_string(),
            epoch: wanted.epoch,
            sequence: wanted.seq,
            hash: wanted.hash.to_vec(),
            offset: wanted.offset,
            length: wanted.length,
        }),
        m::AttachmentMessage::Piece(piece) => Kind::AttachmentPiece(pb::AttachmentPiece {
            hash: piece.hash.to_vec(),
            offset: piece.offset,
            data: piece.bytes,
        }),
        m::AttachmentMessage::Absent(absent) => {
            Kind::AttachmentAbsent(pb::AttachmentAbsent { hash: absent.hash.to_vec() })
        }
    }
}

pub(super) fn wanted(wanted: &pb::AttachmentWanted) -> Result<m::Message, FrameError> {
    let wanted = m::AttachmentWanted {
        log: log(&wanted.log, "attachment_wanted.log")?,
        epoch: wanted.epoch,
        seq: wanted.sequence,
        hash: hash(&wanted.hash, "attachment_wanted.hash")?,
        offset: wanted.offset,
        length: wanted.length,
    };
    Ok(m::Message::Attachment(m::AttachmentMessage::Wanted(wanted)))
}

pub(super) fn piece(piece: pb::AttachmentPiece) -> Result<m::Message, FrameError> {
    let piece = m::AttachmentPiece {
        hash: hash(&piece.hash, "attachment_piece.hash")?,
        offset: piece.offset,
        bytes: piece.data,
    };
    Ok(m::Message::Attachment(m::AttachmentMessage::Piece(piece)))
}

pub(super) fn absent(absent: &pb::AttachmentAbsent) -> Result<m::Message, FrameError> {
    let hash = hash(&absent.hash, "attachment_absent.hash")?;
    Ok(m::Message::Attachment(m::AttachmentMessage::Absent(m::AttachmentAbsent { hash })))
}
