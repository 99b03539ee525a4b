//! Finding a usable file or making a new one.

use std::{
    ffi::OsString,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::Duration,
};

use evidence::hash::{hex, sha256};
use sqlx::{
    ConnectOptions, Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Views, seal};
use crate::error::Error;

/// The tables. Any change of this text makes older files outdated by itself.
const SCHEMA: &str = include_str!("schema.sql");

/// SQLite's `application_id` of our files: the letters "Adal"
/// (<https://www.sqlite.org/pragma.html#pragma_application_id>).
const APPLICATION: i32 = 0x4164_616c;

/// Version of the meaning of the rows: raised when the fold changes and the schema's text does
/// not, so that files folded by older code are folded anew.
const FOLD_VERSION: i32 = 1;

/// SQLite's own check of a sealed file is left out in files larger than this: it only finds what
/// went wrong in the file before it was sealed.
const LARGEST_CHECKED: u64 = 1 << 30;

/// SQLite's page, in bytes.
const PAGE: u64 = 4096;

/// Connections that read; SQLite reads beside its one writer.
const READERS: u32 = 4;

/// What was found where the views were to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// Views of this schema, byte for byte as they were closed.
    Existing,
    /// Nothing (or an empty file); empty views were made.
    New,
    /// Views that were not closed: the process was killed, or could not seal them; they were
    /// dropped, the new ones are empty.
    Unsealed,
    /// Views of another schema or fold; they were dropped, the new ones are empty.
    Outdated,
    /// A file that is not what was closed; it was dropped, the new views are empty.
    Damaged,
    /// A file that is none of ours; it was set aside, the new views are empty.
    Foreign,
}

/// Connects to nothing yet: the pools do with their first question.
pub(super) fn at(path: &Path) -> Views {
    let pool = |connections| {
        let pool = SqlitePoolOptions::new().max_connections(connections);
        pool.idle_timeout(None).max_lifetime(None)
    };
    Views {
        path: path.to_owned(),
        writer: pool(1).connect_lazy_with(options(path).create_if_missing(true)),
        readers: pool(READERS).connect_lazy_with(options(path).read_only(true)),
        opened: Arc::new(OnceLock::new()),
        sealable: Arc::new(AtomicBool::new(false)),
    }
}

pub(super) async fn begin(views: &Views) -> Result<Opened, Error> {
    let path = views.path.as_path();
    let found = inspect(path).await?;
    match found {
        // From here on it is written to.
        Opened::Existing => seal::remove(path)?,
        Opened::New => remove(path)?,
        Opened::Unsealed | Opened::Outdated | Opened::Damaged => {
            tracing::warn!(?found, "views dropped, to be folded anew from the logs");
            remove(path)?;
        }
        Opened::Foreign => {
            tracing::warn!("a file that is no views file was set aside");
            set_aside(path)?;
            remove(path)?;
        }
    }
    let mut writer = views.writer.acquire().await?;
    if found != Opened::Existing {
        create(&mut writer).await?;
    }
    drop(views.readers.acquire().await?);
    Ok(found)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .page_size(4096)
        .busy_timeout(Duration::from_secs(10))
        .statement_cache_capacity(256)
        .pragma("cache_size", "-32768")
        .pragma("temp_store", "memory")
        .pragma("journal_size_limit", "67108864")
        .disable_statement_logging()
}

async fn create(connection: &mut SqliteConnection) -> Result<(), Error> {
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql(SCHEMA).execute(&mut *tx).await?;
    sqlx::query("INSERT INTO meta (name, value) VALUES ('schema', $1)")
        .bind(schema_digest())
        .execute(&mut *tx)
        .await?;
    let stamps =
        format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FOLD_VERSION};");
    sqlx::raw_sql(sqlx::AssertSqlSafe(stamps)).execute(&mut *tx).await?;
    tx.commit().await?;
    // Into the file itself, so that its header says whose it is even after a kill.
    sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(connection).await?;
    Ok(())
}

