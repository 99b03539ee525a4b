//! A journal that goes back behind a change of the key: no epoch is used twice.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::*;
use crate::options::Options;
use crate::supervisor::Supervisor;

/// An office whose epoch 2 was begun after its backup was taken.
struct Office2 {
    dir: tempfile::TempDir,
    options: Options,
    saved: PathBuf,
}

async fn two_epochs() -> Office2 {
    let desk = desk("KZ-75").await;
    let own = log("kz-75");
    desk.record(&own, &[contact(1), contact(2)]).await;
    let saved = desk.dir.path().join("backup");
    let backup = desk.office.journal.on_thread(|journal| journal.backup(5)).await.unwrap();
    backup.unwrap().write_to(&saved, &mut |_| ControlFlow::Continue(())).unwrap();
    rotate(&desk.office).await.unwrap();
    desk.record(&own, &[contact(3)]).await;
    let Desk { office, dir } = desk;
    let mut options = office.options.clone();
    // Nobody is there to be asked for what came after the backup.
    options.begin = crate::options::Begin::WithoutCentre;
    drop(office);
    Office2 { dir, options, saved }
}

impl Office2 {
    fn journal(&self) -> PathBuf {
        self.dir.path().join("data/journal")
    }

    /// The journal is lost and made anew of the backup; `keyed` as the operator's tool found it.
    async fn restored(&self, keyed: u32) {
        while let Err(error) = std::fs::remove_dir_all(self.journal()) {
            assert_eq!(error.kind(), std::io::ErrorKind::DirectoryNotEmpty, "{error}");
        }
        let how = journal::Restore { clock: 9, keyed, ..journal::Restore::default() };
        let go_on = &mut |_| ControlFlow::Continue(());
        journal::restore(&self.saved, &self.journal(), &how, go_on).unwrap();
    }

    async fn start(&self) -> Result<SharedOffice, String> {
        loop {
            let (supervisor, metrics) = (Supervisor::new(), telemetry::Metrics::disabled());
            let options = self.options.clone();
            let opened =
                crate::start::open(options, metrics, supervisor, &journal::Journal::open).await;
            match opened.map_err(|error| format!("{error:#}")) {
                Err(error) if error.contains("in use") => {
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
                outcome => return outcome,
            }
        }
    }
}

fn sizes(office: &Office) -> Vec<(u32, u64)> {
    let logs = office.journal.logs().into_iter().filter(|info| info.log == log("kz-75"));
    logs.map(|info| (info.epoch, info.size)).collect()
}

#[tokio::test]
async fn an_epoch_whose_key_was_there_before_the_restore_is_never_begun() {
    let office = two_epochs().await;
    office.restored(0).await;
    let key = std::fs::read(office.dir.path().join("data/keys/log+e2.key")).unwrap();
    for _ in 0..2 {
        let error = office.start().await.err().expect("the node must not start");
        assert!(error.contains("epoch 2 of kz-75 was opened by a restore"), "{error}");
        assert!(error.contains("adal journal restore --epoch 3"), "{error}");
    }
    // As the tool restores it, which sees the key.
    office.restored(2).await;
    let running = office.start().await.unwrap();
    assert_eq!(sizes(&running), [(1, 2), (3, 1)]);
    assert_eq!(std::fs::read(office.dir.path().join("data/keys/log+e2.key")).unwrap(), key);
    // The key of the lost epoch names the one that goes on.
    let stated = keys::statement(&running, &log("kz-75"), 3).unwrap();
    assert_eq!(
        (stated.closed.origin.as_str(), stated.closed.size),
        ("adal.example/log/kz-75.e2", 0)
    );
}

#[tokio::test]
async fn a_restored_start_that_was_cut_short_behind_the_key_goes_on() {
    let office = two_epochs().await;
    office.restored(0).await;
    let keys = office.dir.path().join("data/keys");
    std::fs::remove_dir_all(&keys).unwrap();
    let running = office.start().await.unwrap();
    assert_eq!(sizes(&running), [(1, 2), (2, 1)], "no key was known: epoch 2 begins");
    drop(running);
    // The same, and the process ended before the first record: the note and the key are there.
    office.restored(0).await;
    let noted = |path: &Path| {
        let (journal, _) = journal::Journal::open(path, journal::Options::default()).unwrap();
        assert!(journal.wait_for_index(std::time::Duration::from_secs(30)));
        let controls = vec![Control { key: b"makes_key/2".to_vec(), value: Vec::new() }];
        let noted = Transaction { controls, ..Transaction::default() };
        journal.commit(vec![noted], 9).unwrap().remove(0).unwrap();
        journal.close();
    };
    noted(&office.journal());
    let running = office.start().await.unwrap();
    assert_eq!(sizes(&running), [(1, 2), (2, 1)]);
}
