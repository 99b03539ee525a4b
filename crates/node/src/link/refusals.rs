//! Links that were refused as a whole, kept as control facts: who refused, when first, why, and
//! which machine and software it was about.
//!
//! | key | value |
//! |---|---|
//! | `refused/<office>/<code>/<us or peer>/<digest>` | `time N`, the text, then lines of details |

use domain::OfficeCode;
use evidence::hash::{hex, sha256};
use journal::{Control, Transaction};
use replication::{Close, Party, RefusalCode};
use tracing::error;

use crate::link::driver::Ended;
use crate::office::Office;
use crate::project::chain;

const REFUSED: &str = "refused/";
/// Pieces that are kept of each kind, peer and finder.
const KEPT: usize = 16;

/// A refusal that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRefusal {
    /// Why.
    pub code: String,
    /// Who refused.
    pub found_by: Party,
    /// When it was first kept, microseconds since 1970.
    pub at: i64,
    /// What happened and what to do.
    pub text: String,
    /// All that is kept, as text.
    pub content: String,
}

/// Keeps why a link was refused, once for each text and machine.
pub async fn keep(office: &Office, peer: &OfficeCode, ended: &Ended) {
    let Ended::Closed(Close::Refused { by, code, text }) = ended else { return };
    let Some(control) = control(office, peer, (*by, *code), text) else { return };
    let transaction = Transaction { controls: vec![control], ..Transaction::default() };
    if let Err(error) = office.writer.write(transaction).await {
        error!(%peer, error = chain(&error), "keep why a link was refused");
    }
}

fn control(
    office: &Office,
    peer: &OfficeCode,
    (by, code): (Party, RefusalCode),
    text: &str,
) -> Option<Control> {
    // A fault of the moment, or one that passes by itself, shows nothing.
    if code == RefusalCode::Internal || code.is_temporary() {
        return None;
    }
    let mut details = format!("this office's process {}\n", hex(&office.instance));
    if let Some(said) = office.links.said(peer) {
        details.push_str(&format!(
            "the other office's process {}\nits software {}\n",
            hex(&said.instance),
            said.software
        ));
    }
    let party = if by == Party::Us { "us" } else { "peer" };
    let folder = folder(peer);
    let folder = format!("{folder}{code}/{party}/");
    let digest = hex(&sha256(format!("{text}\n{details}").as_bytes()));
    let key = format!("{folder}{digest}").into_bytes();
    let kept = office.journal.controls(folder.as_bytes());
    if kept.len() >= KEPT || kept.iter().any(|(known, _)| *known == key) {
        return None;
    }
    let value = format!("time {}\n{text}\n\n{details}", office.clock.now()).into_bytes();
    Some(Control { key, value })
}

fn folder(peer: &OfficeCode) -> String {
    format!("{REFUSED}{}/", peer.as_str().to_ascii_lowercase())
}

/// What is kept of refused links with a peer, oldest first.
pub fn all(office: &Office, peer: &OfficeCode) -> Vec<KeptRefusal> {
    let folder = folder(peer);
    let stored = office.journal.controls(folder.as_bytes()).into_iter();
    let mut kept: Vec<_> = stored.filter_map(|(key, value)| read(&folder, &key, value)).collect();
    kept.sort_by_key(|refusal| refusal.at);
    kept
}

fn read(folder: &str, key: &[u8], value: Vec<u8>) -> Option<KeptRefusal> {
    let mut parts = str::from_utf8(key).ok()?.strip_prefix(folder)?.split('/');
    let code = parts.next()?.to_owned();
    let found_by = if parts.next()? == "us" { Party::Us } else { Party::Peer };
    let content = String::from_utf8(value).ok()?;
    let (time, rest) = content.split_once('\n')?;
    let at = time.strip_prefix("time ")?.parse().ok()?;
    let text = rest.lines().next()?.to_owned();
    Some(KeptRefusal { code, found_by, at, text, content })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn a_refusal_is_kept_once_and_a_passing_fault_is_not() {
        let desk = testing::desk("KZ-75").await;
        let (office, peer) = (&desk.office, "KZ".parse().unwrap());
        let refused = |code, text: &str| {
            let (by, text) = (Party::Peer, text.to_owned());
            Ended::Closed(Close::Refused { by, code, text })
        };
        for _ in 0..2 {
            keep(office, &peer, &refused(RefusalCode::DuplicateOffice, "two machines")).await;
            keep(office, &peer, &refused(RefusalCode::Internal, "out of order")).await;
            keep(office, &peer, &Ended::Broken("reset".to_owned())).await;
        }
        let [kept] = &all(office, &peer)[..] else { panic!("{:?}", all(office, &peer)) };
        assert_eq!((kept.code.as_str(), kept.found_by), ("duplicate_office", Party::Peer));
        assert_eq!(kept.text, "two machines");
        assert!(kept.content.contains(&hex(&office.instance)), "{}", kept.content);
        for number in 0..2 * KEPT {
            let ended = refused(RefusalCode::DuplicateOffice, &number.to_string());
            keep(office, &peer, &ended).await;
        }
        assert_eq!(all(office, &peer).len(), KEPT, "and no more than a bound");
    }
}
