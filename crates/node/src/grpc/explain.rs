//! `ExplainSync`: what is wrong with the link to one office, or that nothing is.
//!
//! Everything comes from what the node knows already: the state of the link ([`sync`]), the faults
//! and refusals that are kept, the hello of the other side. The words come from [`situations`].

use std::collections::BTreeSet;

use domain::OfficeCode;
use evidence::log::LogName;
use replication::{LinkState, Party, RefusalCode, Role};
use wire::pb::operator::v1 as pb;

use crate::grpc::instant;
use crate::grpc::sync::{self, LinkLine, LinkWord};
use crate::link::store::{self, KeptFault};
use crate::link::{LinkInfo, peer_clock, plan, refusals, shared_logs, state};
use crate::office::Office;
use crate::reseed;
use crate::situations::{self, Names, Situation};

/// Evidence shown at most; more of one kind is not kept either.
const SHOWN: usize = 256;

/// Something that was found, before it has its words.
struct Found {
    code: &'static str,
    /// Log and epoch; `None`: the link.
    at: Option<(LogName, u32)>,
    by: Option<Party>,
    since: Option<i64>,
    says: String,
}

/// How it stands with the link to `peer`; `None`: this office has none.
pub fn explain(office: &Office, peer: &OfficeCode) -> Option<pb::ExplainSyncResponse> {
    let info = sync::peers(office).remove(peer)?;
    let line = sync::lines(office).remove(peer)?;
    let kept = kept(office, peer);
    let found = found(office, &line, &info, &kept);
    let evidence = evidence(office, peer, &kept);
    let machine = |instance: &[u8; 16], software: &str| pb::SyncMachine {
        instance: instance.to_vec(),
        software: software.to_owned(),
    };
    Some(pb::ExplainSyncResponse {
        office: office.code.to_string(),
        peer: peer.to_string(),
        at: Some(instant(office.clock.now())),
        state: line.state.text(),
        since: line.state.since.map(instant),
        last_contact: line.last_contact.map(instant),
        findings: found.into_iter().map(|found| finding(office, peer, found)).collect(),
        logs: sides(office, &line, &info),
        evidence,
        here: Some(machine(&office.instance, plan::SOFTWARE)),
        there: info.said.as_ref().map(|said| machine(&said.instance, &said.software)),
        clock_ahead_ms: line.clock.map(|clock| clock.ahead / 1_000),
        clock_within_ms: line.clock.map_or(0, |clock| clock.within.div_ceil(1_000)),
        at_risk: at_risk(&line),
    })
}

/// The kept faults of the logs that are shared with a peer, oldest first, with all that is kept.
fn kept(office: &Office, peer: &OfficeCode) -> Vec<(KeptFault, String)> {
    let logs: BTreeSet<LogName> =
        shared_logs(office, peer).into_iter().map(|(log, _)| log).collect();
    let mut kept = Vec::new();
    for log in &logs {
        for (key, value) in office.journal.controls(format!("fault/{log}/").as_bytes()) {
            let content = String::from_utf8_lossy(&value).into_owned();
            // A log may be named like the beginning of another: `kz` and `kz/all`.
            let fault = store::kept_fault(&key, value).filter(|fault| fault.log == *log);
            kept.extend(fault.map(|fault| (fault, content)));
        }
    }
    kept.sort_by_key(|(fault, _)| fault.at);
    kept
}

