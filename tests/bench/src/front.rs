//! The two loads: producers who wait for their acknowledgement behind one group-commit front, and
//! batches by one writer. Both are the same for every store, so that ratios are fair.

use std::sync::Barrier;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::contenders::Store;
use crate::machine::process_cpu;

/// Places of the queue to the writer: more than the most producers, who have one record under way
/// each.
const QUEUE: usize = 1024;

/// Most records of one group.
const MOST: usize = 1024;

/// What a store is asked to do in one slice of a round.
#[derive(Debug, Clone, Copy)]
pub enum Load {
    /// Each producer sends a record, waits for its acknowledgement, and sends the next.
    Producers {
        /// How many.
        producers: usize,
        /// Records of all of them.
        records: usize,
    },
    /// One writer commits batches one after the other.
    Batches {
        /// Records of a batch.
        size: usize,
        /// How many.
        batches: usize,
    },
}

impl Load {
    /// The same load, shorter: for warming up.
    pub fn warm_up(self) -> Self {
        match self {
            Self::Producers { producers, records } => {
                Self::Producers { producers, records: (records / 4).max(producers) }
            }
            Self::Batches { size, batches } => {
                Self::Batches { size, batches: (batches / 4).max(1) }
            }
        }
    }
}

/// What one slice took.
#[derive(Debug, Clone)]
pub struct Slice {
    /// Records stored.
    pub records: usize,
    /// From the start to the last acknowledgement.
    pub elapsed: Duration,
    /// The same, and what was put off.
    pub settled: Duration,
    /// Processor time of the whole process, what was put off included.
    pub cpu: Duration,
    /// Times from sending to acknowledgement in nanoseconds, sorted; of batches, not of records.
    pub latencies: Vec<u64>,
}

impl Slice {
    /// Records a second up to the last acknowledgement.
    pub fn rate(&self) -> f64 {
        self.records as f64 / self.elapsed.as_secs_f64()
    }

    /// Records a second with what was put off.
    pub fn settled_rate(&self) -> f64 {
        self.records as f64 / self.settled.as_secs_f64()
    }

    /// Processor time of one record in microseconds.
    pub fn cpu_micros(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.records as f64
    }
}

/// A store that can be put under a load.
pub trait Contender {
    /// Its name in tables.
    fn name(&self) -> &'static str;

    /// Runs one slice.
    fn slice(&mut self, load: Load) -> Result<Slice>;
}

impl<S: Store> Contender for S {
    fn name(&self) -> &'static str {
        self.label()
    }

    fn slice(&mut self, load: Load) -> Result<Slice> {
        match load {
            Load::Producers { producers, records } => {
                produce(self, producers, records.div_ceil(producers))
            }
            Load::Batches { size, batches } => batch(self, size, batches),
        }
    }
}

/// A record on its way, and whose it is.
struct Request<T> {
    item: T,
    producer: usize,
}

/// Producers before, this thread as the writer behind a bounded queue.
fn produce<S: Store>(store: &mut S, producers: usize, each: usize) -> Result<Slice> {
    let items = |_| (0..each).map(|_| store.prepare()).collect::<Result<Vec<_>>>();
    let items = (0..producers).map(items).collect::<Result<Vec<_>>>()?;
    let (queue, waiting) = sync_channel(QUEUE);
    let start = Barrier::new(producers + 1);
    thread::scope(|scope| {
        let (mut replies, mut threads) = (Vec::new(), Vec::new());
        for (producer, items) in items.into_iter().enumerate() {
            let (reply, answer) = sync_channel(1);
            replies.push(reply);
            let (queue, start) = (queue.clone(), &start);
            threads.push(scope.spawn(move || {
                start.wait();
                send(items, producer, &queue, &answer)
            }));
        }
        drop(queue);
        let cpu = process_cpu();
        start.wait();
        let begun = Instant::now();
        serve(store, waiting, replies)?;
        let elapsed = begun.elapsed();
        store.settle()?;
        let (settled, cpu) = (begun.elapsed(), process_cpu() - cpu);
        let mut latencies = Vec::with_capacity(producers * each);
        for thread in threads {
            latencies.extend(thread.join().ok().context("a producer panicked")?);
        }
        latencies.sort_unstable();
        Ok(Slice { records: producers * each, elapsed, settled, cpu, latencies })
    })
}

