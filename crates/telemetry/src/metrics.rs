//! The instruments of [`crate::names`]. Cheap to clone, usable from any thread; made from a meter
//! without a reader they do nothing.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, MeterProvider, NoopMeterProvider};

use crate::names::{self, Metric};

/// Upper bounds for times on disk and network, in seconds: 50 µs to 10 s.
const SECONDS: [f64; 17] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0,
];
/// Upper bounds for records in a group: powers of two up to what a group may hold.
const RECORDS: [f64; 13] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0];
/// Upper bounds for bytes: a small record to a full group.
const BYTES: [f64; 9] =
    [512.0, 2048.0, 8192.0, 32_768.0, 131_072.0, 524_288.0, 2_097_152.0, 8_388_608.0, 33_554_432.0];

/// How something ended; a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// As asked.
    Done,
    /// It was done before; the same answer was given again.
    Replayed,
    /// Refused with a reason: the asker's affair.
    Refused,
    /// Failed: ours.
    Failed,
}

impl Outcome {
    fn label(self) -> KeyValue {
        let word = match self {
            Outcome::Done => "done",
            Outcome::Replayed => "replayed",
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
        };
        KeyValue::new(names::OUTCOME, word)
    }
}

/// Direction of replication; a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flow {
    /// A region's logs to the centre.
    Up,
    /// The centre's logs to a region.
    Down,
}

impl Flow {
    fn label(self) -> KeyValue {
        let word = match self {
            Flow::Up => "up",
            Flow::Down => "down",
        };
        KeyValue::new(names::FLOW, word)
    }
}

/// All instruments of a node.
#[derive(Clone, Debug)]
pub struct Metrics {
    records_committed: Counter<u64>,
    mirrored_records: Counter<u64>,
    commit_groups: Counter<u64>,
    group_records: Histogram<u64>,
    group_bytes: Histogram<u64>,
    commit: Histogram<f64>,
    free_space: Gauge<u64>,
    damages: Counter<u64>,
    scrubbed: Counter<u64>,
    scrub_passes: Counter<u64>,
    vault_sync: Histogram<f64>,
    records_opened: Counter<u64>,
    commands: Counter<u64>,
    command_time: Histogram<f64>,
    link_up: Gauge<u64>,
    link_state: Gauge<u64>,
    link_reason: Gauge<u64>,
    previews: Gauge<u64>,
    silence: Gauge<u64>,
    clock_ahead: Gauge<f64>,
    replication_sent: Counter<u64>,
    replication_bytes: Counter<u64>,
    head_age: Gauge<f64>,
    head_time: Gauge<f64>,
    lag: Gauge<u64>,
    refusals: Counter<u64>,
    forks: Counter<u64>,
    cosignatures: Counter<u64>,
    evidence_waiting: Gauge<f64>,
    evidence_alarms: Gauge<u64>,
    views_position: Gauge<u64>,
    views_lag: Gauge<u64>,
    views_fold: Histogram<f64>,
}

