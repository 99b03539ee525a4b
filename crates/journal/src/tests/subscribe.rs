//! Following a journal: nothing is missed, nothing comes twice, nobody is held up.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use super::*;
use crate::{Growth, SubscribeError, Subscription};

/// Far more than any wait here takes; reaching it fails the test that waits.
const LONG: Duration = Duration::from_secs(60);

/// Counts its wakes and wakes a thread.
struct Count(AtomicUsize, Thread);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.1.unpark();
    }
}

fn count() -> Arc<Count> {
    Arc::new(Count(AtomicUsize::new(0), std::thread::current()))
}

/// The smallest executor: no runtime is needed.
fn block_on<F: Future>(future: F) -> F::Output {
    let (waker, mut future) = (Waker::from(count()), pin!(future));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park_timeout(LONG);
    }
}

fn grow(journal: &Journal, numbers: std::ops::Range<u64>) {
    for number in numbers {
        commit(journal, transaction(append("kz-75", stream(1), &[number], 40))).unwrap();
    }
}

/// Everything up to the end, by `next`.
fn drain(
    mut next: impl FnMut() -> Result<Vec<Record>, SubscribeError>,
) -> (Vec<Record>, crate::JournalStopped) {
    let mut records = Vec::new();
    loop {
        match next() {
            Ok(more) => records.extend(more),
            Err(SubscribeError::Ended(stopped)) => return (records, stopped),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn catching_up_goes_over_into_following_without_a_gap_or_a_repetition() {
    let (_, _, journal) = memory();
    grow(&journal, 0..50);
    let log = name("kz-75");
    let (blocking, awaiting) = (journal.subscribe(&log, 1, 0), journal.subscribe(&log, 1, 20));
    let (mut blocking, mut awaiting) = (blocking, awaiting);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            grow(&journal, 50..400);
            journal.close();
        });
        let blocked = scope.spawn(move || drain(|| blocking.next(7, usize::MAX, LONG)));
        let awaited = scope.spawn(move || drain(|| block_on(awaiting.next_async(3, 300))));
        for (got, from) in [(blocked.join().unwrap(), 0), (awaited.join().unwrap(), 20)] {
            let seqs: Vec<u64> = got.0.iter().map(|record| record.header().seq).collect();
            assert_eq!(seqs, (from..400).collect::<Vec<_>>());
            assert_eq!(got.0, journal.range(&log, 1, from, usize::MAX, usize::MAX).unwrap());
            assert_eq!(got.1.reason, "it was closed");
        }
    });
}

#[test]
fn a_subscriber_that_sleeps_costs_the_writer_one_wake() {
    let (_, _, journal) = memory();
    let mut sleeper = journal.subscribe(&name("kz-75"), 1, 0);
    assert!(sleeper.try_next(1, 1).unwrap().is_empty());
    let (wakes, size) = (count(), std::mem::size_of_val(&sleeper));
    {
        let waker = Waker::from(wakes.clone());
        let waiting = pin!(sleeper.next_async(1, 1));
        assert!(waiting.poll(&mut Context::from_waker(&waker)).is_pending());
        grow(&journal, 0..500);
    }
    // It was woken once, did not come, and nothing was kept for it.
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    assert_eq!(Arc::strong_count(&wakes), 1, "the journal holds nothing of a sleeper");
    assert_eq!((sleeper.position(), std::mem::size_of_val(&sleeper)), (0, size));
    assert_eq!(sleeper.try_next(1000, usize::MAX).unwrap().len(), 500);
    assert!(sleeper.next(1, 1, Duration::ZERO).unwrap().is_empty(), "the time is over");
}

