//! Who must sign and co-sign the heads of each log: trust policies (C2SP tlog-policy) made from
//! what the centre has published and from the keys that this installation trusts.
//!
//! | log | a head of it is complete with |
//! |---|---|
//! | `kz-75` | the centre as witness, the centre as mirror, any one that is or was its peer |
//! | `kz`, `kz/all` | q of the n enrolled offices, q = floor(2n/3) + 1 |
//! | `kz/kz-75` | the office as witness, and as mirror if its mirror key is enrolled |
//!
//! The peers of an office are the next three enrolled ones in the ring of codes. One that a newly
//! enrolled office displaces goes on to count: what it has co-signed stays complete, and nothing
//! waits for a node that does not run yet. With q of n two
//! views of the centre's logs cannot both be complete unless more than n/3 offices co-sign both.
//! The n offices are those that were enrolled below the last head of `kz/all` that was complete
//! here ([`counts`]); before the first one, all that are. Each counts by the newest key that was
//! published below that head ([`counting_key`]).

use std::collections::BTreeSet;

use domain::OfficeCode;
use domain::office::OfficeEnrolled;
use evidence::log::{LogName, origin};
use evidence::note::{NoteError, Verifier};
use evidence::policy::{
    Policy, PolicyProblem, centre_policy, centre_quorum, reader_policy, region_policy,
};
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

/// The next [`PEERS`] enrolled offices in the ring of codes: to whom this one's heads are shown.
pub fn peers(known: &Known, office: &OfficeCode) -> Vec<OfficeCode> {
    ring(known.offices.keys(), office).cloned().collect()
}

fn ring<'a>(
    enrolled: impl Iterator<Item = &'a OfficeCode>,
    office: &OfficeCode,
) -> impl Iterator<Item = &'a OfficeCode> {
    let others = enrolled.filter(|code| !code.is_centre() && *code != office);
    let (before, behind): (Vec<_>, Vec<_>) = others.partition(|code| *code < office);
    behind.into_iter().chain(before).take(PEERS)
}

/// All that are or were peers of an office since it was enrolled, in the order of their codes.
fn witnesses(known: &Known, office: &OfficeCode) -> BTreeSet<OfficeCode> {
    let first = |code: &OfficeCode| Some(known.witness_keys.get(code)?.first()?.0);
    let mut order: Vec<_> = known.offices.keys().map(|code| (first(code), code)).collect();
    order.sort();
    let began = order.iter().position(|(_, code)| *code == office);
    let mut witnesses: BTreeSet<_> = peers(known, office).into_iter().collect();
    let mut enrolled = BTreeSet::new();
    for (at, (_, code)) in order.into_iter().enumerate() {
        enrolled.insert(code);
        if began.is_some_and(|began| at >= began) {
            witnesses.extend(ring(enrolled.iter().copied(), office).cloned());
        }
    }
    witnesses
}

/// Whether an office is one of those that must co-sign the next head of the centre's logs: it was
/// enrolled below the last complete one. Whom a head itself enrols does not vouch for that head, or
/// a centre could meet the quorum with offices that it invents.
pub fn counts(known: &Known, office: &OfficeCode) -> bool {
    let keys = known.witness_keys.get(office);
    keys.and_then(|keys| keys.first()).is_some_and(|(at, _)| is_covered(known, *at))
}

/// Whether a record of `kz/all` lies below the last head that was complete here, or none was yet.
fn is_covered(known: &Known, at: (u32, u64)) -> bool {
    known.complete.is_none_or(|complete| at < complete)
}

/// The witness key of an office that counts for the centre's logs: the newest one whose record lies
/// below the last complete head, so that the keys before it have co-signed that there is a new one.
/// With a key that counted at once a centre could make its own quorum, by giving offices keys of
/// its own making. A key that is sure here (`is_sure`) counts from its record on: this office's
/// own, and those that its operator has confirmed. `None`: the office does not count yet.
///
/// # Errors
/// The key that counts is none.
pub fn counting_key(
    domain: &str,
    known: &Known,
    office: &OfficeCode,
    is_sure: &dyn Fn(&Verifier) -> bool,
) -> Result<Option<Verifier>, NoteError> {
    let keys = known.witness_keys.get(office).filter(|_| counts(known, office));
    let name = key_name(domain, "witness", office.as_str());
    for (at, key) in keys.into_iter().flatten().rev() {
        let key = Verifier::cosigner(&name, key);
        if is_covered(known, *at) || key.as_ref().is_ok_and(is_sure) {
            return key.map(Some);
        }
    }
    Ok(None)
}

/// Whether this office knows that a witness's key is what it says, whoever published it.
fn is_sure(office: &Office, key: &Verifier) -> bool {
    let own = || key_name(&office.options.domain, "witness", office.code.as_str());
    let is_own = || {
        let public = office.keys.public(office.code.as_str());
        public.is_ok_and(|public| public.witness == *key.public_key()) && key.name() == own()
    };
    office.options.evidence.confirmed_keys.iter().any(|confirmed| *confirmed == key.to_string())
        || is_own()
}

