//! Urgent records that are shown ahead, for people.

use wire::pb::operator::v1 as pb;

use crate::grpc::instant;
use crate::office::Office;

/// All of them.
pub fn list(office: &Office) -> pb::ListPreviewsResponse {
    let held = |log: &_, epoch| office.held(log, epoch);
    let shown = office.previews.list(held).into_iter().map(|previewed| {
        let header = previewed.record.header();
        pb::Preview {
            behind: header.seq.saturating_sub(held(&header.log, header.epoch)),
            record: Some(wire::record_summary(&previewed.record)),
            came_at: Some(instant(previewed.at)),
        }
    });
    pb::ListPreviewsResponse { previews: shown.collect() }
}
