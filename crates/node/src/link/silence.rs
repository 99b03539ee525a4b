//! Since when another office is silent, and when that is an alarm.
//!
//! Measured by this office's own clock, from the last that was heard of the other one. That is
//! kept as a control fact now and then, `heard/<office>` with an `i64` in big-endian, so that it
//! outlives a restart; an office that never linked is measured from its enrolment.

use std::time::Duration;

use domain::{OfficeCode, Timestamp};
use journal::Control;

use crate::grpc::sync::LinkLine;
use crate::office::Office;

/// Time that the other offices have after a start of this node to make themselves heard, at most.
const GRACE: Duration = Duration::from_secs(60);
/// Written marks per time of the alarm: so exactly is the last contact known after a restart.
const MARKS: u32 = 3;

/// The time after which silence is an alarm.
pub fn limit(office: &Office) -> Duration {
    Duration::from_millis(office.options.replication.silence_alarm_ms)
}

fn key(peer: &OfficeCode) -> Vec<u8> {
    format!("heard/{}", peer.as_str().to_ascii_lowercase()).into_bytes()
}

/// When the peer was heard, as far as it was written down, microseconds since 1970.
pub fn heard(office: &Office, peer: &OfficeCode) -> Option<i64> {
    let value = office.journal.control(&key(peer))?;
    value.try_into().ok().map(i64::from_be_bytes)
}

/// The control fact that keeps when the peer was heard, if it is due.
pub fn mark(office: &Office, line: &LinkLine) -> Option<Control> {
    let last = line.last_contact?;
    let step = i64::try_from((limit(office) / MARKS).as_micros()).unwrap_or(i64::MAX);
    let is_due = heard(office, &line.peer).is_none_or(|at| last.saturating_sub(at) >= step);
    let value = || last.to_be_bytes().to_vec();
    is_due.then(|| Control { key: key(&line.peer), value: value() })
}

/// When the centre enrolled an office, by the centre's clock; `None`: it is not known here.
pub fn enrolled(office: &Office, peer: &OfficeCode) -> Option<i64> {
    let known = office.country.known();
    let ((epoch, seq), _) = known.witness_keys.get(peer)?.first().copied()?;
    let record = office.journal.get(&office.logs.all, epoch, seq).ok()??;
    Some(record.header().recorded_at)
}

/// The alarm about a peer, in words; empty if there is none. `last`: what was last heard of it.
pub fn alarm(office: &Office, peer: &OfficeCode, last: Option<i64>, now: i64) -> String {
    let (limit, up) = (limit(office), office.links.up());
    if up < limit.min(GRACE) {
        return String::new();
    }
    let started = || now.saturating_sub(i64::try_from(up.as_micros()).unwrap_or(i64::MAX));
    let since = last.or_else(|| enrolled(office, peer)).unwrap_or_else(started);
    let silent = Duration::from_micros(u64::try_from(now.saturating_sub(since)).unwrap_or(0));
    if silent <= limit {
        return String::new();
    }
    let for_so_long = said(silent);
    let at = Timestamp::from_micros(since);
    match last {
        Some(_) => format!(
            "{peer} is silent for {for_so_long}, since {at}: its node is off, or there is no way \
             between the two; adal sync explain {peer}"
        ),
        None => format!(
            "{peer} was never linked, for {for_so_long}, since {at}: its node is off, or there is \
             no way between the two; adal sync explain {peer}"
        ),
    }
}

/// A span of time as people say it.
pub fn said(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7_199 => format!("{} min", seconds / 60),
        seconds @ 7_200..=172_799 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::network::Network;
    use crate::testing::{desk, enrolment};

    const MINUTE: i64 = 60_000_000;

    #[tokio::test]
    async fn an_office_that_never_linked_is_silent_since_it_was_enrolled() {
        let network = Network::of(&["KZ-75"]).await;
        let office = &network.centre.office;
        let peer: OfficeCode = "KZ-75".parse().unwrap();
        let enrolled = enrolled(office, &peer).unwrap();
        office.links.started_before(Duration::from_secs(3_600));
        let at = |after| alarm(office, &peer, None, enrolled + after);
        assert_eq!(at(14 * MINUTE), "");
        let said = at(16 * MINUTE);
        assert!(said.starts_with("KZ-75 was never linked, for 16 min, since "), "{said}");
    }

    #[tokio::test]
    async fn silence_is_an_alarm_after_its_time_and_not_right_after_a_start() {
        let centre = desk("KZ").await;
        let office = &centre.office;
        centre.record(&office.logs.all.clone(), &[enrolment("KZ-75")]).await;
        let peer: OfficeCode = "KZ-75".parse().unwrap();
        let (heard, now) = (1_000 * MINUTE, 1_016 * MINUTE);
        assert_eq!(alarm(office, &peer, Some(heard), now), "", "this node has only just started");
        office.links.started_before(Duration::from_secs(61));
        let said = alarm(office, &peer, Some(heard), now);
        assert!(
            said.starts_with("KZ-75 is silent for 16 min, since 1970-01-01T16:40:00Z"),
            "{said}"
        );
        assert_eq!(alarm(office, &peer, Some(now - 15 * MINUTE), now), "");
    }
}
