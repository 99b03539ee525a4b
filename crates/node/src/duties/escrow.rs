//! Looks through the records that are held for keys of which nothing is kept, so that their wraps
//! are asked for: those of other offices, and of this office's own where its vault was lost.

use journal::{LogInfo, Transaction};
use vault::KeyId;

use crate::duties::growth::{self, Cursor};
use crate::facts;
use crate::keys;
use crate::office::{Office, SharedOffice};
use crate::project::chain;

const BATCH: usize = 256;
const BATCH_BYTES: usize = 1024 * 1024;
/// Records after which it is noted that nothing lacks up to there. What is looked through again
/// after a restart costs next to nothing.
const NOTED: u64 = 4_096;

/// Runs until shutdown; without a recovery key there is nothing to do.
pub async fn run(office: SharedOffice) -> Result<(), String> {
    growth::at_growth(&office, "look for keys without a wrap", async |office| look(office).await)
        .await
}

async fn look(office: &Office) -> Result<(), String> {
    if !office.escrow.is_on() {
        return Ok(());
    }
    for info in office.journal.logs() {
        let mut cursor = Cursor::of(office, "escrow", &info.log, info.epoch);
        if let Some(looked) = office.escrow.looked(&info.log, info.epoch) {
            cursor.next = looked;
        }
        look_through(office, &info, cursor).await?;
    }
    Ok(())
}

async fn look_through(office: &Office, info: &LogInfo, mut cursor: Cursor) -> Result<(), String> {
    let (of, centre) = (keys::owner(&info.log), keys::owner(&office.logs.all));
    let Some((of, centre)) = of.zip(centre) else { return Ok(()) };
    let is_own = of == office.code;
    let peer = if is_own { centre } else { of.clone() };
    let begin = cursor.next;
    let note = |end, named: &mut dyn Iterator<Item = (u64, KeyId)>| {
        let place = (&info.log, info.epoch, end);
        office.escrow.look_on((&peer, &of), place, named).map_err(|error| chain(&error))
    };
    note(begin, &mut std::iter::empty())?;
    while cursor.next < info.size {
        let from = (&info.log, info.epoch);
        let range = facts::range(&office.journal, from, cursor.next, BATCH, BATCH_BYTES);
        let named = (cursor.next..).zip(&range.records).flat_map(|(seq, record)| {
            record.header().keys.iter().map(move |key| (seq, KeyId(key.id)))
        });
        // Nobody gives the centre its own keys back.
        let is_here = |id: KeyId| is_own && office.vault.stream_of_key(id).is_some();
        let is_lost = |id: KeyId| peer != office.code && !is_here(id);
        let mut named = named.filter(|(_, id)| is_lost(*id));
        cursor.next += range.records.len() as u64;
        note(cursor.next, &mut named)?;
        match range.stopped {
            Some(error) => return Err(chain(&error)),
            None if range.records.is_empty() => return Err(format!("no record {}", cursor.next)),
            None => {}
        }
    }
    let lots = cursor.next / NOTED > begin / NOTED;
    if lots && office.escrow.kept(&info.log, info.epoch) == Some(info.size) {
        let transaction = Transaction { controls: vec![cursor.control()], ..Default::default() };
        office.writer.write(transaction).await.map_err(|error| chain(&error))?;
    }
    Ok(())
}
