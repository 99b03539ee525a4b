//! One office's part of an import: one `ExecuteMany` stream, commands of a stream in their order,
//! again and again where the node goes away.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use domain::Zone;
use domain::ids::CommandId;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use wire::CommandMeta;
use wire::pb::command::v1::command_outcome::Outcome as Answer;
use wire::pb::command::v1::command_service_client::CommandServiceClient;
use wire::pb::command::v1::{Command, CommandOutcome, CommandReceipt};

use crate::errors::{Failure, Outcome, is_away, status_text};
use crate::import::nodes::Node;
use crate::import::plan::{Planned, Reject, Row};
use crate::output::age;
use crate::send::{Pauses, facts};

/// No outcome for so long, with commands under way: the stream is given up and begun again. A
/// node answers within one group commit; this is far beyond a slow disk.
const STALLED: Duration = Duration::from_secs(60);
/// Time for a call to begin: name, TCP, TLS, and the answer's head.
const BEGIN: Duration = Duration::from_secs(30);

/// How a worker behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Commands under way at once.
    pub concurrency: usize,
    /// How long a node may stay away.
    pub patience: Duration,
    /// Zone of every command.
    pub zone: Zone,
}

/// What became of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Number of the row.
    pub row: u64,
    /// Line in the file.
    pub line: u64,
    /// Its office.
    pub office: String,
    /// Commands acknowledged.
    pub commands: u64,
    /// Facts that they added.
    pub facts: u64,
    /// Whether anything was added.
    pub fresh: bool,
    /// Why the node refused a part of it.
    pub reject: Option<Reject>,
}

/// The commands of one stream that are still to be done.
struct Lane {
    row: u64,
    version: u32,
    commands: VecDeque<Planned>,
}

/// A row under way.
struct Open {
    lanes: usize,
    done: Done,
}

/// One office's part of an import.
pub struct Worker {
    node: Node,
    settings: Settings,
    rows: mpsc::Receiver<Row>,
    events: mpsc::Sender<Done>,
    waiting: VecDeque<Lane>,
    flying: HashMap<String, Lane>,
    open: HashMap<u64, Open>,
    ended: bool,
    alive: Instant,
    pauses: Pauses,
}

/// How one stream of calls ended.
enum Session {
    /// Every row is done.
    Finished,
    /// The node is away.
    Broken(Status),
}

impl Worker {
    /// A worker that takes rows until their sender is gone, and reports each.
    #[must_use]
    pub fn new(
        node: Node,
        settings: Settings,
        rows: mpsc::Receiver<Row>,
        events: mpsc::Sender<Done>,
    ) -> Self {
        Self {
            node,
            settings,
            rows,
            events,
            waiting: VecDeque::new(),
            flying: HashMap::new(),
            open: HashMap::new(),
            ended: false,
            alive: Instant::now(),
            pauses: Pauses::default(),
        }
    }

    /// Works until every row is done.
    ///
    /// # Errors
    /// The node stayed away for longer than the patience, or refused what all rows have in common.
    pub async fn run(mut self) -> Outcome {
        loop {
            if self.waiting.is_empty() {
                match self.rows.recv().await {
                    Some(row) => self.begin(row),
                    None => return Ok(()),
                }
                // Waiting for rows is not the node's silence.
                self.alive = Instant::now();
            }
            match self.session().await? {
                Session::Finished => return Ok(()),
                Session::Broken(status) => self.after_break(&status).await?,
            }
        }
    }

    async fn after_break(&mut self, status: &Status) -> Outcome {
        // Their outcome is unknown: the same commands go again, and are recorded once.
        self.waiting.extend(self.flying.drain().map(|(_, lane)| lane));
        let silent = self.alive.elapsed();
        if silent >= self.settings.patience {
            let millis = u64::try_from(silent.as_millis()).unwrap_or(u64::MAX);
            return Err(self.failure(&format!(
                "was away for {} (--patience): {}; run the same command again when it is back",
                age(millis),
                status_text(status)
            )));
        }
        sleep(self.pauses.take()).await;
        Ok(())
    }

