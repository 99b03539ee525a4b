//! Who must sign and co-sign the heads of each log: trust policies (C2SP tlog-policy) made from
//! what the centre has published and from the keys that this installation trusts.
//!
//! | log | a head of it is complete with |
//! |---|---|
//! | `kz-75` | the centre as witness, the centre as mirror, any one of the office's peers |
//! | `kz`, `kz/all` | q of the n enrolled offices, q = floor(2n/3) + 1 |
//! | `kz/kz-75` | the office as witness, and as mirror if its mirror key is enrolled |
//!
//! The peers of an office are the next three enrolled ones in the ring of codes. With q of n two
//! views of the centre's logs cannot both be complete unless more than n/3 offices co-sign both.
//! The n offices are those that were enrolled below the last head of `kz/all` that was complete
//! here ([`counts`]); before the first one, all that are.

use domain::OfficeCode;
use domain::office::OfficeEnrolled;
use evidence::log::{LogName, origin};
use evidence::note::{NoteError, Verifier};
use evidence::policy::{Policy, PolicyProblem, Threshold, Word, centre_quorum};
use identity::Trust;
use thiserror::Error;

use crate::country::Known;
use crate::heads;
use crate::keys;
use crate::office::Office;

/// Peers of an office, where there are so many others.
pub const PEERS: usize = 3;

/// Why a log has no policy.
#[derive(Debug, Error)]
pub enum PolicyError {
    /// Nobody who could co-sign it, or who writes it, is enrolled.
    #[error("no office that could co-sign {0} is enrolled")]
    NobodyEnrolled(LogName),
    /// An enrolled key is none.
    #[error("an enrolled key cannot be used: enrol the office anew")]
    Key(#[from] NoteError),
    /// The rules of policies are broken, e.g. by two offices with one key.
    #[error("the enrolled keys make no policy: {0}; enrol the offices with keys of their own")]
    Rule(#[from] PolicyProblem),
}

/// Who writes a log and who reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// An office about its own work.
    Region(OfficeCode),
    /// The centre, for everybody or about itself.
    Centre,
    /// The centre, for one office.
    Downlink(OfficeCode),
}

/// The part of a log in the network; `None` where the network has no such log.
pub fn part(log: &LogName) -> Option<Part> {
    let code = |text: &str| text.to_ascii_uppercase().parse::<OfficeCode>().ok();
    match log.as_str().split_once('/') {
        None if log.as_str() == "kz" => Some(Part::Centre),
        None => code(log.as_str()).filter(|code| !code.is_centre()).map(Part::Region),
        Some(("kz", "all")) => Some(Part::Centre),
        Some(("kz", office)) => code(office).filter(|code| !code.is_centre()).map(Part::Downlink),
        Some(_) => None,
    }
}

/// The office that writes a log.
pub fn writer(log: &LogName) -> Option<String> {
    Some(match part(log)? {
        Part::Region(code) => code.to_string(),
        Part::Centre | Part::Downlink(_) => "KZ".to_owned(),
    })
}

/// The next [`PEERS`] enrolled offices in the ring of codes: who witnesses this one's log.
pub fn peers(known: &Known, office: &OfficeCode) -> Vec<OfficeCode> {
    let others = known.offices.keys().filter(|code| !code.is_centre() && *code != office);
    let (before, behind): (Vec<_>, Vec<_>) = others.partition(|code| *code < office);
    behind.into_iter().chain(before).take(PEERS).cloned().collect()
}

/// Whether an office is one of those that must co-sign the next head of the centre's logs: it was
/// enrolled below the last complete one. Whom a head itself enrols does not vouch for that head, or
/// a centre could meet the quorum with offices that it invents.
pub fn counts(known: &Known, office: &OfficeCode) -> bool {
    let at = known.enrolled_at.get(office);
    known.complete.is_none_or(|complete| at.is_some_and(|at| *at < complete))
}

/// Offices of n that must co-sign the centre's logs while at most a third of them collude:
/// floor(2n/3) + 1.
pub fn quorum(offices: usize) -> usize {
    centre_quorum(offices, offices / 3).unwrap_or(1)
}

/// The name of a cosigner's key: `adal.example/witness/kz-75`.
pub fn key_name(domain: &str, kind: &str, office: &str) -> String {
    format!("{domain}/{kind}/{}", office.to_ascii_lowercase())
}

/// The policy of a log at this office; its first log key is that of `epoch`, those of other epochs
/// follow.
///
/// # Errors
/// [`PolicyError`].
pub fn of(office: &Office, log: &LogName, epoch: u32) -> Result<Policy, PolicyError> {
    let known = office.country.known();
    let infos = office.journal.logs().into_iter().filter(|info| info.log == *log);
    let others = infos.map(|info| info.epoch).filter(|other| *other != epoch);
    let mut logs: Vec<Verifier> = Vec::new();
    for epoch in std::iter::once(epoch).chain(others) {
        let Some(key) = keys::log_key(office, log, epoch) else { continue };
        // One key on two lines is against the format.
        if logs.iter().all(|other| *other.public_key() != key) {
            logs.push(heads::log_verifier(&office.options.domain, log, epoch, &key)?);
        }
    }
    made(&office.options.domain, &known, &office.trust, log, logs)
}

/// The policy of a log with these log keys.
///
/// # Errors
/// [`PolicyError`].
pub fn made(
    domain: &str,
    known: &Known,
    trust: &Trust,
    log: &LogName,
    logs: Vec<Verifier>,
) -> Result<Policy, PolicyError> {
    let nobody = || PolicyError::NobodyEnrolled(log.clone());
    if logs.is_empty() {
        return Err(nobody());
    }
    let mut making = Making { domain, policy: Policy::builder() };
    for key in logs {
        making.policy.log(key, None)?;
    }
    let quorum_of = match part(log).ok_or_else(nobody)? {
        Part::Region(code) => {
            let centre = [
                making.witness("witness", "kz", &trust.centre.witness)?,
                making.witness("mirror", "kz", &trust.centre.mirror)?,
            ];
            let peers = peers(known, &code);
            let peers: Vec<&OfficeEnrolled> =
                peers.iter().filter_map(|peer| known.offices.get(peer)).collect();
            let mut all = centre.to_vec();
            if !peers.is_empty() {
                let peers = making.witnesses(&peers)?;
                all.push(making.group("peers", Threshold::Any, peers)?);
            }
            making.group("held", Threshold::All, all)?
        }
        Part::Centre => {
            let regions: Vec<_> =
                known.offices.values().filter(|office| !office.code.is_centre()).collect();
            if regions.is_empty() {
                return Err(nobody());
            }
            // Lines of all are kept; those of the offices that the last complete head knew count.
            let words = making.witnesses(&regions)?;
            let offices = regions.iter().zip(words);
            let counting: Vec<Word> = offices
                .filter(|(office, _)| counts(known, &office.code))
                .map(|(_, word)| word)
                .collect();
            if counting.is_empty() {
                return Err(nobody());
            }
            let needed = Threshold::AtLeast(quorum(counting.len()));
            making.group("regions", needed, counting)?
        }
        Part::Downlink(code) => {
            let reader = known.offices.get(&code).ok_or_else(nobody)?;
            let mut all = making.witnesses(&[reader])?;
            if let Some(key) = &reader.mirror_key {
                all.push(making.witness("mirror", code.as_str(), key)?);
            }
            making.group("held", Threshold::All, all)?
        }
    };
    making.policy.quorum(Some(quorum_of))?;
    Ok(making.policy.build()?)
}

struct Making<'a> {
    domain: &'a str,
    policy: evidence::policy::PolicyBuilder,
}

