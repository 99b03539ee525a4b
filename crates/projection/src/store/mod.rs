//! The only place of this crate with SQL: opening the file, bringing it up to date, reading it.
//!
//! - `open`: finding a usable file or making a new one.
//! - `fold`: one batch of facts into the tables, in one transaction; per slice in `work`,
//!   `appeal`, `directive`, `centre`.
//! - `table`: what each table can be filtered and grouped by.
//! - `list`: registers by pages. `count`: totals, overdue work, the national summary.
//! - `fingerprint`: digests of all rows. `seal`: the digest of a closed file.
//!
//! # What is trusted
//!
//! SQLite has no checksums of its pages: a byte that flips on the disk would be served as truth.
//! Views follow from the logs, whose records are checked one by one, so their file is trusted
//! only while there is a reason to: [`Views::close`] writes the SHA-256 of the whole file beside
//! it (the seal, `views.sqlite.seal`); [`Views::open`] takes over a file only if its seal is there
//! and matches and no journal of SQLite's is left, and removes the seal before anything is
//! written. Every other file is dropped, and the tables are folded anew from the logs.
//!
//! The price: after a kill or a loss of power everything is folded again, at some tens of
//! thousands of facts a second, during which the registers lag behind the logs; link rows are
//! empty until the node writes them again. Opening and closing read the file once, some seconds
//! a gigabyte. Page checksums (SQLite's `cksumvfs` extension) would spare the refold; the bundled
//! library is built without them.
//!
//! The seal does not see what goes wrong in the file while it is open: a page that rots then is
//! sealed with the rest. For that there is the deep check: a second fold of the logs into other
//! views ([`Fingerprint`] says how). Views that failed it must be [reset](Views::reset) and are
//! not to be sealed: [`Views::distrust`]. Views that find themselves damaged while they write do
//! so on their own.

mod appeal;
mod centre;
mod count;
mod directive;
mod fingerprint;
mod fold;
mod list;
mod open;
mod seal;
mod table;
mod work;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use sqlx::{Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};

pub use fingerprint::{Fingerprint, TableDigest};
pub use open::Opened;

use crate::{envelope::LogPosition, error::Error};

/// The tables that a fold of the logs fills, all of them and nothing else.
const FOLDED: [&str; 14] = [
    "activities",
    "appeals",
    "classifiers",
    "contacts",
    "corrections",
    "directive_heads",
    "directive_offices",
    "measures",
    "offices",
    "openings",
    "positions",
    "receptions",
    "reports",
    "skipped",
];

/// The read models of one office in one SQLite file: tables folded from its logs.
///
/// Views are disposable: the file may be deleted at any time the node is stopped. They are
/// confluent: whatever order the logs were folded in, as long as each log's own order was kept,
/// the rows are equal. Cheap to clone; one writer at a time, readers beside it.
///
/// A file must not be opened again before its views were closed, by this process or another one
/// (the node's journal has a lock): it would be found unsealed and replaced under the open ones.
/// Views in other files, such as those of a deep check, do not meet these.
#[derive(Clone, Debug)]
pub struct Views {
    path: PathBuf,
    writer: SqlitePool,
    readers: SqlitePool,
    opened: Arc<OnceLock<Opened>>,
    /// Whether closing seals the file. Shared by all clones.
    sealable: Arc<AtomicBool>,
}

