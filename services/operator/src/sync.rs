//! `adal sync`: the state of replication, never better than the facts.

mod explain;
mod previews;

use clap::Subcommand;
use wire::pb::Instant;
use wire::pb::operator::v1 as pb;

use crate::connect::Way;
use crate::errors::Outcome;
use crate::output::{Cell, Output, Row};

/// Commands about replication.
#[derive(Debug, Subcommand)]
pub enum SyncCommand {
    /// What both sides hold of each log, and how old that knowledge is
    #[command(after_help = "A row is one log on one link. `not held` counts records: of an own \
                            log those that the other side has not acknowledged, of a mirrored \
                            one those of its newest signed head that are not here yet. A link \
                            is `live` only on a recent signed head that is wholly held; a \
                            question mark is what this office does not know. Why a link is \
                            refused, read-only or silent, and what to do: `adal sync explain \
                            OFFICE`.")]
    Status,
    /// Urgent records that another office has shown ahead of its backlog
    #[command(after_help = previews::HELP)]
    Previews,
    /// What is wrong with the link to one office, and what both sides do about it
    Explain(explain::ExplainArgs),
}

/// Carries out one of them.
///
/// # Errors
/// The node refused or could not be reached.
pub async fn run(command: &SyncCommand, way: &Way, output: Output) -> Outcome {
    match command {
        SyncCommand::Status => status(way, output).await,
        SyncCommand::Previews => previews::run(way, output).await,
        SyncCommand::Explain(args) => explain::run(args, way, output).await,
    }
}

async fn status(way: &Way, output: Output) -> Outcome {
    let mut client = way.operator().await?;
    let status = client.sync_status(pb::SyncStatusRequest {}).await?.into_inner();
    let empty = "this office has no link: no office is enrolled";
    if output.is_json() {
        output.table(&rows(&status), empty)?;
    } else {
        output.table(&links(&status), empty)?;
        output.table(&logs(&status), "no log is shared yet")?;
    }
    if !status.evidence.is_empty() {
        output.table(&evidence(&status), "")?;
    }
    for line in status.evidence.iter().filter(|line| !line.alarm.is_empty()) {
        output.note(&format!("ALARM {}: {}", line.log, crate::errors::one_line(&line.alarm)))?;
    }
    for link in &status.links {
        let (peer, line) = (&link.peer, crate::errors::one_line);
        if !link.alarm.is_empty() {
            output.note(&format!("ALARM {peer}: {}", line(&link.alarm)))?;
        }
        if let Some(keys) = keys_lacking(link) {
            output.note(&format!(
                "{peer} has given no wrap of {keys} keys of records that are held here; if it \
                 stays so: recovery.pub is not among its keys, or they were lost with a server"
            ))?;
        }
        let ahead: u64 = link.logs.iter().map(|log| log.previews).sum();
        if ahead > 0 {
            output.note(&format!(
                "{peer}: urgent records shown ahead of the backlog: {ahead} (adal sync previews)"
            ))?;
        }
        for log in link.logs.iter().filter(|log| !log.refused.is_empty()) {
            output.note(&format!("{peer} {}: {}", log.log, line(&log.refused)))?;
        }
        if !link.clock.is_empty() {
            output.note(&format!("{peer}: {}", line(&link.clock)))?;
        }
        if !link.reason.is_empty() {
            output.note(&format!("{peer}: what to do: adal sync explain {peer}"))?;
        }
    }
    for link in status.links.iter().filter(|link| !link.last_error.is_empty()) {
        output.note(&format!("{}: {}", link.peer, crate::errors::one_line(&link.last_error)))?;
    }
    Ok(())
}

/// How many keys the peer has not given, in words; `None`: none is known to lack.
fn keys_lacking(link: &pb::LinkStatus) -> Option<String> {
    let at_least = link.keys_lacking_at_least.map(|keys| (keys, "at least "));
    let known = link.keys_lacking.map(|keys| (keys, "")).or(at_least);
    let (keys, words) = known.filter(|(keys, _)| *keys > 0)?;
    Some(format!("{words}{keys}"))
}

/// The state of a link in words, as everywhere.
fn state(link: &pb::LinkStatus) -> String {
    match (link.reason.is_empty(), link.since.as_ref()) {
        (false, _) => format!("{}: {}", link.state, link.reason),
        (true, Some(at)) if link.state == "silent since" => {
            let seconds = Instant { nanos: 0, ..*at };
            format!("{} {}", link.state, Cell::time(Some(&seconds)).people())
        }
        _ => link.state.clone(),
    }
}

/// For people: one row for every link.
fn links(status: &pb::SyncStatusResponse) -> Vec<Row> {
    let at = status.at.as_ref();
    let row = |link: &pb::LinkStatus| {
        let says = match (link.alarm.is_empty(), link.reason.is_empty()) {
            (false, _) => "ALARM, see below",
            (true, false) => "look: adal sync explain",
            (true, true) if !link.clock.is_empty() => "its clock is wrong, see below",
            (true, true) if keys_lacking(link).is_some() => "keys lack, see below",
            (true, true) => "",
        };
        vec![
            ("office", Cell::text(&status.office)),
            ("peer", Cell::text(&link.peer)),
            ("state", Cell::text(state(link))),
            ("for", Cell::age(since(at, link.since.as_ref()))),
            ("last_contact", Cell::age(since(at, link.last_contact.as_ref()))),
            ("says", Cell::text(says)),
        ]
    };
    status.links.iter().map(row).collect()
}

