//! Digests of all rows, to tell whether two folds are equal.

use std::fmt;

use evidence::hash::{Hash, hex, sha256, sha256_parts};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use super::{FOLDED, Views, positions};
use crate::{envelope::LogPosition, error::Error};

/// The digest of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableDigest {
    /// The table.
    pub table: &'static str,
    /// Its rows.
    pub rows: u64,
    /// SHA-256 chained over its rows in order.
    pub digest: Hash,
}

/// The digests of every folded table, positions included, link rows not. Two folds of the same
/// logs, as far as each other, have equal fingerprints; where they do not, the tables that differ
/// are named by [`Fingerprint::differing`].
///
/// To compare views that go on being fed with the logs: take their fingerprint first, fold the
/// logs into other views exactly as far as its [`positions`](Fingerprint::positions) say, and
/// compare with the fingerprint of those.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fingerprint {
    /// How far every log was folded in the state that was digested, by log and epoch.
    pub positions: Vec<LogPosition>,
    /// One digest per table, by name.
    pub tables: Vec<TableDigest>,
}

impl Fingerprint {
    /// One digest over all tables.
    pub fn digest(&self) -> Hash {
        let parts: Vec<&[u8]> =
            self.tables.iter().flat_map(|table| [table.table.as_bytes(), &table.digest]).collect();
        sha256_parts(&parts)
    }

    /// Names of the tables in which the two differ. `positions` among them: the two were not
    /// folded as far as each other, and the rest says nothing.
    pub fn differing(&self, other: &Self) -> Vec<&'static str> {
        let pairs = self.tables.iter().zip(&other.tables);
        pairs.filter(|(one, two)| one != two).map(|(one, _)| one.table).collect()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.digest()))
    }
}

/// Rows read at once.
const CHUNK: i64 = 5_000;

impl Views {
    /// The digests of every folded table, and the positions, in one snapshot: batches that are
    /// applied meanwhile are not in it. Reads everything.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Damaged`].
    pub async fn fingerprint(&self) -> Result<Fingerprint, Error> {
        self.doubting(self.read_fingerprint().await)
    }

    async fn read_fingerprint(&self) -> Result<Fingerprint, Error> {
        let mut tx = self.readers.begin().await?;
        let positions = positions(&mut tx).await?;
        let mut tables = Vec::with_capacity(FOLDED.len());
        for table in FOLDED {
            tables.push(digest(&mut tx, table).await?);
        }
        Ok(Fingerprint { positions, tables })
    }
}

async fn digest(reader: &mut SqliteConnection, table: &'static str) -> Result<TableDigest, Error> {
    let columns = sqlx::query("SELECT name, pk FROM pragma_table_info($1) ORDER BY cid")
        .bind(table)
        .fetch_all(&mut *reader)
        .await?;
    let mut quoted = Vec::new();
    let mut key = Vec::new();
    for column in &columns {
        let name: String = column.try_get(0)?;
        quoted.push(format!("quote({name})"));
        let place: i64 = column.try_get(1)?;
        if place > 0 {
            key.push((place, name));
        }
    }
    key.sort();
    let key: Vec<_> = key.into_iter().map(|(_, name)| name).collect();
    // Quoted literals part columns without doubt: a comma outside quotes is never inside a value.
    let sql = format!(
        "SELECT {} FROM {table} ORDER BY {} LIMIT $1 OFFSET $2",
        quoted.join(" || ',' || "),
        key.join(", ")
    );
    let mut digest = sha256(table.as_bytes());
    let mut rows: i64 = 0;
    loop {
        let chunk: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql.as_str()))
            .bind(CHUNK)
            .bind(rows)
            .fetch_all(&mut *reader)
            .await?;
        for row in &chunk {
            digest = sha256_parts(&[&digest, row.as_bytes()]);
            rows += 1;
        }
        if chunk.is_empty() {
            break;
        }
    }
    Ok(TableDigest { table, rows: rows.unsigned_abs(), digest })
}