impl Metrics {
    /// Makes every instrument from this meter.
    pub fn new(meter: &Meter) -> Metrics {
        Metrics {
            records_committed: counter(meter, &names::RECORDS_COMMITTED),
            mirrored_records: counter(meter, &names::MIRRORED_RECORDS),
            commit_groups: counter(meter, &names::COMMIT_GROUPS),
            group_records: sizes(meter, &names::GROUP_RECORDS, &RECORDS),
            group_bytes: sizes(meter, &names::GROUP_BYTES, &BYTES),
            commit: times(meter, &names::COMMIT),
            free_space: gauge(meter, &names::FREE_SPACE),
            damages: counter(meter, &names::DAMAGES),
            scrubbed: counter(meter, &names::SCRUBBED),
            scrub_passes: counter(meter, &names::SCRUB_PASSES),
            vault_sync: times(meter, &names::VAULT_SYNC),
            records_opened: counter(meter, &names::RECORDS_OPENED),
            commands: counter(meter, &names::COMMANDS),
            command_time: times(meter, &names::COMMAND_TIME),
            link_up: gauge(meter, &names::LINK_UP),
            link_state: gauge(meter, &names::LINK_STATE),
            link_reason: gauge(meter, &names::LINK_REASON),
            previews: gauge(meter, &names::PREVIEWS),
            silence: gauge(meter, &names::SILENCE),
            clock_ahead: seconds(meter, &names::CLOCK_AHEAD),
            replication_sent: counter(meter, &names::REPLICATION_SENT),
            replication_bytes: counter(meter, &names::REPLICATION_BYTES),
            head_age: seconds(meter, &names::HEAD_AGE),
            head_time: seconds(meter, &names::HEAD_TIME),
            lag: gauge(meter, &names::LAG),
            refusals: counter(meter, &names::REFUSALS),
            forks: counter(meter, &names::FORKS),
            cosignatures: counter(meter, &names::COSIGNATURES),
            evidence_waiting: seconds(meter, &names::EVIDENCE_WAITING),
            evidence_alarms: gauge(meter, &names::EVIDENCE_ALARMS),
            views_position: gauge(meter, &names::VIEWS_POSITION),
            views_lag: gauge(meter, &names::VIEWS_LAG),
            views_fold: times(meter, &names::VIEWS_FOLD),
        }
    }

    /// Instruments that do nothing.
    pub fn disabled() -> Metrics {
        Metrics::new(&NoopMeterProvider::new().meter("adal"))
    }

    /// A commit group became durable: own records, mirrored records, their bytes, and the time
    /// that the commit took: write, fdatasync, index.
    pub fn group_committed(&self, own: u64, mirrored: u64, bytes: u64, took: Duration) {
        self.records_committed.add(own, &[]);
        self.mirrored_records.add(mirrored, &[]);
        self.commit_groups.add(1, &[]);
        self.group_records.record(own.saturating_add(mirrored), &[]);
        self.group_bytes.record(bytes, &[]);
        self.commit.record(took.as_secs_f64(), &[]);
    }

    /// Free bytes of the journal's filesystem.
    pub fn free_space(&self, bytes: u64) {
        self.free_space.record(bytes, &[]);
    }

    /// The scrub read this many bytes.
    pub fn scrubbed(&self, bytes: u64) {
        self.scrubbed.add(bytes, &[]);
    }

    /// The scrub came through everything.
    pub fn scrub_passed(&self) {
        self.scrub_passes.add(1, &[]);
    }

    /// A deep check or the scrub found damages.
    pub fn damaged(&self, damages: u64) {
        self.damages.add(damages, &[]);
    }

    /// New keys were made durable in this time.
    pub fn vault_synced(&self, took: Duration) {
        self.vault_sync.record(took.as_secs_f64(), &[]);
    }

    /// Personal parts were opened for a person.
    pub fn records_opened(&self, records: u64) {
        self.records_opened.add(records, &[]);
    }

    /// A command was answered.
    pub fn command(&self, outcome: Outcome, took: Duration) {
        self.commands.add(1, &[outcome.label()]);
        self.command_time.record(took.as_secs_f64(), &[outcome.label()]);
    }

    /// The link to this office is live, or it is anything else.
    pub fn link_up(&self, office: &str, up: bool) {
        self.link_up.record(u64::from(up), &[of(office)]);
    }

    /// Whether the link to this office is in this state, one of a fixed set of words.
    pub fn link_state(&self, office: &str, state: &'static str, is_it: bool) {
        self.link_state.record(u64::from(is_it), &[of(office), KeyValue::new(names::WHAT, state)]);
    }

    /// Whether the link to this office is refused or read-only for this reason, one of a fixed set
    /// of words.
    pub fn link_reason(&self, office: &str, reason: &'static str, is_it: bool) {
        let labels = [of(office), KeyValue::new(names::REASON, reason)];
        self.link_reason.record(u64::from(is_it), &labels);
    }

    /// Urgent records that an office has shown ahead and that are not held here yet.
    pub fn previews(&self, office: &str, records: u64) {
        self.previews.record(records, &[of(office)]);
    }

    /// Whether this office has been silent for too long.
    pub fn silent(&self, office: &str, alarm: bool) {
        self.silence.record(u64::from(alarm), &[of(office)]);
    }