#[test]
fn a_watcher_that_goes_away_is_forgotten() {
    let (_, _, journal) = memory();
    let (wakes, mut durable) = (count(), journal.durable());
    let waker = Waker::from(wakes.clone());
    let mut context = Context::from_waker(&waker);
    // The log was opened: that was one group.
    assert_eq!(durable.poll_changed(&mut context), Poll::Ready(Ok(1)));
    assert!(durable.poll_changed(&mut context).is_pending());
    assert!(durable.poll_changed(&mut context).is_pending());
    drop(durable);
    assert_eq!(Arc::strong_count(&wakes), 2, "the test's own two");
    grow(&journal, 0..1);
    assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
    let mut durable = journal.durable();
    durable.mark_seen();
    assert_eq!((durable.groups(), durable.wait(Duration::ZERO)), (2, Ok(false)));
    let mut clone = durable.clone();
    grow(&journal, 1..2);
    assert_eq!((durable.wait(LONG), clone.wait(LONG)), (Ok(true), Ok(true)));
    assert_eq!(durable.wait(Duration::ZERO), Ok(false));
}

#[test]
fn the_end_comes_after_everything_and_to_everybody() {
    let (disk, store, journal) = memory();
    grow(&journal, 0..3);
    let log = name("kz-75");
    let (mut one, mut positions) = (journal.subscribe(&log, 1, 1), journal.positions());
    let mut durable = journal.durable();
    let waiting = std::thread::spawn({
        let mut ahead = journal.subscribe(&log, 1, 99);
        move || drain(|| ahead.next(1, 1, LONG))
    });
    journal.close();
    assert!(waiting.join().unwrap().0.is_empty());
    let ended = |result| matches!(result, Err(SubscribeError::Ended(_)));
    assert_eq!(one.next(9, usize::MAX, LONG).unwrap().len(), 2);
    assert!(ended(one.next(9, usize::MAX, LONG)) && ended(block_on(one.next_async(9, 9))));
    assert_eq!(durable.wait(LONG), Ok(true));
    assert_eq!(block_on(durable.changed()).unwrap_err().reason, "it was closed");
    assert_eq!(positions.next(LONG).unwrap().len(), 1);
    assert!(positions.next(LONG).is_err() && block_on(positions.next_async()).is_err());

    drop((journal, one, positions));
    let (journal, _) = open_memory(&disk, &store, SMALL).unwrap();
    let mut durable = journal.durable();
    drop(journal);
    assert_eq!(durable.wait(LONG).unwrap_err().reason, "it was dropped");
}

#[test]
fn a_writer_that_fails_ends_its_subscribers_with_the_reason() {
    let (disk, _, journal) = memory();
    grow(&journal, 0..2);
    let mut subscription: Subscription = journal.subscribe(&name("kz-75"), 1, 0);
    disk.crash_at(disk.steps());
    journal.commit(vec![transaction(append("kz-75", stream(1), &[9], 10))], 1).unwrap_err();
    let (records, stopped) = drain(|| subscription.next(9, usize::MAX, LONG));
    assert_eq!(records.len(), 2);
    assert!(stopped.reason.contains("the power is off"), "{stopped}");
}

#[test]
fn positions_tell_of_every_log_what_is_new() {
    let (_, _, journal) = memory();
    grow(&journal, 0..3);
    let log = name("kz-75");
    let next = evidence::log::Position { log: log.clone(), epoch: 1, seq: 2 };
    let (mut all, mut some) = (journal.positions(), journal.positions().knowing(next));
    let growth = |from, to| Growth { log: log.clone(), epoch: 1, from, to };
    assert_eq!(all.next(LONG).unwrap(), [growth(0, 3)]);
    assert_eq!(some.try_next().unwrap(), [growth(2, 3)]);
    assert!(all.next(Duration::ZERO).unwrap().is_empty());
    journal.ensure_own_log(&name("kz"), 1).unwrap();
    assert!(all.try_next().unwrap().is_empty(), "an empty log is nothing to read");
    commit(&journal, transaction(append("kz", stream(2), &[7], 5))).unwrap();
    grow(&journal, 3..5);
    let grown = block_on(all.next_async()).unwrap();
    assert_eq!(grown.len(), 2);
    assert!(grown.contains(&growth(3, 5)));
}
