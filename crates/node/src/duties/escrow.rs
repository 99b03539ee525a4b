//! Looks through the records that are held for keys of which nothing is kept, so that their wraps
//! are asked for: those of other offices, and of this office's own where its vault was lost.

use evidence::record::Record;
use journal::LogInfo;
use vault::{KeyId, Stream};

use crate::duties::growth;
use crate::escrow::NamedKey;
use crate::facts;
use crate::keys;
use crate::office::{Office, SharedOffice};
use crate::project::chain;

const BATCH: usize = 256;
const BYTES: usize = 1024 * 1024;

/// Runs until shutdown; without a recovery key there is nothing to do.
pub async fn run(office: SharedOffice) -> Result<(), String> {
    growth::at_growth(&office, "look for keys without a wrap", async |office| look(office).await)
        .await
}

async fn look(office: &Office) -> Result<(), String> {
    if !office.escrow.is_on() {
        return Ok(());
    }
    let mut first = Ok(());
    for info in office.journal.logs() {
        // One that cannot be read holds back none of the others.
        let looked = look_through(office, &info).await;
        first = first.and(looked);
    }
    first
}

async fn look_through(office: &Office, info: &LogInfo) -> Result<(), String> {
    let (of, centre) = (keys::owner(&info.log), keys::owner(&office.logs.all));
    let Some((of, centre)) = of.zip(centre) else { return Ok(()) };
    let is_own = of == office.code;
    let peer = if is_own { centre } else { of.clone() };
    // After each start from the first record on: nothing is remembered beside records and wraps.
    let mut next = office.escrow.looked(&info.log, info.epoch).unwrap_or(0);
    let note = |end, named: &[(u64, NamedKey)]| {
        let place = (&info.log, info.epoch, end);
        office.escrow.look_on((&peer, &of), place, named).map_err(|error| chain(&error))
    };
    note(next, &[])?;
    while next < info.size {
        let range = facts::range(&office.journal, (&info.log, info.epoch), next, BATCH, BYTES);
        let named = (next..).zip(&range.records).flat_map(named_keys);
        // Nobody gives the centre its own keys back.
        let is_here = |id| is_own && office.vault.stream_of_key(id).is_some();
        let is_lost = |key: &NamedKey| peer != office.code && !is_here(key.id);
        let named: Vec<_> = named.filter(|(_, key)| is_lost(key)).collect();
        next += range.records.len() as u64;
        note(next, &named)?;
        match range.stopped {
            Some(error) => return Err(chain(&error)),
            None if range.records.is_empty() => return Err(format!("no record {next}")),
            None => {}
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

fn named_keys((seq, record): (u64, &Record)) -> impl Iterator<Item = (u64, NamedKey)> {
    let header = record.header();
    let stream = Stream { kind: header.stream.kind, id: header.stream.id };
    header
        .keys
        .iter()
        .map(move |key| (seq, NamedKey { id: KeyId(key.id), commitment: key.commitment, stream }))
}
