//! What can be asked of views: tables, columns, filters, pages, and the frames of the answers.
//! The rows themselves are in [`crate::rows`]. Instants are microseconds since 1970 UTC.

use jiff::civil::Date;
use serde::Serialize;

use crate::envelope::LogPosition;

/// The most rows of one page.
pub const MOST_ROWS: u32 = 1_000;

/// Rows of a page where none were asked for.
pub const USUAL_ROWS: u32 = 100;

/// A table of work that can be listed and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Table {
    /// Contacts on the trust line and other intake.
    Contacts,
    /// The register of appeals.
    Appeals,
    /// Personal receptions.
    Receptions,
    /// Preventive measures.
    Measures,
    /// Activities of the image-policy plan.
    Activities,
    /// Directives, a row per addressed office.
    Directives,
    /// Corrections of appeals.
    Corrections,
    /// Openings of sealed parts.
    Openings,
}

/// What rows can be grouped by; a table has some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Column {
    /// Code of the office.
    Office,
    /// Month, `YYYY-MM`, in the office's zone, of the instant that the table is filtered by.
    Month,
    /// Channel code.
    Channel,
    /// Kind code.
    Kind,
    /// State.
    State,
    /// Language code.
    Language,
    /// Form code.
    Form,
    /// Audience code.
    Audience,
    /// Category code.
    Category,
    /// Decision code.
    Decision,
    /// Outcome code of a contact.
    Outcome,
    /// Reason code.
    Reason,
    /// Mode code of a reception.
    Mode,
    /// Subject code of a directive.
    Subject,
    /// Corrected field.
    Field,
    /// Purpose code of an opening.
    Purpose,
}

/// Which rows are meant; what is `None` does not restrict. A field that the table does not have is
/// refused ([`crate::Error::Filter`]), so that a mistake is never taken for an empty answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Code of the office, such as `KZ-75`.
    pub office: Option<String>,
    /// Id of the stream: the contact, appeal, reception, measure, activity or directive.
    pub stream: Option<[u8; 16]>,
    /// First instant included. Contacts: begun; appeals: received; receptions, measures and
    /// activities: begin of the planned day; directives: issued; corrections and openings: made.
    pub from: Option<i64>,
    /// First instant no longer included.
    pub to: Option<i64>,
    /// Channel code.
    pub channel: Option<String>,
    /// Kind code.
    pub kind: Option<String>,
    /// State, spelled as in the rows.
    pub state: Option<String>,
    /// Language code.
    pub language: Option<String>,
    /// Form code.
    pub form: Option<String>,
    /// Audience code.
    pub audience: Option<String>,
    /// Registration number, exact.
    pub reg_no: Option<String>,
    /// Whether triage found signs of corruption.
    pub corruption_signs: Option<bool>,
    /// Id of a directive: of a measure made for it.
    pub directive: Option<[u8; 16]>,
    /// Only rows whose term had passed unfinished before this day.
    pub overdue: Option<Date>,
}

impl Filter {
    /// The filter for one office.
    pub fn office(code: &str) -> Self {
        Self { office: Some(code.to_owned()), ..Self::default() }
    }
}

/// Which page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Rows wanted; 0 = [`USUAL_ROWS`], more than [`MOST_ROWS`] is cut to it.
    pub size: u32,
    /// [`Listing::next`] of the page before; `None` for the first page.
    pub token: Option<String>,
}

impl Page {
    /// The number of rows in bounds.
    pub(crate) fn rows(&self) -> u32 {
        if self.size == 0 { USUAL_ROWS } else { self.size.min(MOST_ROWS) }
    }
}

/// One page of a list, read at one state of the tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listing<R> {
    /// The rows, newest first (offices by code).
    pub rows: Vec<R>,
    /// The token of the next page; `None` on the last one. It names the last row shown, so rows
    /// that arrive meanwhile neither repeat nor hide any other.
    pub next: Option<String>,
    /// Rows that the filter matches in all.
    pub total: u64,
    /// How far each log is included.
    pub freshness: Vec<LogPosition>,
}

/// Counts of one table, read at one state of the tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Values of the columns asked for, in that order, and the number of rows; sorted by values.
    pub rows: Vec<(Vec<String>, u64)>,
    /// Sum of the counts.
    pub total: u64,
    /// How far each log is included.
    pub freshness: Vec<LogPosition>,
}
