//! What was measured, beside what is aimed at: tables for people, JSON for programs.

use std::fmt;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aim {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Aim {
    /// Whether a value is as it should be.
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(aim) => value >= aim,
            Self::AtMost(aim) => value <= aim,
        }
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(aim) => write!(f, "≥ {}", number(*aim)),
            Self::AtMost(aim) => write!(f, "≤ {}", number(*aim)),
        }
    }
}

/// One measured figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Its name, like `producers/16/journal/ratio`; the same in every run.
    pub id: String,
    /// Its value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it should be, if anything is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aim: Option<Aim>,
    /// Whether it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub met: Option<bool>,
}

/// One table.
#[derive(Debug, Clone)]
pub struct Section {
    title: String,
    table: Table,
    notes: Vec<String>,
}

impl Section {
    /// An empty table. All columns but the first are numbers.
    pub fn new(title: impl Into<String>, headers: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).force_no_tty();
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(headers);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        Self { title: title.into(), table, notes: Vec::new() }
    }

    /// A table of figures with their aims.
    pub fn of_figures(title: impl Into<String>) -> Self {
        Self::new(title, &["", "figure", "aim"])
    }

    /// Adds a row.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.table.add_row(cells.into_iter().map(|cell| Cell::new(cell.into())));
    }

    /// Adds a sentence below the table.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}", self.title, self.table)?;
        self.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))
    }
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub struct Report {
    figures: Vec<Figure>,
}

impl Report {
    /// Keeps a figure and gives the cell with aim and verdict.
    pub fn figure(
        &mut self,
        id: impl Into<String>,
        value: f64,
        unit: &'static str,
        aim: Option<Aim>,
    ) -> String {
        let met = aim.map(|aim| aim.is_met(value));
        self.figures.push(Figure { id: id.into(), value, unit, aim, met });
        let verdict = if met == Some(true) { "met" } else { "NOT MET" };
        aim.map(|aim| format!("{aim} {verdict}")).unwrap_or_default()
    }

    /// Keeps a figure and adds it as a row of a table of figures.
    pub fn add(
        &mut self,
        section: &mut Section,
        label: &str,
        id: impl Into<String>,
        value: (f64, &'static str),
        aim: Option<Aim>,
    ) {
        let aim = self.figure(id, value.0, value.1, aim);
        section.row([label.to_owned(), format!("{} {}", number(value.0), value.1), aim]);
    }

    /// All figures.
    pub fn figures(&self) -> &[Figure] {
        &self.figures
    }

    /// Number of aims, and the figures that miss theirs.
    pub fn missed(&self) -> (usize, Vec<&Figure>) {
        let aims = self.figures.iter().filter(|figure| figure.met.is_some()).count();
        (aims, self.figures.iter().filter(|figure| figure.met == Some(false)).collect())
    }
}

/// A number as people read it: three digits, or all of a large one in groups.
pub fn number(value: f64) -> String {
    if value.abs() < 10.0 {
        return format!("{value:.2}");
    }
    if value.abs() < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{:.0}", value.abs());
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    let text = groups.collect::<Vec<_>>().join(",");
    if value < 0.0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let check = |value: f64, text: &str| assert_eq!(number(value), text);
        check(0.0, "0.00");
        check(1.234, "1.23");
        check(12.34, "12.3");
        check(123.4, "123");
        check(1_234_567.0, "1,234,567");
        check(-1234.0, "-1,234");
    }

    #[test]
    fn verdicts_follow_the_aim() {
        let mut report = Report::default();
        let least = report.figure("a", 0.5, "", Some(Aim::AtLeast(0.5)));
        assert_eq!(least, "≥ 0.50 met");
        assert_eq!(report.figure("b", 2.1, "", Some(Aim::AtMost(2.0))), "≤ 2.00 NOT MET");
        assert_eq!(report.figure("c", 2.1, "s", None), "");
        let (aims, missed) = report.missed();
        assert_eq!((aims, missed.len(), missed[0].id.as_str()), (2, 1, "b"));
    }

    #[test]
    fn figures_are_readable_by_programs() {
        let mut report = Report::default();
        report.figure("a/b", 0.5, "s", Some(Aim::AtMost(1.0)));
        let json = serde_json::to_string(report.figures()).unwrap();
        let expected = r#"[{"id":"a/b","value":0.5,"unit":"s","aim":{"at_most":1.0},"met":true}]"#;
        assert_eq!(json, expected);
    }

    #[test]
    fn a_section_shows_rows_and_notes() {
        let mut section = Section::of_figures("Title");
        Report::default().add(&mut section, "what", "id", (1500.0, "B"), Some(Aim::AtMost(1400.0)));
        section.note("a note");
        let text = section.to_string();
        for part in ["Title", "what", "1,500 B", "≤ 1,400", "NOT MET", "a note"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }
}