/// What was found, the gravest first.
fn found(
    office: &Office,
    line: &LinkLine,
    info: &LinkInfo,
    kept: &[(KeptFault, String)],
) -> Vec<Found> {
    let mut found: Vec<Found> = link_found(office, line, info).into_iter().collect();
    found.extend(logs_found(office, line, info, kept));
    if let Some(clock) = line.clock.filter(peer_clock::is_wrong) {
        let says = peer_clock::words(&line.peer, &clock);
        // How long it has been so is not kept.
        let (by, since) = (Some(Party::Us), None);
        found.push(Found { code: "wrong_clock", at: None, by, since, says });
    }
    let code = match line.state.word {
        LinkWord::SilentSince | LinkWord::NeverConnected => Some("silent"),
        LinkWord::CatchingUp | LinkWord::Connecting => Some("catching_up"),
        LinkWord::Live if found.is_empty() => Some("nothing_wrong"),
        _ if found.is_empty() => Some("internal"),
        _ => None,
    };
    if let Some(code) = code {
        let says = [figures(line), line.alarm.clone(), line.last_error.clone()];
        let says: Vec<String> = says.into_iter().filter(|text| !text.is_empty()).collect();
        let (by, since) = (Some(Party::Us), line.state.since);
        found.push(Found { code, at: None, by, since, says: says.join("; ") });
    }
    found
}

/// A refusal of the link as a whole, or a second machine.
fn link_found(office: &Office, line: &LinkLine, info: &LinkInfo) -> Option<Found> {
    let status = info.status.as_ref().map(|status| &status.link);
    let (by, code) = match (info.duplicate, info.refused, status) {
        (Some(_), ..) => (Some(Party::Us), RefusalCode::DuplicateOffice),
        (None, Some((by, code)), _) => (Some(by), code),
        (None, None, Some(LinkState::Refused { code, .. })) => (None, *code),
        _ => return None,
    };
    let mut kept = refusals::all(office, &line.peer).into_iter();
    let kept = kept.rfind(|kept| kept.code == code.as_str());
    let says = match (&kept, line.last_error.is_empty()) {
        (Some(kept), _) => kept.text.clone(),
        (None, false) => line.last_error.clone(),
        (None, true) => String::new(),
    };
    let since = kept.map(|kept| kept.at).or(info.since);
    Some(Found { code: code.as_str(), at: None, by, since, says })
}

/// Logs that do not go on, and own ones that are read-only though no link says so now.
fn logs_found(
    office: &Office,
    line: &LinkLine,
    info: &LinkInfo,
    kept: &[(KeptFault, String)],
) -> Vec<Found> {
    let first = |log: &LogName, epoch: u32, code: &str| {
        let same = |(fault, _): &&(KeptFault, String)| {
            (&fault.log, fault.epoch, fault.code.as_str()) == (log, epoch, code)
        };
        let mut same: Vec<&KeptFault> = kept.iter().filter(same).map(|(fault, _)| fault).collect();
        same.sort_by_key(|fault| fault.found_by == Party::Peer);
        same.first().map(|fault| (fault.found_by, fault.at, fault.text.clone()))
    };
    let mut found = Vec::new();
    for (log, code) in info.status.iter().flat_map(state::stopped) {
        let text = sync::refusal_text(log);
        let known = first(&log.log, log.epoch, code.as_str());
        found.push(Found {
            code: code.as_str(),
            at: Some((log.log.clone(), log.epoch)),
            by: known.as_ref().map(|(by, ..)| *by),
            since: known.as_ref().map(|(_, at, _)| *at).or(info.since),
            says: text.or(known.map(|(.., text)| text)).unwrap_or_default(),
        });
    }
    for (log, _) in shared_logs(office, &line.peer).into_iter().filter(|(_, own)| *own) {
        let epoch = store::own_epoch(&office.journal, &log);
        let is_named = |f: &Found| f.at.as_ref().is_some_and(|at| *at == (log.clone(), epoch));
        let Some(text) = store::read_only_reason(&office.journal, &log) else { continue };
        if found.iter().any(is_named) {
            continue;
        }
        if reseed::reason(&office.journal, &log).is_some() {
            let (code, at) = ("reseeding", Some((log, epoch)));
            found.push(Found { code, at, by: None, since: None, says: text });
            continue;
        }
        let code = state::read_only(office, &line.peer).unwrap_or(RefusalCode::Fork);
        let known = first(&log, epoch, code.as_str());
        found.push(Found {
            code: code.as_str(),
            at: Some((log, epoch)),
            by: known.as_ref().map(|(by, ..)| *by),
            since: known.as_ref().map(|(_, at, _)| *at),
            says: known.map_or(text, |(.., text)| text),
        });
    }
    found.sort_by_key(|f| !Situation::named(f.code).is_some_and(|s| s.endangers));
    found
}