/// For people: one row for every log of every link, narrow enough for a terminal.
fn logs(status: &pb::SyncStatusResponse) -> Vec<Row> {
    let row = |link: &pb::LinkStatus, log: &pb::LogSync| {
        let narrow = [
            "office",
            "state",
            "for",
            "last_contact",
            "signed_head",
            "reason",
            "alarm",
            "clock_ahead_ms",
            "clock",
            "keys_lacking",
            "keys_lacking_at_least",
        ];
        let mut row = row(status, link, log);
        row.retain(|(name, _)| !narrow.contains(name));
        if let Some((code, _)) = log.refused.split_once(':')
            && let Some((_, says)) = row.last_mut()
        {
            *says = Cell::text(format!("does not move: {code}"));
        }
        row
    };
    let mut rows = Vec::new();
    for link in &status.links {
        rows.extend(link.logs.iter().map(|log| row(link, log)));
    }
    rows
}

/// For programs: one row for every log of every link; a link without logs has one too.
fn rows(status: &pb::SyncStatusResponse) -> Vec<Row> {
    let mut rows = Vec::new();
    for link in &status.links {
        let nothing = pb::LogSync::default();
        let none = std::slice::from_ref(&nothing);
        let logs = if link.logs.is_empty() { none } else { &link.logs[..] };
        rows.extend(logs.iter().map(|log| row(status, link, log)));
    }
    rows
}

fn row(status: &pb::SyncStatusResponse, link: &pb::LinkStatus, log: &pb::LogSync) -> Row {
    let own = log.role() == pb::LogRole::Own;
    let part = match log.role() {
        pb::LogRole::Own => "own",
        pb::LogRole::Mirror => "mirror",
        pb::LogRole::Unspecified => "",
    };
    vec![
        ("office", Cell::text(&status.office)),
        ("peer", Cell::text(&link.peer)),
        ("state", Cell::text(&link.state)),
        ("for", Cell::age(since(status.at.as_ref(), link.since.as_ref()))),
        ("last_contact", Cell::age(since(status.at.as_ref(), link.last_contact.as_ref()))),
        ("log", Cell::text(&log.log)),
        ("part", Cell::text(part)),
        ("here", Cell::number(log.own_size)),
        ("there", Cell::number(log.peer_size)),
        ("not_held", Cell::known(log.lag_records)),
        ("signed_head", Cell::number(log.signed_head_size)),
        ("head_age", Cell::age(log.signed_head_age_ms)),
        ("cosigned", if own { Cell::number(log.cosigned_size) } else { Cell::none() }),
        ("reason", Cell::text(&link.reason)),
        ("alarm", Cell::text(&link.alarm)),
        ("clock_ahead_ms", Cell::difference(link.clock_ahead_ms)),
        ("clock", Cell::text(&link.clock)),
        ("keys_lacking", Cell::known(link.keys_lacking)),
        ("keys_lacking_at_least", Cell::known(link.keys_lacking_at_least)),
        ("says", Cell::text(words(link, log))),
    ]
}

/// One row for every log of which cosignatures are collected.
fn evidence(status: &pb::SyncStatusResponse) -> Vec<Row> {
    let row = |line: &pb::EvidenceStatus| {
        let says = match (line.alarm.is_empty(), line.missing.is_empty()) {
            (false, _) => "ALARM, see below".to_owned(),
            (true, false) => format!("waits for {}", line.missing),
            (true, true) if line.waiting_since.is_some() => "waits for a head".to_owned(),
            (true, true) => "complete".to_owned(),
        };
        vec![
            ("office", Cell::text(&status.office)),
            ("log", Cell::text(&line.log)),
            ("epoch", Cell::number(line.epoch)),
            ("here", Cell::number(line.size)),
            ("complete", Cell::number(line.complete_size)),
            ("waiting", Cell::age(since(status.at.as_ref(), line.waiting_since.as_ref()))),
            ("missing", Cell::text(&line.missing)),
            ("says", Cell::text(says)),
        ]
    };
    status.evidence.iter().map(row).collect()
}

/// The row in words.
fn words(link: &pb::LinkStatus, log: &pb::LogSync) -> String {
    if !log.refused.is_empty() {
        return format!("does not move: {}", log.refused);
    }
    let held = held(&link.peer, log);
    match log.attachments_pending {
        0 => held,
        lacks => format!("{held}; attachments pending: {lacks}"),
    }
}

