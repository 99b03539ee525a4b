//! What is said of links, and when.

use replication::{LinkState, Party};

use super::*;
use crate::link::driver::STATUS_EVERY;
use crate::link::state::STALE;

fn info(link: LinkState) -> LinkInfo {
    let status = Status {
        peer: "KZ".to_owned(),
        peer_software: None,
        link,
        heard_at: Some(7),
        round_trip: None,
        clock: None,
        logs: Vec::new(),
    };
    let unrenewed = Some(STATUS_EVERY);
    LinkInfo { status: Some(status), unrenewed, since: Some(9), ..LinkInfo::default() }
}

fn word_of(link: LinkState) -> LinkWord {
    state(&info(link), None, None).word
}

fn closed() -> LinkState {
    LinkState::Closed { at: 9, text: "reset".to_owned() }
}

#[test]
fn only_a_live_link_reads_live() {
    let never = State { word: LinkWord::NeverConnected, since: None, reason: None };
    assert_eq!(state(&LinkInfo::default(), None, None), never);
    assert_eq!(word_of(LinkState::Live), LinkWord::Live);
    assert_eq!(word_of(LinkState::Connecting), LinkWord::Connecting);
    assert_eq!(word_of(LinkState::CatchingUp), LinkWord::CatchingUp);
    assert_eq!(word_of(LinkState::Faulty), LinkWord::Refused);
}

#[test]
fn a_status_that_nobody_renews_is_not_believed() {
    let links = [LinkState::Live, LinkState::CatchingUp, LinkState::Connecting];
    for link in links {
        let mut info = info(link);
        info.unrenewed = Some(STALE);
        assert_ne!(state(&info, None, None).word, LinkWord::SilentSince);
        info.unrenewed = Some(STALE + STATUS_EVERY);
        let silent = State { word: LinkWord::SilentSince, since: Some(7), reason: None };
        assert_eq!(state(&info, None, None), silent);
    }
}

#[test]
fn silence_is_counted_from_the_last_sign_of_life() {
    let silent = |since| State { word: LinkWord::SilentSince, since: Some(since), reason: None };
    assert_eq!(state(&info(closed()), None, None), silent(7));
    assert_eq!(state(&info(LinkState::SilentSince(8)), None, None), silent(7));
    assert_eq!(state(&LinkInfo::default(), Some(5), None), silent(5), "after a restart");
    let mut unheard = info(closed());
    unheard.status.as_mut().unwrap().heard_at = None;
    assert_eq!(state(&unheard, None, None).word, LinkWord::NeverConnected, "it never said hello");
}

#[test]
fn a_refusal_stands_while_the_link_is_down() {
    let refused = Some((Party::Us, RefusalCode::Fork));
    let down = LinkInfo { refused, ..info(closed()) };
    assert_eq!(state(&down, Some(5), None).word, LinkWord::Refused);
    let before = LinkInfo { refused, ..LinkInfo::default() };
    assert_eq!(state(&before, None, None).word, LinkWord::Refused);
}

#[test]
fn ages_never_run_backwards_and_a_wrong_clock_is_told() {
    assert_eq!(age_ms(1_000_000, 3_500_000), 2_500);
    assert_eq!(age_ms(3_500_000, 1_000_000), 0, "the clock was set back");
    assert_eq!(with_clock("reset", Some(3_500_000), 3_000_000), "reset", "less than a second");
    assert_eq!(with_clock("reset", None, 0), "reset");
    let told = with_clock("", Some(9_500_000), 1_000_000);
    assert!(told.starts_with("the clock of this office was set back: it is 8 s"), "{told}");
    assert!(with_clock("reset", Some(9_500_000), 0).starts_with("reset; the clock"));
}

#[test]
fn a_pause_says_why_where_and_that_it_ends() {
    let entry = LogStatus {
        log: "kz-75".parse().unwrap(),
        epoch: 1,
        role: Role::Follower,
        size: 0,
        head_size: None,
        head_at: None,
        held: 0,
        witnessed: None,
        lag: None,
        state: LogState::Paused(RefusalCode::IndexBuilding),
    };
    assert_eq!(
        refusal(&entry, &"KZ".parse().unwrap()),
        "index_building: pausing: the index is being built at KZ; it goes on by itself"
    );
}

#[test]
fn what_the_peer_never_said_is_not_known() {
    let entry = |held, state| LogStatus {
        log: "kz-75".parse().unwrap(),
        epoch: 1,
        role: Role::Origin,
        size: 9,
        head_size: None,
        head_at: None,
        held,
        witnessed: None,
        lag: None,
        state,
    };
    assert_eq!(held_by_peer(None, None, false), Some(0), "it never acknowledged anything");
    assert_eq!(held_by_peer(None, None, true), None, "it did, before a restart of ours");
    assert_eq!(held_by_peer(None, Some(5), true), Some(5));
    assert_eq!(held_by_peer(Some(&entry(0, LogState::Waiting)), None, true), None);
    assert_eq!(held_by_peer(Some(&entry(7, LogState::Waiting)), Some(5), true), Some(7));
    assert_eq!(held_by_peer(Some(&entry(0, LogState::CatchingUp)), None, true), Some(0));
}

#[test]
fn the_reason_of_a_refusal_and_of_a_read_only_log_is_said() {
    let refused =
        LinkInfo { refused: Some((Party::Peer, RefusalCode::DuplicateOffice)), ..info(closed()) };
    assert_eq!(state(&refused, None, None).text(), "refused: duplicate_office");
    let live = info(LinkState::Live);
    assert_eq!(state(&live, None, None).text(), "live");
    let frozen = state(&live, None, Some(RefusalCode::Fork));
    assert_eq!(frozen.text(), "read-only: fork", "more than anything else");
    let two = LinkInfo { duplicate: Some(3), ..live };
    assert_eq!(state(&two, None, None).text(), "refused: duplicate_office", "though one is live");
    let silent = State { word: LinkWord::SilentSince, since: Some(1_999_999), reason: None };
    assert_eq!(silent.text(), "silent since 1970-01-01T00:00:01Z");
    let mut faulty = info(LinkState::Faulty);
    let log = |epoch, state| LogStatus {
        log: "kz-75".parse().unwrap(),
        epoch,
        role: Role::Follower,
        size: 0,
        head_size: None,
        head_at: None,
        held: 0,
        witnessed: None,
        lag: None,
        state,
    };
    let stopped = |code| LogState::Stopped { code, text: String::new() };
    let logs = vec![log(1, stopped(RefusalCode::Fork)), log(2, stopped(RefusalCode::WrongKey))];
    faulty.status.as_mut().unwrap().logs = logs;
    let said = state(&faulty, None, None).text();
    assert_eq!(said, "refused: wrong_key", "of the epoch that goes on");
}
