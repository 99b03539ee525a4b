//! The whole import: every row surveyed first, then sent to its office, many offices at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use domain::{OfficeCode, Timestamp};
use futures_util::future::try_join_all;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::errors::{Failure, Outcome};
use crate::import::mapping::Mapping;
use crate::import::nodes::Node;
use crate::import::plan::{Planner, Row, Warnings};
use crate::import::rejects::Rejects;
use crate::import::report::Report;
use crate::import::source::Rows;
use crate::import::state::{Prefix, State, StateFile};
use crate::import::worker::{Done, Settings, Worker};

/// Rows that wait for an office that is slow or away, before the others have to wait with it.
const QUEUE: usize = 2_048;
/// Reports of finished rows that wait to be counted.
const EVENTS: usize = 1_024;
/// Rows read at a stretch before the nodes' answers are looked at.
const STRETCH: u64 = 64;
/// How often the state is kept.
const KEEP: Duration = Duration::from_secs(1);

/// What an import works on.
pub struct Task<'a> {
    /// The file.
    pub input: &'a Path,
    /// The mapping.
    pub mapping: &'a Mapping,
    /// The offices chosen; others are left out.
    pub offices: &'a BTreeSet<OfficeCode>,
    /// What counts as the present for all rows.
    pub now: Timestamp,
}

/// What the survey found.
#[derive(Debug, Default)]
pub struct Survey {
    /// Rows in the file.
    pub rows: u64,
    /// Rows to be sent.
    pub to_send: u64,
    /// Rows of offices that were not chosen, and rows that make no command.
    pub left_out: u64,
    /// Odd things.
    pub warnings: Warnings,
    /// Rows among those to be sent that an earlier run finished.
    pub finished_before: u64,
    /// Rows of each office that are to be sent.
    pub offices: BTreeMap<OfficeCode, u64>,
}

impl Task<'_> {
    fn rows(&self) -> Outcome<Rows> {
        let source = &self.mapping.source;
        Rows::open(self.input, source.delimiter, source.final_newline)
    }

    /// Whether a good row is to be sent: its office was chosen, and it makes a command at all.
    fn wants(&self, row: &Row) -> bool {
        self.offices.contains(&row.office) && !row.lanes.is_empty()
    }

    /// Reads and checks every row; nothing is sent. Rejected rows go to `rejects`; `state` tells
    /// which rows an earlier run finished.
    ///
    /// # Errors
    /// The file is cut or broken, or the mapping does not fit it.
    pub fn survey(&self, state: &State, rejects: &mut Rejects) -> Outcome<Survey> {
        let mut rows = self.rows()?;
        let header = rows.header().to_vec();
        let mut planner = Planner::new(self.mapping, &header, self.now)?;
        let mut survey = Survey::default();
        while let Some(line) = rows.take()? {
            survey.rows += 1;
            match planner.plan(&line) {
                Err(reject) => rejects.add(&reject)?,
                Ok(row) if !self.wants(&row) => survey.left_out += 1,
                Ok(row) => {
                    survey.to_send += 1;
                    survey.finished_before += u64::from(row.row <= state.finished);
                    survey.warnings.add(&row.warnings);
                    *survey.offices.entry(row.office).or_default() += 1;
                }
            }
        }
        Ok(survey)
    }

    /// Sends every good row to its office.
    ///
    /// # Errors
    /// A node stayed away or refused; the file is no longer the one that was surveyed; the person
    /// stopped it. What was acknowledged stays, and is in `report` and in the state.
    pub async fn send(
        &self,
        nodes: Vec<Node>,
        settings: &Settings,
        collector: &mut Collector<'_>,
    ) -> Outcome {
        let (events, mut done) = mpsc::channel(EVENTS);
        let mut queues = BTreeMap::new();
        let mut workers = Vec::new();
        for node in nodes {
            let (send, rows) = mpsc::channel(QUEUE);
            queues.insert(node.office.clone(), send);
            workers.push(Worker::new(node, settings.clone(), rows, events.clone()).run());
        }
        drop(events);
        let plan = collector.plan();
        let (skipped, mut skips) = mpsc::channel(EVENTS);
        let work =
            async { tokio::try_join!(self.dispatch(queues, skipped, plan), try_join_all(workers)) };
        // One listener for the whole time: a signal between two would be lost.
        let interrupt = tokio::signal::ctrl_c();
        tokio::pin!(work, interrupt);
        let mut keep = interval(KEEP);
        keep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ended = loop {
            tokio::select! {
                biased;
                _ = &mut interrupt => {
                    let text = "stopped; run the same command again to go on";
                    break Err(Failure::refused(text));
                }
                // Counting before work: it never waits.
                Some(done) = done.recv() => collector.done(&done)?,
                Some(row) = skips.recv() => collector.skipped(row),
                _ = keep.tick() => collector.keep()?,
                ended = &mut work => break ended.map(|_| ()),
            }
        };
        while let Ok(done) = done.try_recv() {
            collector.done(&done)?;
        }
        while let Ok(row) = skips.try_recv() {
            collector.skipped(row);
        }
        collector.keep()?;
        ended
    }

    /// Reads the rows again and hands each to its office.
    async fn dispatch(
        &self,
        queues: BTreeMap<OfficeCode, mpsc::Sender<Row>>,
        skipped: mpsc::Sender<u64>,
        plan: Resume,
    ) -> Outcome {
        let mut rows = self.rows()?;
        let header = rows.header().to_vec();
        let mut planner = Planner::new(self.mapping, &header, self.now)?;
        while let Some(line) = rows.take()? {
            let row = planner.plan(&line).ok().filter(|row| self.wants(row));
            let stopped = || Failure::refused("the import was stopped");
            match row.and_then(|row| Some((queues.get(&row.office)?, row))) {
                Some((queue, row)) if plan.is_wanted(&row) => {
                    queue.send(row).await.map_err(|_| stopped())?;
                }
                Some(_) => {}
                None => skipped.send(line.row).await.map_err(|_| stopped())?,
            }
            if line.row % STRETCH == 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }
}

