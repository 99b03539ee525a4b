//! The file of rejected rows: where and why, never what.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::errors::{Failure, Outcome};
use crate::import::plan::Reject;

/// Columns of the file.
const HEADER: [&str; 5] = ["row", "line", "column", "code", "reason"];

/// Collects rejected rows and writes them, if a file was named.
pub struct Rejects {
    path: Option<PathBuf>,
    writer: Option<csv::Writer<File>>,
    count: u64,
    first: Vec<Reject>,
}

/// Rejects that are shown at the end.
const SHOWN: usize = 5;

impl Rejects {
    /// Begins the file anew: every run tells of all rejected rows.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn create(path: Option<&Path>) -> Outcome<Self> {
        let writer = match path {
            None => None,
            Some(path) => {
                let mut writer = csv::Writer::from_path(path).map_err(|e| failed(path, &e))?;
                writer.write_record(HEADER).map_err(|e| failed(path, &e))?;
                Some(writer)
            }
        };
        Ok(Self { path: path.map(Path::to_path_buf), writer, count: 0, first: Vec::new() })
    }

    /// One more rejected row.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add(&mut self, reject: &Reject) -> Outcome {
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(reject.clone());
        }
        let (Some(writer), Some(path)) = (&mut self.writer, &self.path) else { return Ok(()) };
        let (row, line) = (reject.row.to_string(), reject.line.to_string());
        let record = [row.as_str(), &line, &reject.column, &reject.code, &reject.reason];
        writer.write_record(record).map_err(|error| failed(path, &error))
    }

    /// Rows rejected so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first of them, for people.
    pub fn first(&self) -> impl Iterator<Item = String> + '_ {
        self.first.iter().map(|reject| {
            let column = match reject.column.as_str() {
                "" => String::new(),
                column => format!(", column {column}"),
            };
            format!(
                "row {} (line {}{column}): {}: {}",
                reject.row, reject.line, reject.code, reject.reason
            )
        })
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(&mut self) -> Outcome {
        let (Some(writer), Some(path)) = (&mut self.writer, &self.path) else { return Ok(()) };
        writer.flush().map_err(|error| Failure::wrong(format!("write {}", path.display()), &error))
    }
}

fn failed(path: &Path, error: &csv::Error) -> Failure {
    Failure::wrong(format!("write the rejects {}", path.display()), error)
}

/// How many rows may be rejected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// So many.
    Rows(u64),
    /// So many in a hundred.
    Percent(f64),
}

impl Limit {
    /// Whether so many of all rows are too many.
    #[must_use]
    pub fn is_exceeded(self, rejected: u64, rows: u64) -> bool {
        match self {
            Self::Rows(most) => rejected > most,
            Self::Percent(most) => rejected as f64 * 100.0 > most * rows as f64,
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rows(most) => write!(f, "{most}"),
            Self::Percent(most) => write!(f, "{most}%"),
        }
    }
}

/// A limit, `20` or `5%`; for clap.
///
/// # Errors
/// The text has another form.
pub fn limit(text: &str) -> Result<Limit, String> {
    let wrong = || "is no number of rows and no percentage; write 20 or 5%".to_owned();
    match text.strip_suffix('%') {
        None => text.parse().map(Limit::Rows).map_err(|_| wrong()),
        Some(percent) => {
            let percent: f64 = percent.parse().map_err(|_| wrong())?;
            (0.0..=100.0).contains(&percent).then_some(Limit::Percent(percent)).ok_or_else(wrong)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_where_and_why() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rejects.csv");
        let mut rejects = Rejects::create(Some(&path)).unwrap();
        rejects
            .add(&Reject {
                row: 7,
                line: 9,
                column: "office".into(),
                code: "UNKNOWN_OFFICE".into(),
                reason: "names an office, that".into(),
            })
            .unwrap();
        rejects.finish().unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "row,line,column,code,reason\n7,9,office,UNKNOWN_OFFICE,\"names an office, that\"\n"
        );
        assert!(rejects.first().next().unwrap().starts_with("row 7 (line 9, column office)"));
    }

    #[test]
    fn limits() {
        assert!(limit("5%").unwrap().is_exceeded(6, 100));
        assert!(!limit("5%").unwrap().is_exceeded(5, 100));
        assert!(limit("0").unwrap().is_exceeded(1, 100));
        assert!(!limit("100%").unwrap().is_exceeded(0, 0));
        assert!(limit("many").is_err() && limit("200%").is_err());
    }
}
