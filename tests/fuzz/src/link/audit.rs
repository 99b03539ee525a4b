//! What must be true of all that an office says, and of what it shows to its operator.

use evidence::checkpoint::verify_cosignature;
use replication::limits::KEYS_AT_ONCE;
use replication::{LogState, Message, Role, Status};

use super::files;
use super::material::MATERIAL;
use super::office::{Copy, Office};
use super::previews;

/// Checks a message against the disk of the office that says it. Panics if it is not true.
pub fn said(office: &Office, message: &Message) {
    match message {
        Message::Hello(hello) => {
            for holding in hello.holdings.iter().filter(|h| h.role == Role::Follower) {
                let copy = office.stored(&holding.log).unwrap();
                assert!(holding.size <= copy.size, "a hello says more than is held");
            }
        }
        Message::Head(head) => {
            let log = MATERIAL.log(&head.log).unwrap();
            let is_own = |size: &u64| log.histories[0].has_head(*size, &head.note);
            let size = (0..=office.own[&head.log]).find(is_own);
            assert!(
                size.is_some_and(|size| head.old_size <= size),
                "a head of nothing that is here"
            );
        }
        Message::HeadAccepted(accepted) => {
            let copy = &office.mirrors[&accepted.log];
            cosigned(office, copy, "witness", accepted.size, &accepted.cosignature);
        }
        Message::Witnessed(witnessed) => {
            let copy = &office.witnessed[&witnessed.log];
            cosigned(office, copy, "witness", witnessed.size, &witnessed.cosignature);
        }
        Message::Held(held) => {
            let copy = office.stored(&held.log).unwrap();
            assert!(held.size <= copy.size, "held before it is stored");
            assert_eq!(held.root, copy.root(&held.log, held.size), "held under another root");
            if let Some(line) = &held.cosignature {
                cosigned(office, copy, "mirror", held.size, line);
                assert!(office.kept.covers(held.size), "co-signed as mirror without the keys");
            }
        }
        Message::Entries(entries) => {
            let (from, end) = (entries.first_seq, entries.first_seq + entries.records.len() as u64);
            let holds = office.holds(&entries.log);
            assert!(end <= entries.head_size && entries.head_size <= holds, "not held: {end}");
            let history = &MATERIAL.log(&entries.log).unwrap().histories[0];
            assert!(history.records[from as usize..end as usize] == entries.records[..]);
        }
        Message::Return(returned) => {
            assert_eq!(returned.size, office.holds(&returned.log));
        }
        Message::KeysWanted(wanted) => assert!((1..=KEYS_AT_ONCE).contains(&wanted.ids.len())),
        Message::Attachment(message) => files::said(message),
        Message::Preview(preview) => previews::said(office, preview),
        Message::Keys(keys) => assert!(keys.wraps.len() <= KEYS_AT_ONCE),
        Message::Refused(_)
        | Message::Witness(_)
        | Message::Cosigned(_)
        | Message::Ping { .. }
        | Message::Pong { .. } => {}
    }
}

/// A line of the office is on the head that it has stored.
fn cosigned(office: &Office, copy: &Copy, role: &str, size: u64, line: &str) {
    let key = MATERIAL.cosigner(office.code, role).verifier();
    let (stored, note) = copy.head.as_ref().unwrap();
    assert_eq!(*stored, size, "co-signed before it is stored");
    assert!(verify_cosignature(note, line, &key).is_ok(), "co-signed another head");
    assert!(role == "witness" || copy.size == size, "co-signed as mirror without the records");
}

/// Checks what the operator is shown of the logs that are copied here.
pub fn shown(office: &Office, status: &Status) {
    for log in status.logs.iter().filter(|log| log.epoch == 1) {
        let copy = office.stored(&log.log).filter(|_| log.role == Role::Follower);
        let Some(copy) = copy else { continue };
        assert!(log.held <= copy.size, "shown as held before it is stored");
        // A peer that claims a later epoch has ended this one: nothing more comes of it.
        let is_over = status.logs.iter().any(|later| later.log == log.log && later.epoch > 1);
        let is_mirror = office.mirrors.contains_key(&log.log) && !is_over;
        let is_live = log.state == LogState::Live && is_mirror;
        if is_live {
            assert_eq!(copy.head.as_ref().map(|head| head.0), Some(copy.size), "live too early");
        }
    }
}