fn schema_digest() -> String {
    hex(&sha256(SCHEMA.as_bytes()))
}

/// Looks at the file without changing what its tables hold.
async fn inspect(path: &Path) -> Result<Opened, Error> {
    let size = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(_) => return Err(io_error("open", path, io::ErrorKind::IsADirectory.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Opened::New),
        Err(error) => return Err(io_error("look at", path, error)),
    };
    if size == 0 {
        return Ok(Opened::New);
    }
    let file = fs::File::open(path).map_err(|error| io_error("open", path, error))?;
    let is_ours = match is_ours(file) {
        Ok(is_ours) => is_ours,
        Err(error) => {
            tracing::warn!(%error, "the file of the views cannot be read");
            return Ok(Opened::Damaged);
        }
    };
    if !is_ours {
        // One page: what a kill leaves of a file that was just being made.
        return Ok(if size <= PAGE { Opened::Damaged } else { Opened::Foreign });
    }
    let sealed = seal::check(path)?;
    if sealed != Opened::Existing {
        return Ok(sealed);
    }
    match check(path, size).await.map_err(Error::from) {
        Ok(found) => Ok(found),
        Err(Error::Damaged(_)) => Ok(Opened::Damaged),
        Err(error) => Err(error),
    }
}

async fn check(path: &Path, size: u64) -> Result<Opened, sqlx::Error> {
    let mut connection = options(path).connect().await?;
    let found = check_connected(&mut connection, size).await;
    connection.close().await?;
    found
}

async fn check_connected(
    connection: &mut SqliteConnection,
    size: u64,
) -> Result<Opened, sqlx::Error> {
    let version: i32 =
        sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
    let has_meta: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_schema WHERE name = 'meta'")
            .fetch_one(&mut *connection)
            .await?;
    if version != FOLD_VERSION || has_meta == 0 {
        return Ok(Opened::Outdated);
    }
    let schema: Option<String> = sqlx::query_scalar("SELECT value FROM meta WHERE name = 'schema'")
        .fetch_optional(&mut *connection)
        .await?;
    if schema != Some(schema_digest()) {
        return Ok(Opened::Outdated);
    }
    if size <= LARGEST_CHECKED {
        let verdict: String =
            sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *connection).await?;
        if verdict != "ok" {
            return Ok(Opened::Damaged);
        }
    }
    let objects: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_schema WHERE sql IS NOT NULL")
            .fetch_one(&mut *connection)
            .await?;
    let wanted = SCHEMA.lines().filter(|line| line.starts_with("CREATE ")).count();
    Ok(if usize::try_from(objects) == Ok(wanted) { Opened::Existing } else { Opened::Damaged })
}

/// Whether the file's header is SQLite's with our application id (byte 68, big-endian;
/// <https://www.sqlite.org/fileformat2.html#the_database_header>).
fn is_ours(file: fs::File) -> io::Result<bool> {
    let mut header = Vec::with_capacity(72);
    file.take(72).read_to_end(&mut header)?;
    Ok(header.len() == 72
        && header.starts_with(b"SQLite format 3\0")
        && header[68..] == APPLICATION.to_be_bytes())
}

/// The name of a file that belongs to `path`.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

fn set_aside(path: &Path) -> Result<(), Error> {
    fs::rename(path, beside(path, ".set-aside")).map_err(|error| io_error("set aside", path, error))
}

/// Removes the seal, then the file and SQLite's companions, where they are.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    seal::remove(path)?;
    for ending in ["", "-wal", "-shm", "-journal"] {
        remove_file(&beside(path, ending))?;
    }
    Ok(())
}

/// Removes a file; says whether it was there.
pub(super) fn remove_file(file: &Path) -> Result<bool, Error> {
    match fs::remove_file(file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_error("remove", file, error)),
    }
}

pub(super) fn io_error(what: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io { what, path: path.to_owned(), source }
}
