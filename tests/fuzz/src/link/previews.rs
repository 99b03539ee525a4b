//! Urgent records ahead of a backlog: what an office gives and shows, and how that is bent.

use replication::action::{PreviewAsk, PreviewRead};
use replication::{Failure, Now, Preview, Session};

use super::material::{LENGTH, MATERIAL};
use super::office::Office;
use super::script::Script;

/// Executes a request about previews. All records of the material are urgent.
pub fn execute(
    office: &Office,
    now: Now,
    ask: PreviewAsk,
    failure: Option<Failure>,
    session: &mut Session,
) {
    match ask {
        PreviewAsk::Find(ask) => {
            assert!(ask.from < ask.end && ask.end <= office.holds(&ask.log), "not here");
            let all: Vec<u64> = (ask.from..ask.end).collect();
            session.urgent_found(now, ask.ticket, if failure.is_some() { &[] } else { &all });
        }
        PreviewAsk::Read(ask) => {
            assert!(ask.seq < ask.head_size && ask.head_size <= office.holds(&ask.log));
            let history = &MATERIAL.log(&ask.log).unwrap().histories[0];
            let record = history.records[ask.seq as usize].clone();
            let proof = history.inclusion(ask.seq, ask.head_size);
            let read = failure.is_none().then_some(PreviewRead { record, proof });
            session.preview_read(now, ask.ticket, read);
        }
        PreviewAsk::Show(shown) => {
            let header = shown.record.header();
            let (log, seq) = (MATERIAL.log(&header.log).unwrap(), header.seq);
            let copy = office.stored(&header.log).unwrap();
            let (size, head) = copy.head.as_ref().unwrap();
            assert!(copy.size <= seq && seq < *size, "held already, or not signed");
            let is_signed = log.histories.iter().any(|history| {
                history.has_head(*size, head)
                    && history.records[seq as usize] == shown.record.bytes()
            });
            assert!(is_signed, "a record is shown that is not below the accepted head");
        }
    }
}

/// Checks what an office says.
pub fn said(office: &Office, preview: &Preview) {
    let Preview { log, seq, head_size, record, .. } = preview;
    assert!(seq < head_size && *head_size <= office.holds(log), "not held: {seq}");
    assert!(MATERIAL.log(log).unwrap().histories[0].records[*seq as usize] == *record);
}

/// Changes one field.
pub fn bend(m: &mut Preview, script: &mut Script<'_>) {
    match script.below(7) {
        0 => m.log = script.log(),
        1 => m.epoch = script.epoch(),
        2 => m.seq = script.size(m.seq),
        3 => m.head_size = script.size(m.head_size),
        4 => m.proof = script.proof(&m.proof),
        5 => {
            let at = usize::from(script.byte()) << 3 | script.below(8);
            if let Some(byte) = m.record.get_mut(at) {
                *byte ^= 1 << script.below(8);
            }
        }
        _ => {
            let history = &MATERIAL.nth(script.below(2)).histories[script.below(2)];
            m.record.clone_from(&history.records[script.below(LENGTH as usize)]);
        }
    }
}

/// A record of real parts, shown by a writer that cheats.
pub fn invent(script: &mut Script<'_>) -> Preview {
    let log = MATERIAL.nth(script.below(2));
    let history = &log.histories[script.below(2)];
    let head_size = script.below(LENGTH as usize) as u64 + 1;
    let seq = script.below(head_size as usize) as u64;
    let (record, proof) =
        (history.records[seq as usize].clone(), history.inclusion(seq, head_size));
    Preview { log: log.name.clone(), epoch: 1, seq, head_size, record, proof }
}
