//! The policies of an installation: a region's log, the centre's logs, its log for one region.

use super::{Policy, PolicyBuilder, PolicyProblem, Threshold, Word};
use crate::note::Verifier;

/// The policy for a region's log: the centre as witness *and* the centre as mirror *and* at least
/// one of the peer regions, where there are any. `logs` are the keys of the log's epochs; witnesses
/// are called by the names of their keys.
///
/// # Errors
/// What a key breaks: its kind, its name, or that it is given twice.
pub fn region_policy(
    logs: &[Verifier],
    centre_witness: &Verifier,
    centre_mirror: &Verifier,
    peers: &[Verifier],
) -> Result<Policy, PolicyProblem> {
    let mut builder = with_logs(logs)?;
    let witness = add_witness(&mut builder, centre_witness)?;
    let mirror = add_witness(&mut builder, centre_mirror)?;
    let peers = add_witnesses(&mut builder, peers)?;
    let mut needed = vec![witness, mirror];
    if !peers.is_empty() {
        let any = Word::new(b"peers")?;
        builder.group(any.clone(), Threshold::Any, peers)?;
        needed.push(any);
    }
    held(builder, needed)
}

/// The policy for the log that the centre writes for one region: this region as witness, and as
/// mirror where its key as mirror is known.
///
/// # Errors
/// What a key breaks: its kind, its name, or that it is given twice.
pub fn reader_policy(
    logs: &[Verifier],
    witness: &Verifier,
    mirror: Option<&Verifier>,
) -> Result<Policy, PolicyProblem> {
    let mut builder = with_logs(logs)?;
    let readers: Vec<Verifier> = std::iter::once(witness).chain(mirror).cloned().collect();
    let needed = add_witnesses(&mut builder, &readers)?;
    held(builder, needed)
}

/// The policy whose quorum is all of these.
fn held(mut builder: PolicyBuilder, needed: Vec<Word>) -> Result<Policy, PolicyProblem> {
    let all = Word::new(b"held")?;
    builder.group(all.clone(), Threshold::All, needed)?;
    builder.quorum(Some(all))?;
    builder.build()
}

/// The policy for the centre's logs: `quorum` of the regions ([`centre_quorum`]). `waiting` are
/// keys that do not count yet, of new regions and new ones of known regions: their lines are kept,
/// and each is called `<name of the key>/waiting`.
///
/// # Errors
/// [`PolicyProblem::Threshold`] if `quorum` is not 1 to the number of regions, or what a key
/// breaks.
pub fn centre_policy(
    logs: &[Verifier],
    regions: &[Verifier],
    waiting: &[Verifier],
    quorum: usize,
) -> Result<Policy, PolicyProblem> {
    let mut builder = with_logs(logs)?;
    let regions = add_witnesses(&mut builder, regions)?;
    for key in waiting {
        let name = Word::new(format!("{}/waiting", key.name()).as_bytes())?;
        builder.witness(name, key.clone(), None)?;
    }
    let name = Word::new(b"regions")?;
    builder.group(name.clone(), Threshold::AtLeast(quorum), regions)?;
    builder.quorum(Some(name))?;
    builder.build()
}

/// The smallest quorum `q` of `regions` with `2q - regions > colluding`: two quorums share more
/// regions than may lie, so an honest one has seen both heads. 14 of 20 hold against 7 liars.
///
/// `None` if no quorum does, because too many may lie.
#[must_use]
pub fn centre_quorum(regions: usize, colluding: usize) -> Option<usize> {
    let quorum = regions.checked_add(colluding)? / 2 + 1;
    (quorum <= regions).then_some(quorum)
}

/// A policy that lists these logs.
fn with_logs(logs: &[Verifier]) -> Result<PolicyBuilder, PolicyProblem> {
    let mut builder = Policy::builder();
    for key in logs {
        builder.log(key.clone(), None)?;
    }
    Ok(builder)
}

/// Adds a witness under the name of its key.
fn add_witness(builder: &mut PolicyBuilder, key: &Verifier) -> Result<Word, PolicyProblem> {
    let name = Word::new(key.name().as_bytes())?;
    builder.witness(name.clone(), key.clone(), None)?;
    Ok(name)
}

/// Adds witnesses under the names of their keys.
fn add_witnesses(
    builder: &mut PolicyBuilder,
    keys: &[Verifier],
) -> Result<Vec<Word>, PolicyProblem> {
    keys.iter().map(|key| add_witness(builder, key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorums_of_the_centre_overlap_in_an_honest_region() {
        assert_eq!(centre_quorum(20, 7), Some(14));
        for regions in 1..=40 {
            for colluding in 0..=40 {
                let fits = |q: &usize| 2 * q > regions + colluding;
                let expected = (1..=regions).find(fits);
                assert_eq!(centre_quorum(regions, colluding), expected, "{regions} {colluding}");
            }
        }
    }
}
