//! Every metric of a node: name, unit, kind, description, labels.
//!
//! Units are UCUM; words in braces are annotations. Prometheus shows the names with `_` for `.`,
//! the unit at the end and `_total` after counters: `adal.journal.commit` becomes
//! `adal_journal_commit_seconds`. Labels hold static words or, on gauges only, an office code.

/// What a metric does over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only grows while the process runs.
    Counter,
    /// A distribution of values.
    Histogram,
    /// The latest value.
    Gauge,
}

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Name in OpenTelemetry's form.
    pub name: &'static str,
    /// UCUM unit.
    pub unit: &'static str,
    /// Counter, histogram or gauge.
    pub kind: Kind,
    /// One sentence for who reads a dashboard.
    pub description: &'static str,
    /// Names of its labels.
    pub labels: &'static [&'static str],
}

/// Label: `done`, `replayed`, `refused`, `failed`.
pub const OUTCOME: &str = "outcome";
/// Label: `up` (a region's logs to the centre) or `down` (the centre's logs to a region).
pub const FLOW: &str = "flow";
/// Label: office code of the other side; gauges only.
pub const OFFICE: &str = "office";
/// Label: a static word for why.
pub const REASON: &str = "reason";
/// Label: a static word for which.
pub const WHAT: &str = "what";

