//! From domain facts to drafts of records: personal parts are sealed before anything is encoded.

use domain::contact::ContactFact;
use domain::permission::Actor;
use domain::{Fact, Timestamp, Zone};
use evidence::log::LogName;
use evidence::record::{
    ActorRef, AttachmentRef, Classification, Draft, Header, KeyRef, ShortText, ShortTextError,
    StreamRef, Urgency,
};
use thiserror::Error;
use uuid::Uuid;
use vault::VaultError;

use crate::office::Office;
use crate::trace;

/// Why a fact cannot become a draft.
#[derive(Debug, Error)]
pub enum SealError {
    /// The vault cannot make or use the stream's key.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A text does not fit its field of the header.
    #[error("{field} does not fit the record's header")]
    Header {
        /// The field.
        field: &'static str,
        /// Which rule it breaks.
        #[source]
        source: ShortTextError,
    },
}

/// What all facts of one command share.
#[derive(Clone, Debug)]
pub struct Provenance<'a> {
    /// Who acts.
    pub actor: &'a Actor,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Where it happened.
    pub zone: &'a Zone,
    /// The command.
    pub command: Uuid,
    /// What led to the command; nil if nothing did.
    pub causation: Uuid,
    /// What everything of one undertaking shares; nil if nothing does.
    pub correlation: Uuid,
}

/// Bytes to which a sealed part is bound: it opens only as part of this event of this stream.
pub fn associated_data(event_id: &[u8; 16], stream: &StreamRef) -> [u8; 34] {
    let mut bytes = [0; 34];
    bytes[..16].copy_from_slice(event_id);
    bytes[16..18].copy_from_slice(&stream.kind.to_be_bytes());
    bytes[18..].copy_from_slice(&stream.id);
    bytes
}

/// The draft of one fact. Its key, if it has a sealed part, is durable once the writer has
/// written the draft.
///
/// # Errors
/// Where the vault cannot make or use the stream's key.
pub fn draft(
    office: &Office,
    log: &LogName,
    stream: StreamRef,
    fact: &Fact,
    provenance: &Provenance<'_>,
) -> Result<Draft, SealError> {
    let encoded = wire::encode_fact(fact);
    let event_id = office.random.id(&office.clock).into_bytes();
    let mut keys = Vec::new();
    let mut sealed = Vec::new();
    if let Some(personal) = &encoded.personal {
        let key = office.vault.key_for(stream.kind, stream.id)?;
        keys.push(KeyRef { id: key.0, commitment: office.vault.commitment(key)? });
        sealed = office.vault.seal(key, &associated_data(&event_id, &stream), personal)?;
    }
    let known = office.country.known();
    let header = Header {
        event_id,
        log: log.clone(),
        epoch: 0,
        seq: 0,
        stream,
        stream_version: 0,
        type_code: encoded.type_code,
        schema_version: encoded.schema_version,
        occurred_at: provenance.occurred_at.micros(),
        recorded_at: 0,
        zone: short("zone", provenance.zone.name())?,
        actor: ActorRef {
            person: provenance.actor.person.bytes(),
            post: short("post", provenance.actor.post.as_str())?,
            acting_for: [0; 16],
        },
        command_id: *provenance.command.as_bytes(),
        causation_id: *provenance.causation.as_bytes(),
        correlation_id: *provenance.correlation.as_bytes(),
        policy_version: 1,
        calendar_version: 0,
        classifier_version: known.classifiers.edition(),
        classification: classification(&keys),
        urgency: if fact.is_urgent() { Urgency::Urgent } else { Urgency::Normal },
        centre_head: known.head,
        statement: None,
        keys,
        attachments: attachments(fact),
        trace: trace::current(),
    };
    Ok(Draft { header, blind: office.random.bytes(), open: encoded.open, sealed })
}

/// A sealed file of bytes of any kind.
const SEALED_FILE: u16 = 1;

/// The files that a fact names.
fn attachments(fact: &Fact) -> Vec<AttachmentRef> {
    match fact {
        Fact::Contact(ContactFact::FileAttached(attached)) => {
            let (hash, size) = (attached.file, attached.size);
            vec![AttachmentRef { hash, size, media: SEALED_FILE }]
        }
        _ => Vec::new(),
    }
}

fn short(field: &'static str, text: &str) -> Result<ShortText, SealError> {
    ShortText::new(text).map_err(|source| SealError::Header { field, source })
}

fn classification(keys: &[KeyRef]) -> Classification {
    if keys.is_empty() { Classification::Official } else { Classification::Sealed }
}
