//! Publishes the newest head that the centre has accepted of every office's log: `heads.accepted`
//! in `kz/all`, for every office to hold and to co-sign.
//!
//! One list per `evidence.heads_interval_ms` if any head has changed, and one an hour. Heads that
//! have not changed are repeated, so that each list is whole. What the centre writes itself is in
//! none of them, so a list never is the reason for the next one. Lists of one day (UTC) are one
//! stream; each is appended at the version that was read, so none is written twice.

use std::time::Duration;

use domain::code::LogId;
use domain::ids::IntegrityId;
use domain::integrity::{AcceptedHead, HeadsAccepted, IntegrityFact};
use domain::limits::ACCEPTED_HEADS;
use domain::{Fact, StreamKind, Timestamp, Zone};
use evidence::checkpoint::Checkpoint;
use evidence::hash::sha256;
use evidence::log::LogName;
use evidence::record::StreamRef;
use journal::{Append, ExpectedVersion, Transaction};
use tracing::error;
use uuid::Uuid;

use crate::facts;
use crate::link::store;
use crate::office::{Office, SharedOffice, own_log};
use crate::policy;
use crate::project::chain;
use crate::seal::{self, Provenance};
use crate::told::Told;

/// A list is written at least this often, microseconds.
pub(crate) const AT_LEAST: i64 = 3_600_000_000;
const SUBJECT: &str = "accepted heads";

/// Runs until shutdown.
pub async fn run(office: SharedOffice) -> Result<(), String> {
    let stopping = office.supervisor.stopping();
    let interval = Duration::from_millis(office.options.evidence.heads_interval_ms);
    let (mut told, mut lists) = (Told::default(), Lists::default());
    loop {
        tokio::select! {
            biased;
            () = stopping.cancelled() => return Ok(()),
            () = tokio::time::sleep(interval) => {}
        }
        match lists.publish(&office).await {
            Ok(_) => told.forget(SUBJECT),
            Err(reason) if told.is_new(SUBJECT, &reason) => error!(reason, "publish {SUBJECT}"),
            Err(_) => {}
        }
    }
}

/// The digest of a head: SHA-256 of the checkpoint's body.
pub fn digest(office: &Office, log: &LogName, epoch: u32, size: u64, root: [u8; 32]) -> [u8; 32] {
    let origin = policy::origin_of(office, log, epoch);
    sha256(Checkpoint { origin, size, root }.body().as_bytes())
}

/// The newest accepted head of every enrolled office's log.
fn heads(office: &Office) -> Result<Vec<AcceptedHead>, String> {
    let known = office.country.known();
    let mut heads = Vec::new();
    for code in known.offices.keys().filter(|code| !code.is_centre()) {
        let log = own_log(code).map_err(|error| error.to_string())?;
        let infos = office.journal.logs().into_iter().filter(|info| info.log == log);
        let Some(epoch) = infos.map(|info| info.epoch).max() else { continue };
        let Some(head) = store::accepted(office, &log, epoch) else { continue };
        let digest = digest(office, &log, epoch, head.size, head.root);
        let log = LogId::new(log.as_str()).map_err(|error| error.to_string())?;
        heads.push(AcceptedHead { log, epoch, size: head.size, digest });
    }
    heads.truncate(ACCEPTED_HEADS);
    Ok(heads)
}

/// The lists that were published. Only the last one is looked at, and it is remembered: a day has
/// some thousand, and they need not be read again each time.
#[derive(Default)]
pub(crate) struct Lists {
    last: Option<Last>,
}

/// The newest list.
struct Last {
    /// The stream that was looked at, and its version: 0 if the list is of the day before.
    stream: StreamRef,
    version: u32,
    /// The list and when it was recorded; `None` if neither day has one.
    list: Option<(Vec<AcceptedHead>, i64)>,
}

impl Lists {
    /// Writes a list if there is reason to; true if it did.
    ///
    /// # Errors
    /// What kept it from being written, in words. The next call then reads what is there.
    pub(crate) async fn publish(&mut self, office: &Office) -> Result<bool, String> {
        let now = office.now();
        let heads = heads(office)?;
        let today = stream(now)?;
        let last = match self.last.take().filter(|last| last.stream == today) {
            Some(last) => last,
            None => newest(office, today, now).await?,
        };
        let fresh = |at: i64| now.micros().saturating_sub(at) < AT_LEAST;
        let known = last.list.as_ref().is_some_and(|(list, at)| *list == heads && fresh(*at));
        if known || heads.is_empty() {
            self.last = Some(last);
            return Ok(false);
        }
        let (log, list) = (&office.logs.all, HeadsAccepted { heads: heads.clone() });
        append(office, log, today, last.version, list, now).await?;
        // Recorded now, or later if the clock went back: then the next list comes no later for it.
        let list = Some((heads, now.micros()));
        self.last = Some(Last { stream: today, version: last.version + 1, list });
        Ok(true)
    }
}

