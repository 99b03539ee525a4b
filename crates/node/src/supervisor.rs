//! The only place that starts tasks. It knows each task's name and what its end means, a panic
//! included.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

/// Time that aborted tasks have to be gone. They end at their next `await`.
const ABORT_LIMIT: Duration = Duration::from_secs(1);

/// What it means when a task ends before shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnEnd {
    /// The node cannot do its work without the task: shut the node down.
    StopNode,
    /// The task serves one connection or one question: its end concerns nobody else.
    Ignore,
}

/// Starts, watches and ends the tasks of one node.
#[derive(Clone, Debug, Default)]
pub struct Supervisor {
    tasks: TaskTracker,
    leave: CancellationToken,
    stop: CancellationToken,
    abort: CancellationToken,
    failure: Arc<Mutex<Option<String>>>,
}

/// How a task ended.
enum End {
    Returned(Result<(), String>),
    Panicked(&'static str),
    Aborted,
}

impl Supervisor {
    /// A supervisor without tasks.
    pub fn new() -> Supervisor {
        Supervisor::default()
    }

    /// Starts `task` under `name`.
    ///
    /// A task gets its own clone of [`Supervisor::stopping`] beforehand and must return soon
    /// after it is cancelled; one that does not is aborted by [`Supervisor::drain`].
    #[allow(clippy::disallowed_methods)] // the one place where it is allowed
    pub fn spawn<F>(&self, name: &'static str, on_end: OnEnd, task: F)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let supervisor = self.clone();
        tokio::spawn(self.tasks.track_future(async move {
            let abort = supervisor.abort.clone();
            // Whoever shares something with the task sees its broken promises as they are: a
            // poisoned lock, a closed channel.
            let task = AssertUnwindSafe(task).catch_unwind();
            let end = tokio::select! {
                biased;
                () = abort.cancelled() => End::Aborted,
                outcome = task => match outcome {
                    Ok(outcome) => End::Returned(outcome),
                    Err(payload) => End::Panicked(words(payload.as_ref())),
                },
            };
            supervisor.judge(name, on_end, end);
        }));
    }

    /// What the end of a task means for the node.
    fn judge(&self, name: &'static str, on_end: OnEnd, end: End) {
        let stopping = self.stop.is_cancelled();
        match (end, on_end) {
            (End::Aborted, _) => warn!(task = name, "task aborted"),
            (End::Panicked(said), OnEnd::StopNode) => {
                self.fail(format!("{name} panicked: {said}"));
            }
            (End::Panicked(said), OnEnd::Ignore) => error!(task = name, said, "task panicked"),
            (End::Returned(_), _) if stopping => {}
            (End::Returned(Ok(())), OnEnd::Ignore) => {}
            (End::Returned(Err(reason)), OnEnd::Ignore) => warn!(task = name, reason, "task ended"),
            (End::Returned(Ok(())), OnEnd::StopNode) => {
                self.fail(format!("{name} ended by itself"))
            }
            (End::Returned(Err(reason)), OnEnd::StopNode) => self.fail(format!("{name}: {reason}")),
        }
    }

    /// Records why the node cannot go on and starts the shutdown. The first reason is kept.
    pub fn fail(&self, reason: String) {
        error!(reason, "the node stops");
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.stop();
    }

    /// Says that the node is about to stop: callers should go elsewhere. Tasks go on.
    pub fn leave(&self) {
        self.leave.cancel();
    }

    /// Asks every task to end.
    pub fn stop(&self) {
        self.leave.cancel();
        self.stop.cancel();
    }

    /// The token that says that the node is about to stop; cancelled before
    /// [`Supervisor::stopping`] or together with it.
    pub fn leaving(&self) -> CancellationToken {
        self.leave.clone()
    }

    /// The token that tells tasks to end.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Waits until the shutdown was asked for.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Waits for every task to end, at most `limit`, and aborts those that did not, so that
    /// nothing runs on while the journal and the tables are closed; then says what made the node
    /// stop, if a failure did.
    pub async fn drain(&self, limit: Duration) -> Result<(), String> {
        self.tasks.close();
        if tokio::time::timeout(limit, self.tasks.wait()).await.is_err() {
            warn!(left = self.tasks.len(), "tasks did not end in time and are aborted");
            self.abort.cancel();
            if tokio::time::timeout(ABORT_LIMIT, self.tasks.wait()).await.is_err() {
                error!(left = self.tasks.len(), "tasks hold on to their threads");
            }
        } else {
            info!("all tasks ended");
        }
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(reason) => Err(reason),
            None => Ok(()),
        }
    }
}

/// What may be said of a panic. A text made at run time may hold anything, a person's data too:
/// only one that stands in the source is passed on.
pub fn words(payload: &(dyn Any + Send)) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("(its text is not shown)")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_panic_of_a_needed_task_stops_the_node() {
        let supervisor = Supervisor::new();
        supervisor.spawn("count", OnEnd::StopNode, async { panic!("the count is lost") });
        tokio::time::timeout(SOON, supervisor.stopped()).await.expect("the panic is noticed");
        assert!(supervisor.leaving().is_cancelled());
        let failure = supervisor.drain(SOON).await.unwrap_err();
        assert_eq!(failure, "count panicked: the count is lost");
    }

    #[tokio::test]
    async fn a_text_made_at_run_time_is_not_told() {
        let supervisor = Supervisor::new();
        let name = String::from("Aigul");
        supervisor.spawn("greet", OnEnd::StopNode, async move { panic!("no {name}") });
        tokio::time::timeout(SOON, supervisor.stopped()).await.unwrap();
        let failure = supervisor.drain(SOON).await.unwrap_err();
        assert_eq!(failure, "greet panicked: (its text is not shown)");
    }

    #[tokio::test]
    async fn a_panic_of_one_answer_concerns_nobody_else() {
        let supervisor = Supervisor::new();
        supervisor.spawn("answer", OnEnd::Ignore, async { panic!("one answer") });
        supervisor.tasks.close();
        tokio::time::timeout(SOON, supervisor.tasks.wait()).await.unwrap();
        assert!(!supervisor.stopping().is_cancelled());
        assert_eq!(supervisor.drain(SOON).await, Ok(()));
    }

    #[tokio::test]
    async fn a_needed_task_that_returns_stops_the_node() {
        let supervisor = Supervisor::new();
        supervisor.spawn("serve", OnEnd::StopNode, async { Ok(()) });
        tokio::time::timeout(SOON, supervisor.stopped()).await.unwrap();
        assert_eq!(supervisor.drain(SOON).await.unwrap_err(), "serve ended by itself");
    }

    #[tokio::test]
    async fn a_task_that_does_not_end_is_gone_after_the_limit() {
        let supervisor = Supervisor::new();
        let (alive, gone) = tokio::sync::oneshot::channel::<()>();
        supervisor.spawn("linger", OnEnd::StopNode, async move {
            let _alive = alive;
            std::future::pending().await
        });
        supervisor.stop();
        assert_eq!(supervisor.drain(Duration::from_millis(20)).await, Ok(()));
        assert!(gone.await.is_err(), "what the task held was dropped");
        assert!(supervisor.tasks.is_empty());
    }
}