/// One producer. Ends early if the writer has gone.
fn send<T>(
    items: Vec<T>,
    producer: usize,
    queue: &SyncSender<Request<T>>,
    answer: &Receiver<()>,
) -> Vec<u64> {
    let mut latencies = Vec::with_capacity(items.len());
    for item in items {
        let begun = Instant::now();
        if queue.send(Request { item, producer }).is_err() || answer.recv().is_err() {
            break;
        }
        latencies.push(begun.elapsed().as_nanos() as u64);
    }
    latencies
}

/// The writer: takes what waits, commits it as one group, answers, until all producers are done.
/// Owns both channels, so that producers end when it fails.
fn serve<S: Store>(
    store: &mut S,
    waiting: Receiver<Request<S::Item>>,
    replies: Vec<SyncSender<()>>,
) -> Result<()> {
    while let Ok(first) = waiting.recv() {
        let (mut group, mut producers) = (vec![first.item], vec![first.producer]);
        while group.len() < MOST
            && let Ok(next) = waiting.try_recv()
        {
            group.push(next.item);
            producers.push(next.producer);
        }
        store.commit(group)?;
        for producer in producers {
            let reply = replies.get(producer).context("a producer is unknown")?;
            reply.send(()).context("a producer has gone")?;
        }
    }
    Ok(())
}

/// One writer, one batch after the other.
fn batch<S: Store>(store: &mut S, size: usize, batches: usize) -> Result<Slice> {
    let group = |_| (0..size).map(|_| store.prepare()).collect::<Result<Vec<_>>>();
    let groups = (0..batches).map(group).collect::<Result<Vec<_>>>()?;
    let mut latencies = Vec::with_capacity(batches);
    let (cpu, begun) = (process_cpu(), Instant::now());
    for group in groups {
        let begun = Instant::now();
        store.commit(group)?;
        latencies.push(begun.elapsed().as_nanos() as u64);
    }
    let elapsed = begun.elapsed();
    store.settle()?;
    let (settled, cpu) = (begun.elapsed(), process_cpu() - cpu);
    latencies.sort_unstable();
    Ok(Slice { records: size * batches, elapsed, settled, cpu, latencies })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Remembers the groups, and fails at one of them if asked to.
    #[derive(Default)]
    struct Memory {
        next: usize,
        groups: Vec<Vec<usize>>,
        settled: usize,
        fail_at: Option<usize>,
    }

    impl Store for Memory {
        type Item = usize;

        fn label(&self) -> &'static str {
            "memory"
        }

        fn prepare(&mut self) -> Result<usize> {
            self.next += 1;
            Ok(self.next - 1)
        }

        fn commit(&mut self, group: Vec<usize>) -> Result<()> {
            anyhow::ensure!(self.fail_at != Some(self.groups.len()), "asked to fail");
            self.groups.push(group);
            // As a disk does: the others come to wait meanwhile.
            thread::sleep(Duration::from_micros(200));
            Ok(())
        }

        fn settle(&mut self) -> Result<()> {
            self.settled += 1;
            Ok(())
        }
    }

    #[test]
    fn every_record_is_stored_once_and_acknowledged_once() {
        let mut store = Memory::default();
        let slice = store.slice(Load::Producers { producers: 8, records: 400 }).unwrap();
        assert_eq!((slice.records, slice.latencies.len(), store.settled), (400, 400, 1));
        assert!(store.groups.iter().all(|group| group.len() <= 8));
        assert!(store.groups.len() < 400, "nothing was grouped");
        let mut stored = store.groups.concat();
        stored.sort_unstable();
        assert_eq!(stored, (0..400).collect::<Vec<_>>());
        assert!(slice.latencies.is_sorted() && slice.settled >= slice.elapsed);
    }

    #[test]
    fn batches_keep_their_size_and_order() {
        let mut store = Memory::default();
        let slice = store.slice(Load::Batches { size: 5, batches: 3 }).unwrap();
        assert_eq!((slice.records, slice.latencies.len()), (15, 3));
        assert_eq!(store.groups, [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11, 12, 13, 14]]);
    }

    #[test]
    fn a_store_that_fails_ends_the_slice() {
        let mut store = Memory { fail_at: Some(2), ..Memory::default() };
        let failed = store.slice(Load::Producers { producers: 4, records: 100 });
        assert_eq!(failed.unwrap_err().to_string(), "asked to fail");
    }
}
