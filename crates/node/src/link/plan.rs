//! What goes over a link: the logs of both directions and what is held of each.

use std::sync::Arc;

use domain::OfficeCode;
use evidence::hash::Hash;
use evidence::log::{LogName, LogNameError};
use evidence::merkle::{Frontier, empty_root};
use evidence::note::{NoteError, Signer, Verifier};
use journal::{CommitError, LogInfo, Role};
use replication::{
    CosignatureKind, GivenLog, MirroredLog, OwnLog, Rest, SessionConfig, WitnessedHead,
};
use thiserror::Error;

use crate::duties::keep::heed;
use crate::epochs;
use crate::heads;
use crate::keys;
use crate::link::recall;
use crate::link::store::{self, Head};
use crate::office::{Office, downlink, own_log};
use crate::reseed;

/// What this software calls itself to a peer.
pub const SOFTWARE: &str = concat!("adal ", env!("CARGO_PKG_VERSION"));

/// Why a link cannot be planned.
#[derive(Debug, Error)]
pub enum PlanError {
    /// The office is not enrolled.
    #[error(
        "office {0} is not enrolled at the centre; enrol it with `adal office enrol` and the \
         public.toml of its keys"
    )]
    NotEnrolled(OfficeCode),
    /// A log name cannot be made.
    #[error("name the log")]
    Name(#[from] LogNameError),
    /// A key cannot be used.
    #[error("use a key of the link")]
    Key(#[from] NoteError),
    /// A log cannot be opened.
    #[error("open the log")]
    Open(#[from] CommitError),
}

/// The session's configuration for a region's link to the centre.
pub async fn to_centre(office: &Office, centre: &OfficeCode) -> Result<SessionConfig, PlanError> {
    let keys = &office.trust.centre;
    let down = downlink(&office.code)?;
    for log in [&office.logs.all, &down] {
        ensure_mirror(office, log).await?;
    }
    let mirrored = [&office.logs.all, &down];
    let peer = PeerKeys { witness: &keys.witness, mirror: Some(&keys.mirror) };
    // A log that is taken back is not shown as one that is written.
    let recover = reseed::recover(office)?;
    let own = if recover.is_some() { vec![] } else { vec![&office.logs.own] };
    let config = config(office, centre, &own, &mirrored, &peer)?;
    Ok(SessionConfig { recover, ..config })
}

/// The session's configuration for the centre's link to a region.
pub async fn to_region(office: &Office, region: &OfficeCode) -> Result<SessionConfig, PlanError> {
    let known = office.country.known();
    let enrolled =
        known.offices.get(region).ok_or_else(|| PlanError::NotEnrolled(region.clone()))?;
    let (up, down) = (own_log(region)?, downlink(region)?);
    epochs::open_downlink(office, &down).await?;
    ensure_mirror(office, &up).await?;
    let own = [&office.logs.all, &down];
    // An office that was enrolled without its mirror key gives lines as a mirror that are not kept.
    let mirror = enrolled.mirror_key.as_ref();
    let peer = PeerKeys { witness: &enrolled.witness_key, mirror };
    let config = config(office, region, &own, &[&up], &peer)?;
    let mirrored = office.journal.logs().into_iter();
    let of_region = mirrored.filter(|info| info.role == Role::Mirror && info.log == up);
    let given = of_region.filter_map(|info| given(office, &info)).collect();
    Ok(SessionConfig { given, ..config })
}

async fn ensure_mirror(office: &Office, log: &LogName) -> Result<(), CommitError> {
    let exists = office.journal.logs().iter().any(|info| info.log == *log);
    let opened = if exists { Ok(()) } else { office.journal.ensure_mirror(log, 1).await };
    opened.inspect_err(|error| heed(office, error))
}

/// The peer's public keys as witness and mirror.
struct PeerKeys<'a> {
    witness: &'a [u8; 32],
    mirror: Option<&'a [u8; 32]>,
}

fn config(
    office: &Office,
    peer: &OfficeCode,
    own: &[&LogName],
    mirrored: &[&LogName],
    keys: &PeerKeys<'_>,
) -> Result<SessionConfig, PlanError> {
    let domain = &office.options.domain;
    let here = office.code.as_str().to_ascii_lowercase();
    let there = peer.as_str().to_ascii_lowercase();
    let infos = office.journal.logs();
    let of = |names: &[&LogName], role: Role| -> Vec<LogInfo> {
        let chosen = infos.iter().filter(|info| info.role == role && names.contains(&&info.log));
        chosen.cloned().collect()
    };
    let mut own_logs = Vec::new();
    for info in of(own, Role::Own) {
        own_logs.extend(own_log_of(office, peer, &info)?);
    }
    let mut mirrored_logs = Vec::new();
    for info in of(mirrored, Role::Mirror) {
        mirrored_logs.extend(mirrored_log_of(office, &info)?);
    }
    let verifier =
        |kind: &str, key: &[u8; 32]| Verifier::cosigner(&format!("{domain}/{kind}/{there}"), key);
    let peer_witness = verifier("witness", keys.witness)?;
    Ok(SessionConfig {
        domain: domain.clone(),
        office: office.code.to_string(),
        peer: peer.to_string(),
        instance: office.instance,
        software: SOFTWARE.to_owned(),
        witness: Arc::new(Signer::cosigner(
            &format!("{domain}/witness/{here}"),
            office.keys.witness_seed(),
        )?),
        mirror: Arc::new(Signer::cosigner(
            &format!("{domain}/mirror/{here}"),
            office.keys.mirror_seed(),
        )?),
        peer_mirror: keys.mirror.map(|key| verifier("mirror", key)).transpose()?,
        own: own_logs,
        mirrored: mirrored_logs,
        witnessed: witnessed(office),
        shown: recall::shown(office, peer, &peer_witness),
        forgotten: recall::forgotten(office, peer),
        peer_witness: Some(peer_witness),
        given: Vec::new(),
        recover: None,
        limits: office.options.replication.limits(),
    })
}

/// What this office could give back of a log that it mirrors: what lies below a signed head, and
/// the way to it. `None` if no head of it was ever accepted.
fn given(office: &Office, info: &LogInfo) -> Option<GivenLog> {
    let (log, epoch) = (info.log.clone(), info.epoch);
    let accepted = store::accepted(office, &log, epoch)?;
    let whole = (accepted.size == info.size)
        .then(|| Rest { note: accepted.note.clone(), proof: Vec::new() });
    if let Some(rest) = whole.or_else(|| store::rest(office, &log, epoch, info.size)) {
        return Some(GivenLog { log, epoch, size: info.size, root: info.root, rest });
    }
    // Without that way only what an earlier head covers can be proved.
    let kept = office.notes.of(office, &log, epoch).into_iter().map(|kept| kept.head);
    let earlier = kept.filter(|head| head.size <= info.size).max_by_key(|head| head.size);
    let (size, root, note) = match earlier {
        Some(head) => (head.size, head.root, head.note),
        None => (0, empty_root(), accepted.note),
    };
    Some(GivenLog { log, epoch, size, root, rest: Rest { note, proof: Vec::new() } })
}

/// Heads of which this office is a further witness, for the hello.
fn witnessed(office: &Office) -> Vec<WitnessedHead> {
    let all = store::all_witnessed(office).into_iter();
    all.map(|(log, epoch, head)| WitnessedHead { log, epoch, note: head.note }).collect()
}

/// The cosigned heads are read first: they never cover more than the size that is read after.
/// `None` for a closed epoch of which not even the public key is known any more.
fn own_log_of(
    office: &Office,
    peer: &OfficeCode,
    info: &LogInfo,
) -> Result<Option<OwnLog>, NoteError> {
    let Some(key) = keys::log_key(office, &info.log, info.epoch) else { return Ok(None) };
    let stored = |kind| {
        let head = store::cosigned_by(office, &info.log, info.epoch, kind, peer.as_str());
        head.map(|head| head.size)
    };
    let witnessed = stored(CosignatureKind::Witness);
    let mirrored = stored(CosignatureKind::Mirror);
    let now = office.journal.log(&info.log, info.epoch);
    let (size, root) = now.map_or((info.size, info.root), |now| (now.size, now.root));
    let (log, epoch) = (info.log.clone(), info.epoch);
    Ok(Some(OwnLog {
        first: first(office, &log, epoch, size),
        verifier: heads::log_verifier(&office.options.domain, &log, epoch, &key)?,
        succession: keys::statement_note(office, &log, epoch),
        keyless: keys::signing_seed(office, &log, epoch).is_none(),
        log,
        epoch,
        size,
        root,
        witnessed,
        mirrored,
    }))
}

/// `None` where the epoch's key is not known: nothing of it may be believed.
fn mirrored_log_of(office: &Office, info: &LogInfo) -> Result<Option<MirroredLog>, NoteError> {
    let Some(key) = keys::log_key(office, &info.log, info.epoch) else { return Ok(None) };
    let (frontier, head) = held(office, &info.log, info.epoch, || {});
    Ok(Some(MirroredLog {
        first: first(office, &info.log, info.epoch, frontier.size()),
        log: info.log.clone(),
        epoch: info.epoch,
        verifier: heads::log_verifier(&office.options.domain, &info.log, info.epoch, &key)?,
        closed_at: keys::closed_at(office, &info.log, info.epoch),
        frozen: store::frozen(office, &info.log, info.epoch),
        frontier,
        head_at: head.as_ref().map(|head| head.at),
        head: head.map(|head| head.note),
    }))
}

/// Leaf hash of the first of `size` records: the root of a tree of one.
fn first(office: &Office, log: &LogName, epoch: u32, size: u64) -> Option<Hash> {
    let root = (size > 0).then(|| office.journal.root_at(log, epoch, 1))?;
    root.ok()
}

/// What is stored of a mirror. The records are read before the head: a head is durable before the
/// records that it covers, so a commit between the two reads (`between`, for a test) cannot make
/// a mirror look as if its head did not cover it.
fn held(
    office: &Office,
    log: &LogName,
    epoch: u32,
    between: impl FnOnce(),
) -> (Frontier, Option<Head>) {
    let frontier = office.journal.frontier(log, epoch).unwrap_or_default();
    between();
    (frontier, store::accepted(office, log, epoch))
}

#[cfg(test)]
mod tests {
    use replication::action::Fault;
    use replication::{Party, RefusalCode};

    use super::*;
    use crate::testing;
    use crate::testing::network::Network;

    /// The evidence of a fork outlives the link and the process that met it.
    #[tokio::test]
    async fn a_mirror_of_two_histories_is_planned_as_frozen() {
        let network = Network::of(&["KZ-75"]).await;
        let office = &network.centre.office;
        let region = "KZ-75".parse().unwrap();
        let frozen = async || to_region(office, &region).await.unwrap().mirrored[0].frozen.clone();
        for (found_by, text) in [(Party::Peer, None), (Party::Us, Some("two histories"))] {
            let fault = Fault {
                log: testing::log("kz-75"),
                epoch: 1,
                own: false,
                code: RefusalCode::Fork,
                found_by,
                text: "two histories".to_owned(),
                notes: vec!["one".to_owned(), "other".to_owned()],
                proof: Vec::new(),
            };
            store::keep(office, &fault).await.unwrap();
            assert_eq!(frozen().await.as_deref(), text, "{found_by:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_commit_during_the_plan_makes_no_mirror_look_damaged() {
        let (centre, region) = (testing::desk("KZ").await, testing::desk("KZ-75").await);
        let log = testing::log("kz-75");
        let runtime = tokio::runtime::Handle::current();
        let grow = |number| {
            tokio::task::block_in_place(|| {
                runtime.block_on(async {
                    region.record(&log, &[testing::contact(number)]).await;
                    centre.mirror(&region, &log).await;
                });
            });
        };
        let before = held(&centre.office, &log, 1, || grow(1));
        assert_eq!((before.0.size(), before.1.unwrap().size), (0, 1));
    }
}