/// Reads the newest list of this day, or of the day before.
async fn newest(office: &Office, today: StreamRef, now: Timestamp) -> Result<Last, String> {
    let log = &office.logs.all;
    let read = async |day| office.journal.stream(log, day).await.map_err(|error| chain(&error));
    let lists = read(today).await?;
    let version = u32::try_from(lists.len()).map_err(|error| error.to_string())?;
    let mut last = lists.into_iter().next_back();
    if last.is_none() {
        let yesterday = stream(Timestamp::from_micros(now.micros() - 24 * AT_LEAST))?;
        last = read(yesterday).await?.into_iter().next_back();
    }
    let list = match last {
        None => None,
        Some(record) => match facts::open_part(&record).map_err(|error| chain(&error))? {
            Fact::Integrity(IntegrityFact::HeadsAccepted(list)) => {
                Some((list.heads, record.header().recorded_at))
            }
            _ => None,
        },
    };
    Ok(Last { stream: today, version, list })
}

/// The stream of one day's lists.
fn stream(at: Timestamp) -> Result<StreamRef, String> {
    let utc = Zone::new("UTC").map_err(|error| error.to_string())?;
    let day = utc.date_of(at).ok_or("the clock shows a day that no calendar has")?;
    let id = *IntegrityId::of_day(day).uuid().as_bytes();
    Ok(StreamRef { kind: StreamKind::Integrity.code(), id })
}

async fn append(
    office: &Office,
    log: &LogName,
    stream: StreamRef,
    version: u32,
    list: HeadsAccepted,
    now: Timestamp,
) -> Result<(), String> {
    let fact: Fact = list.into();
    let actor = office.node_actor()?;
    let provenance = Provenance {
        actor: &actor,
        occurred_at: now,
        zone: &office.zone,
        command: office.random.id(&office.clock),
        causation: Uuid::nil(),
        correlation: Uuid::nil(),
    };
    let draft = seal::draft(office, log, stream, &fact, &provenance);
    let drafts = vec![draft.map_err(|error| chain(&error))?];
    let expected = ExpectedVersion::Exact(version);
    let append = Append { log: log.clone(), expected, stream, drafts };
    let transaction = Transaction { appends: vec![append], ..Transaction::default() };
    office.writer.write(transaction).await.map(drop).map_err(|error| chain(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heads;
    use crate::testing::{contact, desk, enrolment_of, log};

    #[tokio::test]
    async fn the_last_list_is_remembered_and_what_is_not_so_is_read() {
        let (centre, region) = (desk("KZ").await, desk("KZ-75").await);
        let (all, own) = (log("kz/all"), log("kz-75"));
        centre.record(&all, &[enrolment_of(&region)]).await;
        centre.office.country.catch_up(&centre.office.journal, &all, |_| None).unwrap();
        region.record(&own, &[contact(1)]).await;
        centre.mirror(&region, &own).await;
        let note = heads::sign(&region.office, &own, 1, 1).unwrap();
        let head = store::head_of_note(&note, 1).unwrap();
        let controls = vec![store::accept(&own, 1, &head)];
        let transaction = Transaction { controls, ..Transaction::default() };
        centre.office.writer.write(transaction).await.unwrap();

        let (office, mut lists) = (&centre.office, Lists::default());
        assert!(lists.publish(office).await.unwrap());
        assert!(!lists.publish(office).await.unwrap(), "nothing has changed");
        // The journal has this very list: who read it would write none.
        lists.last.as_mut().unwrap().list = None;
        assert!(lists.publish(office).await.unwrap(), "the memory is what counts");
        assert_eq!(lists.last.as_ref().unwrap().version, 2);
        // A memory that is wrong writes nothing and is given up.
        lists.last = lists.last.map(|last| Last { list: None, version: 1, ..last });
        lists.publish(office).await.unwrap_err();
        assert!(!lists.publish(office).await.unwrap(), "the newest list was read");
        assert!(!Lists::default().publish(office).await.unwrap(), "as after a restart");
    }
}
