//! An urgent record ahead of the others.

use super::{FrameError, Kind, encode_proof, log, m, pb, proof};

/// The frame's content.
pub(super) fn encode(preview: m::Preview) -> Kind {
    Kind::Preview(pb::Preview {
        log: preview.log.to_string(),
        epoch: preview.epoch,
        sequence: preview.seq,
        head_size: preview.head_size,
        record: preview.record,
        proof: encode_proof(&preview.proof),
    })
}

pub(super) fn decode(preview: pb::Preview) -> Result<m::Message, FrameError> {
    Ok(m::Message::Preview(m::Preview {
        log: log(&preview.log, "preview.log")?,
        epoch: preview.epoch,
        seq: preview.sequence,
        head_size: preview.head_size,
        record: preview.record,
        proof: proof(&preview.proof, "preview.proof")?,
    }))
}
