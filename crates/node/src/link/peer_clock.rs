//! The clock of another office beside this one's: noted, never a reason to refuse.

use std::time::Duration;

use domain::OfficeCode;
use replication::PeerClock;

use crate::link::silence::said;

/// A difference that every machine may have.
const TOLERATED: u64 = 10_000_000;

/// Whether the difference is one to note: more than is tolerated, whatever the link took.
pub fn is_wrong(clock: &PeerClock) -> bool {
    clock.ahead.unsigned_abs() > TOLERATED.saturating_add(clock.within)
}

/// The difference in words; empty unless it is one to note.
pub fn words(peer: &OfficeCode, clock: &PeerClock) -> String {
    if !is_wrong(clock) {
        return String::new();
    }
    let way = if clock.ahead > 0 { "ahead of" } else { "behind" };
    let span = said(Duration::from_micros(clock.ahead.unsigned_abs()));
    format!(
        "the clock of {peer} is {span} {way} that of this office; it is noted, nothing is refused \
         for it: set the one right that is wrong"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_noted_beyond_what_the_link_took() {
        let peer: OfficeCode = "KZ-75".parse().unwrap();
        let words = |ahead, within| words(&peer, &PeerClock { at: 0, ahead, within });
        assert_eq!(words(10_000_000, 0), "");
        assert_eq!(words(-14_000_000, 4_000_000), "", "a slow link shows no clock exactly");
        assert!(words(10_000_001, 0).starts_with("the clock of KZ-75 is 10 s ahead of that of"));
        assert!(words(-86_400_000_000 * 3, 1).contains("is 3 days behind that of this office"));
    }
}
