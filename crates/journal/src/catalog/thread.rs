//! The one thread of a journal: it opens the index and moves published groups into it.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Catalog;
use super::fill::Target;
use crate::index::IndexStore;
use crate::limits::THREAD_WAIT;

/// Ends the thread when it is dropped, unless sled keeps it.
pub(crate) struct IndexThread {
    catalog: Arc<Catalog>,
    thread: Option<JoinHandle<()>>,
}

impl IndexThread {
    /// No thread: the committing caller does its work.
    pub(crate) fn none(catalog: Arc<Catalog>) -> Self {
        Self { catalog, thread: None }
    }

    /// Starts the thread.
    pub(crate) fn start(
        catalog: Arc<Catalog>,
        store: Arc<dyn IndexStore>,
        target: Target,
    ) -> io::Result<Self> {
        let shared = catalog.clone();
        let thread = std::thread::Builder::new().name("journal-index".to_owned());
        let thread = thread.spawn(move || shared.run(&*store, &target))?;
        Ok(Self { catalog, thread: Some(thread) })
    }
}

impl Drop for IndexThread {
    fn drop(&mut self) {
        self.catalog.stop();
        let Some(thread) = self.thread.take() else { return };
        let begun = Instant::now();
        while !thread.is_finished() && begun.elapsed() < THREAD_WAIT {
            std::thread::sleep(Duration::from_millis(1));
        }
        if !thread.is_finished() {
            tracing::warn!("sled hangs; the thread of the index is left behind");
        }
    }
}