/// Gives what was found its words.
fn finding(office: &Office, peer: &OfficeCode, found: Found) -> pb::SyncFinding {
    let logs = shared_logs(office, peer);
    // Of a link as a whole the regional office is the writer.
    let own = match &found.at {
        Some((log, _)) => logs.iter().any(|(name, own)| name == log && *own),
        None => !office.code.is_centre(),
    };
    let log = match &found.at {
        Some((log, _)) => log.to_string(),
        None => logs.first().map_or_else(String::new, |(log, _)| log.to_string()),
    };
    let (here, there) = (office.code.as_str(), peer.as_str());
    let (writer, mirror) = if own { (here, there) } else { (there, here) };
    let names = Names { writer, mirror, log: &log };
    let by = found.by.map(|by| if by == Party::Us { here } else { there });
    let (log, epoch) = found.at.map_or((String::new(), 0), |(log, epoch)| (log.to_string(), epoch));
    let words = Situation::named(found.code);
    let text = |of: fn(&Situation) -> &'static str, reader: &str| {
        let filled = words.map_or_else(String::new, |words| situations::fill(of(words), &names));
        filled.replace("OFFICE", reader)
    };
    let at_writer: fn(&Situation) -> &'static str = |words| words.at_writer;
    let at_mirror: fn(&Situation) -> &'static str = |words| words.at_mirror;
    let (at_here, at_there) = if own { (at_writer, at_mirror) } else { (at_mirror, at_writer) };
    pb::SyncFinding {
        code: found.code.to_owned(),
        title: words.map_or(found.code, |words| words.title).to_owned(),
        log,
        epoch,
        found_by: by.unwrap_or_default().to_owned(),
        since: found.since.map(instant),
        says: found.says,
        meaning: text(|words| words.meaning, there),
        do_here: text(at_here, there),
        do_there: text(at_there, here),
        endangers: words.is_some_and(|words| words.endangers),
    }
}

/// What is held of each log, in figures.
fn figures(line: &LinkLine) -> String {
    let log = |log: &sync::LogLine| match (log.own, log.lag) {
        (true, Some(lag)) => {
            format!(
                "{} of {} records of {} are held by {}",
                log.own_size - lag.min(log.own_size),
                log.own_size,
                log.log,
                line.peer
            )
        }
        (true, None) => format!("what {} holds of {} is not known", line.peer, log.log),
        (false, Some(_)) => format!(
            "{} of {} records of {} are here",
            log.own_size,
            log.head_size.unwrap_or(log.own_size).max(log.own_size),
            log.log
        ),
        (false, None) => format!("no signed head of {} has come", log.log),
    };
    let pending = |line: &sync::LogLine| match line.attachments_pending {
        0 => log(line),
        lacks => format!("{}, attachments pending: {lacks}", log(line)),
    };
    line.logs.iter().map(pending).collect::<Vec<_>>().join(", ")
}

/// Which records exist at one side only.
fn at_risk(line: &LinkLine) -> String {
    let peer = &line.peer;
    let only_here = line.logs.iter().filter(|log| log.own && log.lag != Some(0));
    let mut texts: Vec<String> = only_here
        .map(|log| match log.lag {
            Some(lag) => format!("{lag} records of {} are only here", log.log),
            None if !log.refused.is_empty() => format!(
                "which of the {} records of {} here {peer} has is not known: keep this journal",
                log.own_size, log.log
            ),
            None => format!("what {peer} holds of {} is not known", log.log),
        })
        .collect();
    let not_here = line.logs.iter().filter(|log| !log.own && log.lag.is_some_and(|lag| lag > 0));
    texts.extend(not_here.map(|log| {
        format!("{} records of {} are signed and not here yet", log.lag.unwrap_or(0), log.log)
    }));
    if texts.is_empty() {
        return format!("none known: everything recorded here is held by {peer}");
    }
    texts.join("; ")
}