/// What the row says of records.
fn held(peer: &str, log: &pb::LogSync) -> String {
    match (log.role(), log.lag_records) {
        (pb::LogRole::Own, None) => format!("what {peer} holds is not known"),
        (pb::LogRole::Own, Some(0)) => format!("all acknowledged by {peer}"),
        (pb::LogRole::Own, Some(lag)) => format!("{lag} not yet acknowledged by {peer}"),
        (pb::LogRole::Mirror, None) => format!("no signed head from {peer} yet"),
        (pb::LogRole::Mirror, Some(0)) => "all of the last signed head is here".to_owned(),
        (pb::LogRole::Mirror, Some(lag)) => format!("{lag} of the last signed head not here yet"),
        (pb::LogRole::Unspecified, _) => String::new(),
    }
}

/// Milliseconds between two instants; `None` where one is missing.
fn since(now: Option<&Instant>, then: Option<&Instant>) -> Option<u64> {
    let micros = wire::instant(now?)?.micros().saturating_sub(wire::instant(then?)?.micros());
    Some(u64::try_from(micros / 1_000).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{json, table};

    fn status() -> pb::SyncStatusResponse {
        let at = |seconds| Some(Instant { seconds, nanos: 0 });
        let own = pb::LogSync {
            log: "kz-75".into(),
            epoch: 1,
            role: pb::LogRole::Own.into(),
            own_size: 120,
            signed_head_size: 120,
            signed_head_at: at(1_000),
            signed_head_age_ms: Some(1_000),
            peer_size: 100,
            lag_records: Some(20),
            cosigned_size: 100,
            refused: String::new(),
            attachments_pending: 0,
            previews: 0,
        };
        let mirror = pb::LogSync {
            log: "kz/all".into(),
            role: pb::LogRole::Mirror.into(),
            ..pb::LogSync::default()
        };
        let link = pb::LinkStatus {
            peer: "KZ".into(),
            state: "silent since".into(),
            since: at(880),
            last_contact: at(880),
            logs: vec![own, mirror],
            ..pb::LinkStatus::default()
        };
        let links = vec![link];
        let evidence = vec![evidence_of("kz-75", 100, Some(at(400)), "")];
        pb::SyncStatusResponse { office: "KZ-75".into(), at: at(1_000), links, evidence }
    }

    fn evidence_of(
        log: &str,
        complete_size: u64,
        waiting: Option<Option<Instant>>,
        alarm: &str,
    ) -> pb::EvidenceStatus {
        pb::EvidenceStatus {
            log: log.to_owned(),
            epoch: 1,
            size: 120,
            complete_size,
            waiting_since: waiting.flatten(),
            missing: if waiting.is_some() { "adal.example/witness/kz-71" } else { "" }.to_owned(),
            alarm: alarm.to_owned(),
        }
    }

    #[test]
    fn what_lacks_cosignatures_is_said_and_an_alarm_stands_out() {
        let mut status = status();
        status.evidence.push(evidence_of("kz/all", 120, None, ""));
        status.evidence.push(evidence_of("kz", 3, Some(None), "kz lacks cosignatures"));
        let text = table(&evidence(&status));
        for part in ["10 min", "waits for adal.example/witness/kz-71", "complete", "ALARM"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }

    #[test]
    fn keys_that_lack_are_said_also_while_they_are_still_looked_for() {
        let link = |keys_lacking, keys_lacking_at_least| pb::LinkStatus {
            keys_lacking,
            keys_lacking_at_least,
            ..pb::LinkStatus::default()
        };
        assert_eq!(keys_lacking(&link(Some(3), None)).as_deref(), Some("3"));
        assert_eq!(keys_lacking(&link(None, Some(3))).as_deref(), Some("at least 3"));
        let nothing = [(None, None), (Some(0), None), (None, Some(0))];
        assert!(nothing.iter().all(|(known, least)| keys_lacking(&link(*known, *least)).is_none()));
        let mut status = status();
        status.links[0].keys_lacking_at_least = Some(3);
        assert!(json(&rows(&status)[0]).contains("\"keys_lacking_at_least\":3"));
        assert!(table(&links(&status)).contains("keys lack, see below"));
    }

    #[test]
    fn silence_and_lag_are_said() {
        let rows = rows(&status());
        let text = table(&links(&status()));
        assert!(text.contains("silent since 1970-01-01 00:14:40Z"), "{text}");
        assert!(text.contains("2 min"), "{text}");
        let text = table(&logs(&status()));
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert!(text.contains("20 not yet acknowledged by KZ"), "{text}");
        assert!(text.contains("no signed head from KZ yet"), "{text}");
        assert!(json(&rows[0]).contains("\"not_held\":20"));
        assert!(json(&rows[1]).contains("\"head_age\":null"));
    }

    #[test]
    fn records_that_wait_for_their_attachments_are_told() {
        let mut status = status();
        let log = pb::LogSync {
            role: pb::LogRole::Mirror.into(),
            lag_records: Some(0),
            attachments_pending: 3,
            ..pb::LogSync::default()
        };
        let link = &mut status.links[0];
        link.logs = vec![log];
        let said = words(link, &link.logs[0]);
        assert_eq!(said, "all of the last signed head is here; attachments pending: 3");
    }

    #[test]
    fn a_link_without_logs_is_shown_too() {
        let mut status = status();
        status.links[0].logs.clear();
        assert_eq!(rows(&status).len(), 1);
        assert_eq!(words(&status.links[0], &pb::LogSync::default()), "");
    }
}
