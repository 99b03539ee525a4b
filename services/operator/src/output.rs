//! What is shown: tables for people, one JSON object a line for programs.
//!
//! A listing is written once, as rows of named cells; both forms come from it. Tables never wrap
//! and carry no colours, so that they stay readable when piped.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Map, Value};

use crate::errors::{Failure, Outcome, one_line};

/// One value of a row: what a person reads and what a program reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    people: String,
    program: Value,
}

/// One row: names and values, in the order of the columns.
pub type Row = Vec<(&'static str, Cell)>;

impl Cell {
    /// What people read.
    #[must_use]
    pub fn people(&self) -> &str {
        &self.people
    }

    /// What programs read.
    #[must_use]
    pub fn program(&self) -> &Value {
        &self.program
    }

    /// A text; an empty one is `null` for programs and a dash for people.
    pub fn text(text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        if text.is_empty() {
            return Self::none();
        }
        Self { people: one_line(text), program: Value::from(text) }
    }

    /// Nothing there.
    #[must_use]
    pub fn none() -> Self {
        Self { people: "-".to_owned(), program: Value::Null }
    }

    /// A number.
    pub fn number(number: impl Into<u64>) -> Self {
        let number = number.into();
        Self { people: number.to_string(), program: Value::from(number) }
    }

    /// A number that may be unknown; people read a question mark.
    #[must_use]
    pub fn known(number: Option<u64>) -> Self {
        number.map_or_else(|| Self { people: "?".to_owned(), program: Value::Null }, Self::number)
    }

    /// A difference that may be unknown and may be negative.
    #[must_use]
    pub fn difference(number: Option<i64>) -> Self {
        number.map_or_else(Self::none, |number| Self {
            people: number.to_string(),
            program: Value::from(number),
        })
    }

    /// A number with decimals.
    #[must_use]
    pub fn decimal(number: f64) -> Self {
        Self { people: number.to_string(), program: Value::from(number) }
    }

    /// Yes or no.
    #[must_use]
    pub fn flag(flag: bool) -> Self {
        let people = if flag { "yes" } else { "no" };
        Self { people: people.to_owned(), program: Value::from(flag) }
    }

    /// An instant, in UTC: whole seconds for people, all digits for programs.
    #[must_use]
    pub fn time(instant: Option<&wire::pb::Instant>) -> Self {
        let moment = instant.and_then(wire::instant).and_then(domain::Timestamp::to_jiff);
        let Some(moment) = moment else { return Self::none() };
        let people = moment.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        Self { people, program: Value::from(moment.to_string()) }
    }

    /// An age in milliseconds; `None`: there is none.
    #[must_use]
    pub fn age(millis: Option<u64>) -> Self {
        let Some(millis) = millis else { return Self::none() };
        Self { people: age(millis), program: Value::from(millis) }
    }

    /// A hash or other bytes, in hexadecimal; people see its beginning.
    #[must_use]
    pub fn bytes(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::none();
        }
        let whole = hex(bytes);
        let people = if whole.len() > 16 { format!("{}…", &whole[..16]) } else { whole.clone() };
        Self { people, program: Value::from(whole) }
    }

    /// JSON text: people see it as it is, programs as the value; malformed text as text.
    #[must_use]
    pub fn json(text: &str) -> Self {
        if text.is_empty() {
            return Self::none();
        }
        let program = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        Self { people: one_line(text), program }
    }

    /// Several texts.
    pub fn list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        let texts: Vec<String> = texts.into_iter().map(|text| text.as_ref().to_owned()).collect();
        let people = if texts.is_empty() { "-".to_owned() } else { one_line(&texts.join(", ")) };
        Self { people, program: Value::from(texts) }
    }
}

/// Where the output goes and in which form.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    /// To standard output, as JSON lines or for people.
    #[must_use]
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether programs read it.
    #[must_use]
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Shows a table; `empty` is what people read where there is no row.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn table(self, rows: &[Row], empty: &str) -> Outcome {
        if self.json {
            return rows.iter().try_for_each(|row| self.line(&json(row)));
        }
        if rows.is_empty() { self.note(empty) } else { self.line(&table(rows)) }
    }

    /// Shows one thing: people read a line for each property.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn one(self, row: &Row) -> Outcome {
        if self.json {
            return self.line(&json(row));
        }
        let width = row.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        row.iter().try_for_each(|(name, cell)| {
            self.line(&format!("{:width$}  {}", name.replace('_', " "), cell.people))
        })
    }

    /// A remark for people, on standard error; programs do not get it.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn note(self, text: &str) -> Outcome {
        if self.json {
            return Ok(());
        }
        write(&mut io::stderr().lock(), text)
    }

    /// One line on standard output.
    ///
    /// # Errors
    /// The output cannot be written; a closed pipe is [`crate::errors::Exit::Quiet`].
    pub fn line(self, text: &str) -> Outcome {
        write(&mut io::stdout().lock(), text)
    }
}

fn write(to: &mut dyn Write, text: &str) -> Outcome {
    match writeln!(to, "{text}").and_then(|()| to.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::quiet()),
        Err(error) => Err(Failure::wrong("write the output", &error)),
    }
}

/// The rows as a table of plain columns; its first row names them.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).force_no_tty();
    table.set_content_arrangement(ContentArrangement::Disabled);
    if let Some(first) = rows.first() {
        table.set_header(first.iter().map(|(name, _)| name.replace('_', " ")));
    }
    for row in rows {
        table.add_row(row.iter().map(|(_, cell)| cell.people.clone()));
    }
    // Two blanks between columns, none before the first.
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    table.trim_fmt()
}

/// One row as a JSON object on one line.
#[must_use]
pub fn json(row: &Row) -> String {
    let pairs = row.iter().map(|(name, cell)| ((*name).to_owned(), cell.program.clone()));
    Value::Object(pairs.collect::<Map<_, _>>()).to_string()
}

/// An age in the largest unit that leaves two digits or more, as people say it.
#[must_use]
pub fn age(millis: u64) -> String {
    let seconds = millis / 1_000;
    match seconds {
        0 => format!("{millis} ms"),
        1..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Bytes in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        vec![
            vec![("log", Cell::text("kz-75")), ("size", Cell::number(7_u64))],
            vec![("log", Cell::text("kz/all\nforged")), ("size", Cell::number(12_345_u64))],
        ]
    }

    #[test]
    fn tables_never_wrap_and_have_no_colours() {
        let long = vec![vec![("text", Cell::text("x".repeat(500))), ("n", Cell::none())]];
        assert_eq!(table(&long).lines().count(), 2);
        let text = table(&rows());
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains("\nforged"), "{text}");
    }

    #[test]
    fn programs_read_one_object_a_line() {
        assert_eq!(json(&rows()[0]), r#"{"log":"kz-75","size":7}"#);
        assert_eq!(json(&vec![("x", Cell::text(""))]), r#"{"x":null}"#);
        assert_eq!(json(&vec![("b", Cell::json("{\"a\":1}"))]), r#"{"b":{"a":1}}"#);
    }

    #[test]
    fn ages_are_as_people_say_them() {
        let said = [(400, "400 ms"), (61_000, "61 s"), (600_000, "10 min"), (9_000_000, "2 h")];
        for (millis, text) in said {
            assert_eq!(age(millis), text);
        }
        assert_eq!(age(500_000_000), "5 days");
    }
}
