//! Whether the end that the centre states for an epoch of this office's log is the true one.
//!
//! Every other office takes the end for ever from `log.closed`: nothing beyond it is witnessed, and
//! what the missing range names counts as lost. A centre that states less than it has co-signed
//! hides records that exist.

use domain::Fact;
use domain::integrity::{IntegrityFact, LogClosed};
use evidence::log::LogName;
use replication::CosignatureKind;

use crate::facts;
use crate::link::store;
use crate::office::Office;
use crate::project::chain;

/// What `log.closed` says of this office's own log that cannot be; `None`: nothing.
pub(super) fn false_end(office: &Office, fact: &LogClosed) -> Result<Option<String>, String> {
    let own = &office.logs.own;
    let LogClosed { epoch, size, root, .. } = *fact;
    let signed = |kind| store::cosigned(office, own, epoch, kind);
    let (witnessed, mirrored) = (signed(CosignatureKind::Witness), signed(CosignatureKind::Mirror));
    let said = format!("that epoch {epoch} of {own} ended with {size} records");
    if let Some(head) = [&witnessed, &mirrored].into_iter().flatten().max_by_key(|head| head.size)
        && size < head.size
    {
        return Ok(Some(format!("{said}; it has co-signed {} of them", head.size)));
    }
    let held = office.journal.log(own, epoch).map_or(0, |info| info.size);
    let root_here = match size <= held {
        true => Some(office.journal.root_at(own, epoch, size).map_err(|error| chain(&error))?),
        false => {
            let heads = [&witnessed, &mirrored].into_iter().flatten();
            heads.filter(|head| head.size == size).map(|head| head.root).next()
        }
    };
    if root_here.is_some_and(|here| here != root) {
        return Ok(Some(format!("{said}, which are not those of this office")));
    }
    if size > held && is_whole(office, own, epoch, held)? {
        return Ok(Some(format!("{said}; this office ended it with {held}")));
    }
    let Some(missing) = fact.missing_from else { return Ok(None) };
    let mirrored = mirrored.map_or(0, |head| head.size);
    let lost = format!("that the records of epoch {epoch} of {own} from {missing} on are lost");
    if missing < held {
        return Ok(Some(format!("{lost}; this office holds the first {held}")));
    }
    if missing < mirrored {
        let text = format!("{lost}; it has co-signed as mirror that it holds the first {mirrored}");
        return Ok(Some(text));
    }
    Ok(None)
}

/// Whether everything that was ever recorded in an epoch is here: this office ended it itself, and
/// the record that says so is the last one.
fn is_whole(office: &Office, own: &LogName, epoch: u32, held: u64) -> Result<bool, String> {
    let Some(last) = held.checked_sub(1) else { return Ok(false) };
    let record = office.journal.get(own, epoch, last).map_err(|error| chain(&error))?;
    let fact = record.as_ref().map(facts::open_part_or_unknown);
    Ok(matches!(fact, Some(Fact::Integrity(IntegrityFact::KeyRotated(_)))))
}