impl Making<'_> {
    fn witness(&mut self, kind: &str, office: &str, key: &[u8; 32]) -> Result<Word, PolicyError> {
        let name = key_name(self.domain, kind, office);
        let word = Word::new(name.as_bytes())?;
        self.policy.witness(word.clone(), Verifier::cosigner(&name, key)?, None)?;
        Ok(word)
    }

    fn witnesses(&mut self, offices: &[&OfficeEnrolled]) -> Result<Vec<Word>, PolicyError> {
        let witness = |office: &&OfficeEnrolled| {
            self.witness("witness", office.code.as_str(), &office.witness_key)
        };
        offices.iter().map(witness).collect()
    }

    fn group(
        &mut self,
        name: &str,
        threshold: Threshold,
        members: Vec<Word>,
    ) -> Result<Word, PolicyError> {
        let name = Word::new(name.as_bytes())?;
        self.policy.group(name.clone(), threshold, members)?;
        Ok(name)
    }
}

/// The origin of a log's epoch in this installation.
pub fn origin_of(office: &Office, log: &LogName, epoch: u32) -> String {
    origin(&office.options.domain, log, epoch)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::Classifiers;
    use evidence::note::Signer;
    use identity::CentreKeys;

    use super::*;
    use crate::testing::{enrolment, log};

    fn key(seed: u8) -> [u8; 32] {
        *Signer::log("a", &[seed; 32]).unwrap().verifier().public_key()
    }

    fn known(codes: &[&str]) -> Known {
        let mut offices = BTreeMap::new();
        for (seed, code) in (1..).zip(codes) {
            let domain::Fact::Office(domain::office::OfficeFact::Enrolled(mut office)) =
                enrolment(code).1
            else {
                panic!("an enrolment")
            };
            office.witness_key = key(seed);
            offices.insert(office.code.clone(), office);
        }
        Known {
            offices,
            enrolled_at: BTreeMap::new(),
            again: BTreeMap::new(),
            complete: None,
            rekeyed: BTreeMap::new(),
            closed: BTreeMap::new(),
            classifiers: Classifiers::built_in().unwrap(),
            head: None,
        }
    }

    fn text(known: &Known, name: &str) -> Result<String, String> {
        let centre = CentreKeys { log: key(100), witness: key(101), mirror: key(102) };
        let trust = Trust { domain: "a.example".to_owned(), centre };
        let logs = vec![Verifier::log("a.example/log/x", &key(103)).unwrap()];
        let made = made("a.example", known, &trust, &log(name), logs);
        let policy = made.map_err(|error| error.to_string())?;
        let lines = String::from_utf8(policy.to_bytes()).unwrap();
        let rules = lines.lines().filter(|l| l.starts_with("group") || l.starts_with("quorum"));
        Ok(rules.collect::<Vec<_>>().join("; "))
    }

    #[test]
    fn peers_are_the_next_three_in_the_ring() {
        let five = known(&["KZ-10", "KZ-27", "KZ-71", "KZ-75", "KZ-79"]);
        let of = |known: &Known, code: &str| -> Vec<String> {
            let peers = peers(known, &code.parse().unwrap());
            peers.iter().map(ToString::to_string).collect()
        };
        assert_eq!(of(&five, "KZ-10"), ["KZ-27", "KZ-71", "KZ-75"]);
        assert_eq!(of(&five, "KZ-75"), ["KZ-79", "KZ-10", "KZ-27"], "it wraps");
        assert_eq!(of(&five, "KZ-72"), ["KZ-75", "KZ-79", "KZ-10"], "one that is not enrolled");
        assert_eq!(of(&known(&["KZ-10", "KZ-27"]), "KZ-27"), ["KZ-10"]);
        assert_eq!(of(&known(&["KZ-27"]), "KZ-27"), [] as [String; 0]);
    }

    #[test]
    fn more_than_two_thirds_of_the_offices_sign_for_the_centre() {
        let of = |n| quorum(n);
        assert_eq!([1, 2, 3, 4, 6, 20].map(of), [1, 2, 3, 3, 5, 14]);
        for n in 1..100 {
            assert!(quorum(n) <= n && 3 * quorum(n) > 2 * n, "{n}");
        }
    }

    #[test]
    fn every_kind_of_log_has_its_rule() {
        let three = known(&["KZ-27", "KZ-71", "KZ-75"]);
        let witness = |code: &str| format!("a.example/witness/{code}");
        let held = "a.example/witness/kz a.example/mirror/kz";
        assert_eq!(
            text(&three, "kz-75").unwrap(),
            format!(
                "group peers any {} {}; group held all {held} peers; quorum held",
                witness("kz-27"),
                witness("kz-71")
            )
        );
        let all = ["kz-27", "kz-71", "kz-75"].map(witness).join(" ");
        let regions = format!("group regions 3 {all}; quorum regions");
        assert_eq!(text(&three, "kz").unwrap(), regions);
        assert_eq!(text(&three, "kz/all").unwrap(), regions);
        let down = format!("group held all {}; quorum held", witness("kz-75"));
        assert_eq!(text(&three, "kz/kz-75").unwrap(), down);
        let alone = known(&["KZ-75"]);
        assert_eq!(text(&alone, "kz-75").unwrap(), format!("group held all {held}; quorum held"));
    }

    #[test]
    fn what_nobody_can_sign_has_no_policy() {
        let nobody = known(&[]);
        assert!(text(&nobody, "kz/all").unwrap_err().contains("no office that could co-sign"));
        assert!(text(&nobody, "kz/kz-75").is_err() && text(&nobody, "other/log").is_err());
        let mut twins = known(&["KZ-27", "KZ-71"]);
        twins.offices.values_mut().for_each(|office| office.witness_key = key(9));
        assert!(text(&twins, "kz/all").unwrap_err().contains("keys of their own"));
    }

    #[test]
    fn logs_that_the_network_does_not_have_have_no_part() {
        assert_eq!(part(&log("kz-75")), Some(Part::Region("KZ-75".parse().unwrap())));
        assert_eq!(part(&log("kz/all")), Some(Part::Centre));
        assert_eq!(part(&log("kz/kz-75")), Some(Part::Downlink("KZ-75".parse().unwrap())));
        for name in ["kz-75/blind", "kz/kz", "other", "ru/all"] {
            assert_eq!(part(&log(name)), None, "{name}");
        }
    }
}