impl Views {
    /// Opens the views in the file `path`. A missing file is made; one that was not closed, has
    /// another schema, is damaged or is not ours is replaced by an empty one, to be folded anew
    /// from the positions it then has ([`Views::opened`] says which). A file that is not ours is
    /// kept beside it, its name ending in `.set-aside`. Reads the whole file on the calling thread
    /// and removes its seal.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Io`] where the file cannot be made, read or replaced.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let views = Self::at(path);
        views.begin().await?;
        Ok(views)
    }

    /// The views in the file `path`, which is not looked at before [`Views::begin`]. Nothing else
    /// may be asked of them before that. To be called within a runtime.
    pub fn at(path: &Path) -> Self {
        open::at(path)
    }

    /// Opens the file as [`Views::open`] does, once for all clones; what it found.
    ///
    /// # Errors
    /// As there; these views are of no use then.
    pub async fn begin(&self) -> Result<Opened, Error> {
        if let Some(opened) = self.opened.get() {
            return Ok(*opened);
        }
        let opened = open::begin(self).await?;
        self.sealable.store(true, Ordering::Release);
        Ok(*self.opened.get_or_init(|| opened))
    }

    /// What was found where the file was opened; `None` before [`Views::begin`].
    pub fn opened(&self) -> Option<Opened> {
        self.opened.get().copied()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How far every log has been folded, by log and epoch. A log that is not named has not been
    /// begun. A position beyond the end of its log means that the log was restored to an earlier
    /// state: then the views must be [reset](Views::reset) and folded anew.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Damaged`].
    pub async fn positions(&self) -> Result<Vec<LogPosition>, Error> {
        let mut reader = self.readers.acquire().await?;
        positions(&mut reader).await
    }

    /// Empties every folded table and the positions in one transaction, for a fold from scratch.
    /// Link rows stay. The file is unsealed, as at any time between open and close.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Damaged`] (then the file must be closed and opened anew).
    pub async fn reset(&self) -> Result<(), Error> {
        self.doubting(self.empty().await)
    }

    async fn empty(&self) -> Result<(), Error> {
        let mut tx = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        for table in FOLDED {
            let empty = sqlx::AssertSqlSafe(format!("DELETE FROM {table}"));
            sqlx::query(empty).persistent(false).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        tracing::info!("views emptied for a fold from scratch");
        Ok(())
    }

    /// Says that the file is not to be trusted, for instance because a deep check found a
    /// difference: closing will not seal it, and the next open folds anew. Cannot be taken back.
    pub fn distrust(&self) {
        self.sealable.store(false, Ordering::Release);
    }

    /// Distrusts the file if it was found damaged.
    fn doubting<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if matches!(result, Err(Error::Damaged(_))) {
            self.distrust();
        }
        result
    }

    /// Closes the file after what is being written, and seals it, so that the next open may trust
    /// it; reads the whole file for that, on the calling thread. Later calls fail, but for a
    /// second one of this, which does nothing.
    ///
    /// # Errors
    /// The file is closed all the same, but unsealed: the next open folds anew.
    /// [`Error::InUse`], [`Error::Io`], [`Error::Database`], [`Error::Damaged`].
    pub async fn close(&self) -> Result<(), Error> {
        // First the readers: a snapshot of theirs would keep the write-ahead log from emptying.
        self.readers.close().await;
        if self.opened.get().is_none() {
            self.writer.close().await;
            return Ok(());
        }
        let emptied = self.checkpoint().await;
        self.writer.close().await;
        match emptied {
            Err(Error::Database(sqlx::Error::PoolClosed)) => return Ok(()),
            other => other?,
        }
        // Looked at last: what was still running may have found damage.
        if self.sealable.swap(false, Ordering::AcqRel) {
            seal::write(&self.path)?;
        }
        Ok(())
    }

    /// Moves the write-ahead log into the file and empties it
    /// (<https://www.sqlite.org/pragma.html#pragma_wal_checkpoint>; the first column of the answer
    /// is 1 if something kept it from doing so).
    async fn checkpoint(&self) -> Result<(), Error> {
        let busy: i64 =
            sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&self.writer).await?;
        if busy != 0 {
            return Err(Error::InUse { path: self.path.clone() });
        }
        Ok(())
    }

    /// Closes the file and removes it with all that belongs to it: the end of temporary views.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn discard(self) -> Result<(), Error> {
        self.distrust();
        self.readers.close().await;
        self.writer.close().await;
        open::remove(&self.path)
    }
}

/// The positions as the connection's transaction sees them.
async fn positions(reader: &mut SqliteConnection) -> Result<Vec<LogPosition>, Error> {
    let rows = sqlx::query("SELECT log, epoch, next_seq FROM positions ORDER BY log, epoch")
        .fetch_all(reader)
        .await?;
    let position = |row: &SqliteRow| {
        Ok(LogPosition { log: row.try_get(0)?, epoch: row.try_get(1)?, next_seq: row.try_get(2)? })
    };
    rows.iter().map(position).collect()
}

/// A count or sequence as SQLite holds it. Sequences end at 2^53 ([`evidence::log`]); anything
/// larger is no count of ours and is held as the largest number there is.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
