//! What can go wrong with views, said without quoting any row.

use std::path::PathBuf;

use evidence::log::LogName;
use thiserror::Error;

/// Why views could not be read or brought up to date. No variant carries the content of a row.
#[derive(Debug, Error)]
pub enum Error {
    /// A record is missing before the one handed in; nothing of the batch was stored.
    #[error("views hold {log} epoch {epoch} up to {expected}, but were handed sequence {got} next")]
    Gap {
        /// The log.
        log: LogName,
        /// Its epoch.
        epoch: u32,
        /// The sequence that the views need next.
        expected: u64,
        /// The sequence that came.
        got: u64,
    },
    /// New records of an epoch came after records of a later epoch of the same log; nothing of the
    /// batch was stored. A log is folded in the order of (epoch, sequence).
    #[error("{log} epoch {epoch} grew after the views had begun epoch {open}: rebuild the views")]
    EpochBehind {
        /// The log.
        log: LogName,
        /// The epoch of the record that came.
        epoch: u32,
        /// The epoch that the views have begun.
        open: u32,
    },
    /// The file of the views is damaged. Views are disposable: open them again and refold.
    #[error("the views' file is damaged ({0}): rebuild the views from the logs")]
    Damaged(String),
    /// SQLite refused or failed for another reason (disk full, no access, ..).
    #[error("the views' database failed: {0}")]
    Database(sqlx::Error),
    /// A file operation around the database failed.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Something else still uses the file, so that it was closed without a seal: the next open
    /// folds anew.
    #[error(
        "{} is in use by another connection; it was closed unsealed and will be folded anew",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A filter names a column that the table does not have.
    #[error("the table {table} cannot be filtered by {field}")]
    Filter {
        /// The table.
        table: &'static str,
        /// The field of the filter.
        field: &'static str,
    },
    /// A grouping names a column that the table does not have.
    #[error("the table {table} cannot be grouped by {column}")]
    Grouping {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// A page token that was not given out for this table and filter.
    #[error("the page token does not belong to this query; begin again without one")]
    PageToken,
}

/// SQLite's primary result codes for a damaged file and for a file that is no database
/// (<https://www.sqlite.org/rescode.html>: SQLITE_CORRUPT, SQLITE_NOTADB).
const CORRUPT: [i32; 2] = [11, 26];

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let damaged = match &error {
            // Extended codes keep the primary code in their low byte.
            sqlx::Error::Database(cause) => cause
                .code()
                .and_then(|code| code.parse::<i32>().ok())
                .is_some_and(|code| CORRUPT.contains(&(code & 0xff))),
            // A row that does not fit the schema this file says it has.
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => true,
            _ => false,
        };
        if damaged { Self::Damaged(error.to_string()) } else { Self::Database(error) }
    }
}