    fn failure(&self, what: &str) -> Failure {
        Failure::refused(format!(
            "the node of {} at {} {what}",
            self.node.office, self.node.target.address
        ))
    }

    fn refused(&self, status: &Status) -> Failure {
        self.failure(&format!("refused: {}", status_text(status)))
    }

    fn begin(&mut self, row: Row) {
        let done = Done {
            row: row.row,
            line: row.line,
            office: row.office.to_string(),
            commands: 0,
            facts: 0,
            fresh: false,
            reject: None,
        };
        self.open.insert(row.row, Open { lanes: row.lanes.len(), done });
        let lanes = row.lanes.into_iter();
        self.waiting.extend(lanes.map(|commands| Lane {
            row: row.row,
            version: 0,
            commands: commands.into(),
        }));
    }

    /// One stream of calls.
    async fn session(&mut self) -> Outcome<Session> {
        let (send, commands) = mpsc::channel(self.settings.concurrency);
        let mut outcomes = match self.call(commands).await? {
            Ok(outcomes) => outcomes,
            Err(status) => return Ok(Session::Broken(status)),
        };
        loop {
            if !self.send_waiting(&send)? {
                return Ok(Session::Broken(Status::unavailable("the stream is closed")));
            }
            if self.ended && self.flying.is_empty() {
                return Ok(Session::Finished);
            }
            let room = !self.ended && self.flying.len() < self.settings.concurrency;
            tokio::select! {
                outcome = outcomes.message() => match outcome {
                    Ok(Some(outcome)) => {
                        if let Some(status) = self.outcome(outcome).await? {
                            return Ok(Session::Broken(status));
                        }
                    }
                    Ok(None) => {
                        return Ok(Session::Broken(Status::unavailable("the node is leaving")));
                    }
                    Err(status) if is_away(&status) => return Ok(Session::Broken(status)),
                    Err(status) => return Err(self.refused(&status)),
                },
                row = self.rows.recv(), if room => match row {
                    Some(row) => self.begin(row),
                    None => self.ended = true,
                },
                () = sleep(STALLED), if !self.flying.is_empty() => {
                    return Ok(Session::Broken(Status::deadline_exceeded("no outcome came")));
                }
            }
        }
    }

    async fn call(
        &self,
        commands: mpsc::Receiver<Command>,
    ) -> Outcome<Result<Streaming<CommandOutcome>, Status>> {
        let mut client = CommandServiceClient::new(self.node.target.lazy()?);
        let call = client.execute_many(ReceiverStream::new(commands));
        match timeout(BEGIN, call).await {
            Ok(Ok(response)) => Ok(Ok(response.into_inner())),
            Ok(Err(status)) if is_away(&status) => Ok(Err(status)),
            Ok(Err(status)) => Err(self.refused(&status)),
            Err(_) => Ok(Err(Status::deadline_exceeded("the call did not begin in time"))),
        }
    }