    /// How far this office's clock is ahead of ours, microseconds; negative: behind.
    #[allow(clippy::cast_precision_loss)] // a difference of clocks, shown in seconds
    pub fn clock_ahead(&self, office: &str, ahead: i64) {
        self.clock_ahead.record(ahead as f64 / 1e6, &[of(office)]);
    }

    /// A batch was read to be sent: its records and their bytes before compression.
    pub fn batch_sent(&self, flow: Flow, records: u64, bytes: u64) {
        self.replication_sent.add(records, &[flow.label()]);
        self.replication_bytes.add(bytes, &[flow.label()]);
    }

    /// The oldest of the newest heads shared with an office one way: when it came in or was
    /// cosigned, by our clock (since 1970 UTC), and how long ago that is. Set both at a steady
    /// pace, not only when a head arrives.
    pub fn head(&self, office: &str, flow: Flow, time: Duration, age: Duration) {
        let labels = [of(office), flow.label()];
        self.head_time.record(time.as_secs_f64(), &labels);
        self.head_age.record(age.as_secs_f64(), &labels);
    }

    /// Records that the receiver is not known to hold.
    pub fn lag(&self, office: &str, flow: Flow, records: u64) {
        self.lag.record(records, &[of(office), flow.label()]);
    }

    /// A log stopped or paused on a link. `reason` is one of a fixed set of words.
    pub fn log_refused(&self, reason: &'static str) {
        self.refusals.add(1, &[KeyValue::new(names::REASON, reason)]);
    }

    /// A fork or rollback was met for the first time.
    pub fn fork_met(&self) {
        self.forks.add(1, &[]);
    }

    /// What the heads of an office's logs lack: the age of the oldest record without a complete
    /// set of cosignatures above it, and how many of its logs have an alarm.
    pub fn evidence(&self, office: &str, waiting: Duration, alarms: u64) {
        self.evidence_waiting.record(waiting.as_secs_f64(), &[of(office)]);
        self.evidence_alarms.record(alarms, &[of(office)]);
    }

    /// Another office's cosignature was kept; `role` is `witness` or `mirror` of our head, or
    /// `peer` of a third office's.
    pub fn cosigned(&self, role: &'static str) {
        self.cosignatures.add(1, &[KeyValue::new(names::WHAT, role)]);
    }

    /// Records of an office's logs that are folded into the tables.
    pub fn views_position(&self, office: &str, records: u64) {
        self.views_position.record(records, &[of(office)]);
    }

    /// Records held here and not yet folded into the tables.
    pub fn views_lag(&self, records: u64) {
        self.views_lag.record(records, &[]);
    }

    /// A batch was folded into the tables in this time.
    pub fn views_folded(&self, took: Duration) {
        self.views_fold.record(took.as_secs_f64(), &[]);
    }
}

fn of(office: &str) -> KeyValue {
    KeyValue::new(names::OFFICE, office.to_owned())
}

fn counter(meter: &Meter, metric: &Metric) -> Counter<u64> {
    meter
        .u64_counter(metric.name)
        .with_unit(metric.unit)
        .with_description(metric.description)
        .build()
}

fn gauge(meter: &Meter, metric: &Metric) -> Gauge<u64> {
    meter.u64_gauge(metric.name).with_unit(metric.unit).with_description(metric.description).build()
}

fn seconds(meter: &Meter, metric: &Metric) -> Gauge<f64> {
    meter.f64_gauge(metric.name).with_unit(metric.unit).with_description(metric.description).build()
}

fn sizes(meter: &Meter, metric: &Metric, bounds: &[f64]) -> Histogram<u64> {
    meter
        .u64_histogram(metric.name)
        .with_unit(metric.unit)
        .with_description(metric.description)
        .with_boundaries(bounds.to_vec())
        .build()
}

fn times(meter: &Meter, metric: &Metric) -> Histogram<f64> {
    meter
        .f64_histogram(metric.name)
        .with_unit(metric.unit)
        .with_description(metric.description)
        .with_boundaries(SECONDS.to_vec())
        .build()
}
