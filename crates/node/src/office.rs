//! The running office: what its services, links and duties share.

use std::sync::Arc;

use domain::ids::PersonId;
use domain::number::NumberKey;
use domain::permission::{Actor, Role};
use domain::{OfficeCode, Post, Timestamp, Zone};
use evidence::hash::Hash;
use evidence::log::{LogName, LogNameError};
use hmac::{Hmac, KeyInit, Mac};
use identity::{LogKeys, NodeKeys, Trust};
use projection::Views;
use sha2::Sha256;
use telemetry::Metrics;
use uuid::Uuid;
use vault::Vault;
use zeroize::Zeroizing;

use crate::attachments::Attachments;
use crate::clock::Clock;
use crate::country::Country;
use crate::duties::view::View;
use crate::escrow::Escrow;
use crate::ground::Random;
use crate::link::{Links, store};
use crate::notes::Notes;
use crate::numbers::Numbers;
use crate::options::Options;
use crate::previews::Previews;
use crate::records::Records;
use crate::relay::Relay;
use crate::reseed::Reseed;
use crate::supervisor::Supervisor;
use crate::tables::Tables;
use crate::writer::Writer;

/// Everything that belongs to one office on this machine. Shared by `Arc`.
pub struct Office {
    /// The office's code.
    pub code: OfficeCode,
    /// The office's time zone.
    pub zone: Zone,
    /// Names of the logs that concern this office.
    pub logs: Logs,
    /// The configuration it runs with.
    pub options: Options,
    /// The wall clock.
    pub clock: Clock,
    /// Where its ids, blinds and jitter come from.
    pub random: Random,
    /// The records.
    pub journal: Records,
    /// The keys of sealed parts.
    pub vault: Vault,
    /// Wraps of keys of other offices.
    pub escrow: Escrow,
    /// The node's keys as witness and mirror.
    pub keys: NodeKeys,
    /// The keys of its logs, one for each epoch.
    pub log_keys: LogKeys,
    /// Held while the key of the logs is changed.
    pub rotating: tokio::sync::Mutex<()>,
    /// Held while evidence of a fault is kept, so that what is kept is counted exactly.
    pub keeping: tokio::sync::Mutex<()>,
    /// Whom this installation trusts.
    pub trust: Trust,
    /// The way to make something durable.
    pub writer: Writer,
    /// The tables.
    pub views: Views,
    /// Whether the tables may be asked, and whose turn it is to work on them.
    pub tables: Tables,
    /// What the centre has published: offices and classifiers.
    pub country: Country,
    /// State of the links to other offices.
    pub links: Links,
    /// Heads with the cosignatures that were collected on them.
    pub notes: Notes,
    /// When heads go round among the offices.
    pub relay: Relay,
    /// What is taken back from the centre after a loss.
    pub reseed: Reseed,
    /// Attachments that are not here yet.
    pub attachments: Attachments,
    /// Urgent records that others show ahead.
    pub previews: Previews,
    /// What the centre says of this office's log.
    pub view: View,
    /// Counters of registration numbers.
    pub numbers: Numbers,
    /// Held while a backup is sent: one at a time, each reads the whole journal.
    pub backing_up: tokio::sync::Mutex<()>,
    /// Key of the permutation that hides the counters.
    pub number_key: NumberKey,
    /// Key under which commands are hashed, so that a short text cannot be guessed from a hash.
    pub request_key: Zeroizing<[u8; 32]>,
    /// Chosen anew by each process: tells a restart from a second machine.
    pub instance: [u8; 16],
    /// Instruments.
    pub metrics: Metrics,
    /// The tasks.
    pub supervisor: Supervisor,
}

/// A shared office.
pub type SharedOffice = Arc<Office>;

impl Office {
    /// The open epoch of the office's own log.
    pub fn own_epoch(&self) -> u32 {
        store::own_epoch(&self.journal, &self.logs.own)
    }

    /// Records of an epoch of a log that are durable here.
    pub fn held(&self, log: &LogName, epoch: u32) -> u64 {
        self.journal.log(log, epoch).map_or(0, |info| info.size)
    }

    /// Now, by the office's clock.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.now())
    }

    /// The node itself as an actor: nobody's pseudonym, the post `<office>/node`.
    ///
    /// # Errors
    /// The office's log makes no post; its code is too long then, which no code is.
    pub fn node_actor(&self) -> Result<Actor, String> {
        let post = format!("{}/node", self.logs.own);
        Ok(Actor {
            person: PersonId::new(Uuid::nil()),
            post: Post::new(&post).map_err(|error| error.to_string())?,
            role: Role::Node,
            office: self.code.clone(),
        })
    }

    /// The keyed hash by which repetitions of a command are recognised.
    pub fn request_hash(&self, canonical: &[u8]) -> Hash {
        match Hmac::<Sha256>::new_from_slice(self.request_key.as_slice()) {
            Ok(mut mac) => {
                mac.update(canonical);
                mac.finalize().into_bytes().into()
            }
            Err(_) => unreachable!("HMAC takes keys of any length"),
        }
    }
}

/// Names of the logs that concern one office.
#[derive(Clone, Debug)]
pub struct Logs {
    /// The log that the office writes about its own work: `kz-75`, at the centre `kz`.
    pub own: LogName,
    /// What the centre publishes to every office: `kz/all`.
    pub all: LogName,
}

impl Logs {
    /// The logs of `code`.
    pub fn of(code: &OfficeCode) -> Result<Logs, LogNameError> {
        Ok(Logs { own: own_log(code)?, all: "kz/all".parse()? })
    }
}

/// The log that an office writes about its own work.
pub fn own_log(code: &OfficeCode) -> Result<LogName, LogNameError> {
    code.as_str().to_ascii_lowercase().parse()
}

/// The log that the centre writes for one office: `kz/kz-75`.
pub fn downlink(code: &OfficeCode) -> Result<LogName, LogNameError> {
    format!("kz/{}", code.as_str().to_ascii_lowercase()).parse()
}