/// What each side holds of each epoch of each shared log.
fn sides(office: &Office, line: &LinkLine, info: &LinkInfo) -> Vec<pb::SyncSides> {
    let holdings = info.said.as_ref().map_or(&[][..], |said| &said.holdings[..]);
    let mut sides = Vec::new();
    for shown in &line.logs {
        let infos = office.journal.logs().into_iter().filter(|info| info.log == shown.log);
        let mut epochs: BTreeSet<u32> = infos.map(|info| info.epoch).collect();
        let role = if shown.own { Role::Follower } else { Role::Origin };
        let of_log = |h: &&replication::Holding| h.log == shown.log && h.role == role;
        epochs.extend(holdings.iter().filter(of_log).map(|holding| holding.epoch));
        for epoch in epochs {
            let here = office.journal.log(&shown.log, epoch);
            let stated = holdings.iter().filter(of_log).find(|holding| holding.epoch == epoch);
            let is_shown = epoch == shown.epoch;
            let accepted = store::accepted(office, &shown.log, epoch).filter(|_| !shown.own);
            let now = is_shown.then_some(shown.peer_size).filter(|_| shown.lag.is_some());
            sides.push(pb::SyncSides {
                log: shown.log.to_string(),
                epoch,
                own: shown.own,
                size_here: here.as_ref().map_or(0, |here| here.size),
                root_here: here.map_or_else(Vec::new, |here| here.root.to_vec()),
                size_there: stated.map(|stated| stated.size).max(now),
                root_there: stated.map_or_else(Vec::new, |stated| stated.root.to_vec()),
                stated_there: stated.map_or(0, |stated| stated.size),
                head_size: match is_shown {
                    true => shown.head_size.unwrap_or(0),
                    false => accepted.as_ref().map_or(0, |head| head.size),
                },
                head_at: match is_shown {
                    true => shown.head_at.map(instant),
                    false => accepted.map(|head| instant(head.at)),
                },
            });
        }
    }
    sides
}

/// What is kept, oldest first.
fn evidence(
    office: &Office,
    peer: &OfficeCode,
    kept: &[(KeptFault, String)],
) -> Vec<pb::SyncEvidence> {
    let by = |party: Party| match party {
        Party::Us => office.code.to_string(),
        Party::Peer => peer.to_string(),
    };
    let of_log = |(fault, content): &(KeptFault, String)| pb::SyncEvidence {
        code: fault.code.clone(),
        log: fault.log.to_string(),
        epoch: fault.epoch,
        found_by: by(fault.found_by),
        at: Some(instant(fault.at)),
        text: fault.text.clone(),
        notes: count(content.lines().filter(|line| {
            line.contains("/log/") && !line.starts_with('\u{2014}') && !line.contains(' ')
        })),
        proof_hashes: count(content.lines().filter(|line| is_hash(line))),
        content: content.clone(),
    };
    let of_link = refusals::all(office, peer).into_iter().map(|refusal| pb::SyncEvidence {
        code: refusal.code,
        found_by: by(refusal.found_by),
        at: Some(instant(refusal.at)),
        text: refusal.text,
        content: refusal.content,
        ..pb::SyncEvidence::default()
    });
    let mut all: Vec<_> = kept.iter().map(of_log).chain(of_link).collect();
    all.sort_by_key(|piece| piece.at.as_ref().map(|at| (at.seconds, at.nanos)));
    all.truncate(SHOWN);
    all
}

fn count(lines: impl Iterator) -> u32 {
    u32::try_from(lines.count()).unwrap_or(u32::MAX)
}

fn is_hash(line: &str) -> bool {
    line.len() == 64 && line.bytes().all(|byte| byte.is_ascii_hexdigit())
}