macro_rules! metrics {
    ($($(#[$doc:meta])* $id:ident = $kind:ident $name:literal [$unit:literal] $description:literal
        ($($label:ident),*);)*) => {
        $($(#[$doc])* #[doc = $description]
        pub const $id: Metric = Metric {
            name: $name,
            unit: $unit,
            kind: Kind::$kind,
            description: $description,
            labels: &[$($label),*],
        };)*

        /// All of them, in the order of this file.
        pub const ALL: &[Metric] = &[$($id),*];
    };
}

metrics! {
    RECORDS_COMMITTED = Counter "adal.journal.records" ["{record}"]
        "Records made durable in the office's own logs." ();
    MIRRORED_RECORDS = Counter "adal.journal.mirrored" ["{record}"]
        "Records of other offices verified and made durable in mirrors." ();
    COMMIT_GROUPS = Counter "adal.journal.groups" ["{group}"]
        "Commit groups, each made durable as one." ();
    GROUP_RECORDS = Histogram "adal.journal.group.size" ["{record}"]
        "Records in a commit group." ();
    GROUP_BYTES = Histogram "adal.journal.group.length" ["By"]
        "Bytes of the records of a commit group, approximately." ();
    COMMIT = Histogram "adal.journal.commit" ["s"]
        "Time to commit a group: write, fdatasync, index." ();
    FREE_SPACE = Gauge "adal.journal.free" ["By"]
        "Free bytes of the filesystem that holds the journal." ();
    DAMAGES = Counter "adal.journal.damages" ["{damage}"]
        "Damages found by deep checks and by the scrub." ();
    SCRUBBED = Counter "adal.journal.scrubbed" ["By"]
        "Bytes of commit files that the scrub has hashed again." ();
    SCRUB_PASSES = Counter "adal.journal.scrub.passes" ["{pass}"]
        "Whole passes of the scrub over everything that is stored." ();
    VAULT_SYNC = Histogram "adal.vault.sync" ["s"]
        "Time to make the new sealing keys of a commit group durable; near 0 where it has none." ();
    RECORDS_OPENED = Counter "adal.vault.opened" ["{record}"]
        "Personal parts opened for a person, each after a fact that says so." ();
    COMMANDS = Counter "adal.commands" ["{command}"]
        "Commands by outcome." (OUTCOME);
    COMMAND_TIME = Histogram "adal.command.duration" ["s"]
        "Time from the receipt of a command to its answer." (OUTCOME);
    LINK_UP = Gauge "adal.replication.link.up" ["{link}"]
        "1 while the link to an office is live, which needs a recent signed head that is wholly \
         held, else 0." (OFFICE);
    LINK_STATE = Gauge "adal.replication.link.state" ["{link}"]
        "1 for the state that the link to an office is in, 0 for every other: live, catching up, \
         connecting, silent since, refused, read-only, never connected." (OFFICE, WHAT);
    LINK_REASON = Gauge "adal.replication.link.reason" ["{link}"]
        "1 while the link to an office is refused or read-only for this reason, 0 once it is not \
         any more." (OFFICE, REASON);
    PREVIEWS = Gauge "adal.replication.previews" ["{record}"]
        "Urgent records that an office has shown ahead of its backlog and that are not held here \
         yet." (OFFICE);
    SILENCE = Gauge "adal.replication.silence.alarm" ["{alarm}"]
        "1 while an office has been silent for longer than replication.silence_alarm_ms, or was \
         enrolled so long ago and never linked, else 0." (OFFICE);
    CLOCK_AHEAD = Gauge "adal.replication.clock.ahead" ["s"]
        "How far the clock of an office is ahead of ours, negative if it is behind; exact to the \
         round trip and half a second." (OFFICE);
    REPLICATION_SENT = Counter "adal.replication.sent" ["{record}"]
        "Records read to be sent to other offices, repeated ones included." (FLOW);
    REPLICATION_BYTES = Counter "adal.replication.bytes" ["By"]
        "Bytes of the records read to be sent to other offices, before compression." (FLOW);
    HEAD_AGE = Gauge "adal.replication.head.age" ["s"]
        "Time since the oldest of the newest heads shared with an office came in here (its logs) \
         or was cosigned by it (ours), by our clock." (OFFICE, FLOW);
    HEAD_TIME = Gauge "adal.replication.head.time" ["s"]
        "When that head came in or was cosigned, by our clock, in seconds since 1970 UTC."
        (OFFICE, FLOW);
    LAG = Gauge "adal.replication.lag" ["{record}"]
        "Records that the receiver is not known to hold: of its newest signed head (its logs), of \
         what is recorded here (ours)." (OFFICE, FLOW);
    REFUSALS = Counter "adal.replication.refused" ["{refusal}"]
        "Times that a log stopped or paused on a link, found here or told by the other office, by \
         reason." (REASON);
    FORKS = Counter "adal.replication.forks" ["{fork}"]
        "Forks and rollbacks met for the first time; the evidence of each is kept." ();
    COSIGNATURES = Counter "adal.witness.cosignatures" ["{cosignature}"]
        "Cosignatures that other offices gave and that were kept, by role (witness, mirror, or \
         peer: a further witness of another office's log)." (WHAT);
    EVIDENCE_WAITING = Gauge "adal.evidence.waiting" ["s"]
        "Age of the oldest record of an office's logs that no head with all its cosignatures \
         covers; 0 where there is none." (OFFICE);
    EVIDENCE_ALARMS = Gauge "adal.evidence.alarms" ["{alarm}"]
        "Logs of an office of which cosignatures are missing for too long or a contradiction is \
         kept." (OFFICE);
    VIEWS_POSITION = Gauge "adal.views.position" ["{record}"]
        "Records of an office's logs that are folded into the tables." (OFFICE);
    VIEWS_LAG = Gauge "adal.views.lag" ["{record}"]
        "Records held here and not yet folded into the tables." ();
    VIEWS_FOLD = Histogram "adal.views.fold" ["s"]
        "Time to fold one batch of records into the tables." ();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_metric_is_named_once_and_described() {
        let mut names = BTreeSet::new();
        for metric in ALL {
            assert!(names.insert(metric.name), "{} twice", metric.name);
            let part = |c: char| c.is_ascii_lowercase() || c == '.';
            assert!(metric.name.starts_with("adal.") && metric.name.chars().all(part));
            assert!(!metric.unit.is_empty() && metric.description.ends_with('.'));
            assert!(metric.description.len() > 15, "{}", metric.name);
        }
        // No name is another's followed by what Prometheus appends.
        let flat: BTreeSet<String> = names.iter().map(|name| name.replace('.', "_")).collect();
        for name in &flat {
            for end in ["total", "seconds", "bytes", "count", "sum", "bucket"] {
                assert!(!flat.contains(&format!("{name}_{end}")), "{name}_{end}");
            }
        }
    }

    #[test]
    fn an_office_is_a_label_of_gauges_only() {
        for metric in ALL.iter().filter(|metric| metric.labels.contains(&OFFICE)) {
            assert_eq!(metric.kind, Kind::Gauge, "{}", metric.name);
        }
    }
}