/// New witness keys that do not count yet, because no complete head covers the records of `kz/all`
/// that name them; with the sequence of each.
pub fn waiting(office: &Office) -> Vec<(u64, Verifier)> {
    let (domain, known) = (&office.options.domain, office.country.known());
    let is_sure = |key: &Verifier| is_sure(office, key);
    let mut waiting = Vec::new();
    for (code, keys) in &known.witness_keys {
        let Ok(Some(counts)) = counting_key(domain, &known, code, &is_sure) else { continue };
        let Some(((_, seq), key)) = keys.last() else { continue };
        if key != counts.public_key() {
            waiting.extend(Verifier::cosigner(counts.name(), key).map(|key| (*seq, key)));
        }
    }
    waiting
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
    let (domain, is_sure) = (&office.options.domain, |key: &Verifier| is_sure(office, key));
    made(domain, &known, &office.trust, log, logs, &is_sure)
}

/// The policy of a log with these log keys. `is_sure`: see [`counting_key`].
///
/// # Errors
/// [`PolicyError`].
pub fn made(
    domain: &str,
    known: &Known,
    trust: &Trust,
    log: &LogName,
    logs: Vec<Verifier>,
    is_sure: &dyn Fn(&Verifier) -> bool,
) -> Result<Policy, PolicyError> {
    let nobody = || PolicyError::NobodyEnrolled(log.clone());
    if logs.is_empty() {
        return Err(nobody());
    }
    let key = |kind: &str, office: &str, key: &[u8; 32]| {
        Verifier::cosigner(&key_name(domain, kind, office), key)
    };
    let witness =
        |office: &OfficeEnrolled| key("witness", office.code.as_str(), &office.witness_key);
    let policy = match part(log).ok_or_else(nobody)? {
        Part::Region(code) => {
            let peers = witnesses(known, &code);
            let peers = peers.iter().filter_map(|peer| known.offices.get(peer));
            let peers = peers.map(witness).collect::<Result<Vec<_>, _>>()?;
            let centre = &trust.centre;
            let (first, second) =
                (key("witness", "kz", &centre.witness)?, key("mirror", "kz", &centre.mirror)?);
            region_policy(&logs, &first, &second, &peers)
        }
        Part::Centre => {
            let (mut counting, mut waiting) = (Vec::new(), Vec::new());
            for office in known.offices.values().filter(|office| !office.code.is_centre()) {
                let counts = counting_key(domain, known, &office.code, is_sure)?;
                // A key that is none and waits keeps nobody from having a policy.
                let newest = witness(office).ok();
                waiting.extend(newest.filter(|newest| counts.as_ref() != Some(newest)));
                counting.extend(counts);
            }
            if counting.is_empty() {
                return Err(nobody());
            }
            // Nor does one that somebody else has.
            let mut taken: BTreeSet<_> = counting.iter().map(|key| *key.public_key()).collect();
            waiting.retain(|key| taken.insert(*key.public_key()));
            centre_policy(&logs, &counting, &waiting, quorum(counting.len()))
        }
        Part::Downlink(code) => {
            let reader = known.offices.get(&code).ok_or_else(nobody)?;
            let mirror = reader.mirror_key.as_ref();
            let mirror = mirror.map(|mirror| key("mirror", code.as_str(), mirror)).transpose()?;
            reader_policy(&logs, &witness(reader)?, mirror.as_ref())
        }
    };
    Ok(policy?)
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
        let (mut offices, mut witness_keys) = (BTreeMap::new(), BTreeMap::new());
        for (seed, code) in (1..).zip(codes) {
            let domain::Fact::Office(domain::office::OfficeFact::Enrolled(mut office)) =
                enrolment(code).1
            else {
                panic!("an enrolment")
            };
            office.witness_key = key(seed);
            witness_keys.insert(office.code.clone(), vec![((1, seed.into()), office.witness_key)]);
            offices.insert(office.code.clone(), office);
        }
        Known {
            offices,
            witness_keys,
            again: BTreeMap::new(),
            complete: None,
            rekeyed: BTreeMap::new(),
            closed: BTreeMap::new(),
            classifiers: Classifiers::built_in().unwrap(),
            head: None,
        }
    }

    fn text(known: &Known, name: &str) -> Result<String, String> {
        let lines = lines(known, name, &|_| false)?;
        let rules = lines.lines().filter(|l| l.starts_with("group") || l.starts_with("quorum"));
        Ok(rules.collect::<Vec<_>>().join("; "))
    }

    fn lines(
        known: &Known,
        name: &str,
        is_sure: &dyn Fn(&Verifier) -> bool,
    ) -> Result<String, String> {
        let centre = CentreKeys { log: key(100), witness: key(101), mirror: key(102) };
        let trust = Trust { domain: "a.example".to_owned(), centre };
        let logs = vec![Verifier::log("a.example/log/x", &key(103)).unwrap()];
        let made = made("a.example", known, &trust, &log(name), logs, is_sure);
        let policy = made.map_err(|error| error.to_string())?;
        Ok(String::from_utf8(policy.to_bytes()).unwrap())
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
    fn who_was_a_peer_goes_on_to_count() {
        let mut known = known(&["KZ-10", "KZ-71", "KZ-79"]);
        let rule = |known: &Known| text(known, "kz-71").unwrap();
        let all = |codes: &[&str]| {
            let names = codes.iter().map(|code| format!(" a.example/witness/{code}"));
            format!("group peers any{}", names.collect::<String>())
        };
        assert!(rule(&known).starts_with(&(all(&["kz-10", "kz-79"]) + ";")), "{}", rule(&known));
        // Three at once stand next in the ring: their nodes need not run yet.
        for (seed, code) in (4..).zip(["KZ-72", "KZ-73", "KZ-74"]) {
            let domain::Fact::Office(domain::office::OfficeFact::Enrolled(mut office)) =
                enrolment(code).1
            else {
                panic!("an enrolment")
            };
            office.witness_key = key(seed);
            known.witness_keys.insert(office.code.clone(), vec![((1, seed.into()), key(seed))]);
            known.offices.insert(office.code.clone(), office);
        }
        let shown = peers(&known, &"KZ-71".parse().unwrap());
        assert_eq!(
            shown.iter().map(OfficeCode::as_str).collect::<Vec<_>>(),
            ["KZ-72", "KZ-73", "KZ-74"]
        );
        let six = all(&["kz-10", "kz-72", "kz-73", "kz-74", "kz-79"]) + ";";
        assert!(rule(&known).starts_with(&six), "{}", rule(&known));
        // Who was never next to it while it was enrolled does not count.
        let last = text(&known, "kz-74").unwrap();
        assert!(last.contains("kz-71") && !last.contains("kz-72"), "{last}");
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
        twins.witness_keys.values_mut().for_each(|keys| keys[0].1 = key(9));
        assert!(text(&twins, "kz/all").unwrap_err().contains("keys of their own"));
    }

    /// Which key of KZ-71 counts and which one waits, by the seeds of `key`.
    fn keys_of(known: &Known, is_sure: &dyn Fn(&Verifier) -> bool) -> (Option<u8>, Option<u8>) {
        let lines = lines(known, "kz/all", is_sure).unwrap();
        let named = |name: &str| {
            let line = lines.lines().find(|line| line.starts_with(&format!("witness {name} ")));
            let vkey: Verifier = line?.split(' ').next_back()?.parse().unwrap();
            (1..100).find(|seed| key(*seed) == *vkey.public_key())
        };
        (named("a.example/witness/kz-71"), named("a.example/witness/kz-71/waiting"))
    }

    #[test]
    fn a_new_key_counts_once_a_complete_head_covers_it_or_it_is_sure() {
        let nothing = |_: &Verifier| false;
        let mut known = known(&["KZ-27", "KZ-71", "KZ-75", "KZ-79"]);
        let code: OfficeCode = "KZ-71".parse().unwrap();
        let rekey = |known: &mut Known, seq, seed| {
            known.witness_keys.get_mut(&code).unwrap().push(((1, seq), key(seed)));
            known.offices.get_mut(&code).unwrap().witness_key = key(seed);
        };
        assert_eq!(keys_of(&known, &nothing), (Some(2), None));
        rekey(&mut known, 7, 50);
        assert_eq!(keys_of(&known, &nothing), (Some(50), None), "nothing was complete yet");
        known.complete = Some((1, 7));
        assert_eq!(keys_of(&known, &nothing), (Some(2), Some(50)));
        let sure = |seed: u8| move |other: &Verifier| *other.public_key() == key(seed);
        assert_eq!(keys_of(&known, &sure(50)), (Some(50), None));
        rekey(&mut known, 9, 60);
        assert_eq!(keys_of(&known, &nothing), (Some(2), Some(60)));
        assert_eq!(keys_of(&known, &sure(50)), (Some(50), Some(60)), "another key was confirmed");
        known.complete = Some((1, 8));
        assert_eq!(keys_of(&known, &nothing), (Some(50), Some(60)));
        known.complete = Some((2, 0));
        assert_eq!(keys_of(&known, &nothing), (Some(60), None));
        // A waiting key that somebody else has does not keep the others from having a policy.
        known.complete = Some((1, 8));
        rekey(&mut known, 10, 1);
        assert_eq!(keys_of(&known, &nothing), (Some(50), None));
        // Who is not enrolled below that head does not count, whatever is sure.
        known.complete = Some((1, 2));
        assert_eq!(keys_of(&known, &sure(1)), (None, None));
        rekey(&mut known, 11, 70);
        assert_eq!(keys_of(&known, &sure(70)), (None, Some(70)));
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