    /// Sends the next command of every waiting stream, as far as there is room; false when the
    /// call has ended.
    fn send_waiting(&mut self, send: &mpsc::Sender<Command>) -> Outcome<bool> {
        while self.flying.len() < self.settings.concurrency {
            let Some(lane) = self.waiting.pop_front() else { return Ok(true) };
            let Some(planned) = lane.commands.front() else { continue };
            let command = self.command(planned, lane.version)?;
            match send.try_send(command) {
                Ok(()) => {
                    self.flying.insert(planned.command.to_string(), lane);
                }
                // As much room as commands may be under way: it is never full for long.
                Err(TrySendError::Full(_)) => {
                    self.waiting.push_front(lane);
                    return Ok(true);
                }
                Err(TrySendError::Closed(_)) => {
                    self.waiting.push_front(lane);
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn command(&self, planned: &Planned, version: u32) -> Outcome<Command> {
        let meta = CommandMeta {
            command_id: CommandId::new(planned.command),
            stream: planned.stream,
            expected_version: version,
            occurred_at: Some(planned.at),
            zone: Some(self.settings.zone.clone()),
            causation: None,
            correlation: None,
        };
        wire::encode_command(&meta, &planned.request)
            .ok_or_else(|| Failure::usage(format!("no command carries {}", planned.request.name())))
    }

    /// Takes an outcome; a status where the node is away for the moment.
    async fn outcome(&mut self, outcome: CommandOutcome) -> Outcome<Option<Status>> {
        // One that is not awaited answers a command of a stream of calls given up before.
        let Some(lane) = self.flying.remove(&outcome.command_id) else { return Ok(None) };
        match outcome.outcome {
            Some(Answer::Receipt(receipt)) => self.receipt(lane, &receipt).await?,
            Some(Answer::Failure(failure)) => {
                let status = wire::status::status_of_failure(&failure);
                if is_away(&status) {
                    self.waiting.push_front(lane);
                    return Ok(Some(status));
                }
                self.alive = Instant::now();
                if !concerns_row(&status) {
                    return Err(self.refused(&status));
                }
                self.reject(lane, &status).await?;
            }
            None => {
                self.waiting.push_front(lane);
                return Ok(Some(Status::unknown("an outcome without a content")));
            }
        }
        Ok(None)
    }

    async fn receipt(&mut self, mut lane: Lane, receipt: &CommandReceipt) -> Outcome {
        self.alive = Instant::now();
        self.pauses = Pauses::default();
        if let Some(open) = self.open.get_mut(&lane.row) {
            open.done.commands += 1;
            open.done.facts += facts(receipt);
            open.done.fresh |= !receipt.replayed;
        }
        lane.commands.pop_front();
        lane.version = receipt.stream_version;
        if lane.commands.is_empty() {
            return self.lane_done(lane.row).await;
        }
        self.waiting.push_back(lane);
        Ok(())
    }

    /// The node refused a command: the rest of its stream is given up, and the row is told.
    async fn reject(&mut self, lane: Lane, status: &Status) -> Outcome {
        if let Some(open) = self.open.get_mut(&lane.row) {
            let field = wire::status::fields_of(status).into_iter().next();
            open.done.reject.get_or_insert_with(|| Reject {
                row: open.done.row,
                line: open.done.line,
                column: String::new(),
                code: wire::status::reason_of(status).unwrap_or_default(),
                reason: match field {
                    Some((field, description)) => format!("the node: {field}: {description}"),
                    None => format!("the node: {}", status.message()),
                },
            });
        }
        self.lane_done(lane.row).await
    }

    async fn lane_done(&mut self, row: u64) -> Outcome {
        let Some(open) = self.open.get_mut(&row) else { return Ok(()) };
        open.lanes = open.lanes.saturating_sub(1);
        if open.lanes > 0 {
            return Ok(());
        }
        if let Some(open) = self.open.remove(&row) {
            let gone = |_| Failure::refused("the import was stopped");
            self.events.send(open.done).await.map_err(gone)?;
        }
        Ok(())
    }
}

/// Whether a refusal is about this row, and not about everything that would come after it.
fn concerns_row(status: &Status) -> bool {
    let reason = wire::status::reason_of(status);
    match status.code() {
        Code::InvalidArgument | Code::NotFound | Code::AlreadyExists | Code::Aborted => true,
        Code::FailedPrecondition => reason.as_deref() == Some("WRONG_STATE"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use domain::refusal::{Refusal, RefusalCode};
    use wire::status::Fault;

    use super::*;

    fn refused(code: RefusalCode) -> Status {
        Fault::Refused { request: "open_contact", refusal: Refusal::new(code, "no") }.into()
    }

    #[test]
    fn what_concerns_a_row_and_what_concerns_all() {
        assert!(concerns_row(&refused(RefusalCode::UnknownCode)));
        assert!(concerns_row(&refused(RefusalCode::WrongState)));
        assert!(concerns_row(&Fault::CommandReused.into()));
        assert!(concerns_row(&Fault::VersionConflict { expected: 0, actual: 2 }.into()));
        assert!(!concerns_row(&refused(RefusalCode::NotPermitted)));
        assert!(!concerns_row(&refused(RefusalCode::NotReady)));
        assert!(!concerns_row(&Fault::DiskFull { free: 1, watermark: 2 }.into()));
        assert!(!concerns_row(&Status::failed_precondition("the log is read-only")));
    }
}