/// Which rows an earlier run left to do.
#[derive(Clone, Debug)]
struct Resume {
    finished: u64,
    probes: BTreeSet<u64>,
}

impl Resume {
    fn is_wanted(&self, row: &Row) -> bool {
        row.row > self.finished || self.probes.contains(&row.row)
    }
}

/// Counts what became of the rows, and keeps the state.
pub struct Collector<'a> {
    /// The counts so far.
    pub report: Report,
    rejects: &'a mut Rejects,
    file: StateFile,
    state: State,
    prefix: Prefix,
    bar: ProgressBar,
    begun: Instant,
}

impl<'a> Collector<'a> {
    /// Begins to count after a survey.
    #[must_use]
    pub fn new(
        survey: &Survey,
        rejects: &'a mut Rejects,
        file: StateFile,
        state: State,
        quiet: bool,
    ) -> Self {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(survey.to_send) };
        let template = "{wide_bar} {pos}/{len} rows  {per_sec}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.inc(survey.finished_before);
        let report = Report {
            rows: survey.rows,
            left_out: survey.left_out,
            rejected: rejects.count(),
            finished_before: survey.finished_before,
            unfinished: survey.to_send - survey.finished_before,
            warnings: survey.warnings.clone(),
            ..Report::default()
        };
        let prefix = Prefix::new(&state);
        Self { report, rejects, file, state, prefix, bar, begun: Instant::now() }
    }

    fn plan(&self) -> Resume {
        let probes = self.state.last.values().copied().collect();
        Resume { finished: self.state.finished, probes }
    }

    /// A row is done at its office.
    fn done(&mut self, done: &Done) -> Outcome {
        let probe = done.row <= self.state.finished;
        self.report.commands += done.commands;
        self.report.facts += done.facts;
        self.report.time = self.begun.elapsed();
        if probe && done.fresh {
            return Err(Failure::bad(format!(
                "the state says that rows up to {} are imported, but {} did not know row {}: its \
                 node is a new one; delete the state and run the same command again",
                self.state.finished, done.office, done.row
            )));
        }
        if !probe {
            self.report.unfinished = self.report.unfinished.saturating_sub(1);
            match (&done.reject, done.fresh) {
                (Some(reject), _) => {
                    self.report.rejected += 1;
                    self.rejects.add(reject)?;
                }
                (None, true) => self.report.imported += 1,
                (None, false) => self.report.replayed += 1,
            }
            self.bar.inc(1);
        }
        let office = done.reject.is_none().then(|| done.office.clone());
        self.prefix.done(done.row, office);
        Ok(())
    }

    /// A row is not to be sent.
    fn skipped(&mut self, row: u64) {
        self.prefix.done(row, None);
    }

    /// Keeps the state.
    fn keep(&mut self) -> Outcome {
        self.file.save(&self.prefix.state(&self.state))
    }

    /// Ends the progress bar and the rejects.
    ///
    /// # Errors
    /// The rejects cannot be written.
    pub fn finish(&mut self) -> Outcome {
        self.bar.finish_and_clear();
        self.rejects.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::errors::Exit;
    use crate::import::mapping::tests::SMALL;

    const ROWS: &str = "id,office,channel,opened,due,closed,type,queue\n\
        1,A1,Call,2011-07-01 01:32:33,,,Lamp,\n\
        2,,Web,2011-07-01 02:32:33,2011-06-01 00:00:00,,Tree,Q\n\
        2,A1,Web,2011-07-01 02:32:33,,,Tree,Q\n\
        3,A1,Fax,2011-07-01 02:32:33,,,Tree,Q\n";

    fn survey(finished: u64) -> (Survey, u64) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(ROWS.as_bytes()).unwrap();
        let mapping = Mapping::parse(SMALL).unwrap();
        let offices = BTreeSet::from(["KZ-10".parse().unwrap(), "KZ".parse().unwrap()]);
        // 2026-03-02T00:00:00Z
        let now = Timestamp::from_micros(1_772_409_600_000_000);
        let task = Task { input: file.path(), mapping: &mapping, offices: &offices, now };
        let mut rejects = Rejects::create(None).unwrap();
        let state = State { finished, ..State::default() };
        let survey = task.survey(&state, &mut rejects).unwrap();
        (survey, rejects.count())
    }

    #[test]
    fn a_survey_accounts_for_every_row() {
        let (survey, rejected) = survey(1);
        assert_eq!((survey.rows, survey.to_send, rejected), (4, 2, 2));
        assert_eq!((survey.finished_before, survey.left_out), (1, 0));
        assert_eq!(survey.warnings.0["deadline before opening"], 1);
    }

    fn done(row: u64, fresh: bool) -> Done {
        let office = "KZ-10".to_owned();
        Done { row, line: row + 1, office, commands: 2, facts: 3, fresh, reject: None }
    }

    #[test]
    fn what_is_done_is_counted_once_and_kept() {
        let (survey, _) = survey(0);
        let mut rejects = Rejects::create(None).unwrap();
        let (file, state) = StateFile::open(None, String::new(), String::new()).unwrap();
        let mut collector = Collector::new(&survey, &mut rejects, file, state, true);
        collector.done(&done(2, true)).unwrap();
        collector.done(&done(1, false)).unwrap();
        collector.skipped(3);
        let report = &collector.report;
        assert_eq!((report.imported, report.replayed, report.unfinished), (1, 1, 0));
        assert_eq!((report.commands, report.facts), (4, 6));
        let state = collector.prefix.state(&collector.state);
        assert_eq!((state.finished, state.last["KZ-10"]), (3, 2));
    }

    #[test]
    fn a_node_that_does_not_know_what_the_state_says_is_a_new_one() {
        let (survey, _) = survey(2);
        let mut rejects = Rejects::create(None).unwrap();
        let (file, state) = StateFile::open(None, String::new(), String::new()).unwrap();
        let last = BTreeMap::from([("KZ-10".to_owned(), 2)]);
        let state = State { finished: 2, last, ..state };
        let mut collector = Collector::new(&survey, &mut rejects, file, state, true);
        let plan = collector.plan();
        assert!(plan.probes.contains(&2) && plan.finished == 2);
        collector.done(&done(2, false)).unwrap();
        assert_eq!(collector.report.replayed, 0, "it was finished before");
        let failure = collector.done(&done(2, true)).unwrap_err();
        assert_eq!(failure.exit, Exit::Bad);
        assert!(failure.text.contains("delete the state"), "{failure}");
    }
}
