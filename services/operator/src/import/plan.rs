//! From a row to the commands that it makes, checked with the rules that the node will apply.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::ids::PersonId;
use domain::permission::Actor;
use domain::{Classifiers, Code, Context, Fact, OfficeCode, Post, RegistrationNumber, Request};
use domain::{RefusalCode, Role, Text, Timestamp, Zone};
use jiff::civil::Date;
use uuid::Uuid;

use crate::errors::{Failure, Outcome};
use crate::import::fields::{Field, FieldKind, Filled, Values, flag};
use crate::import::mapping::{Command, Condition, Mapping, Part, Value};
use crate::import::moment::{Clock, Moment, Times};
use crate::import::source::Line;

/// Namespace of the namespaces of mappings; fixed for ever: the ids of what was imported follow
/// from it.
const IMPORTS: Uuid = Uuid::from_u128(0x6a1e_0b8c_3f57_4d02_9c44_7be1_58d3_2f90);

/// A command that a row makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Its id, the same in every run.
    pub command: Uuid,
    /// Its stream.
    pub stream: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// What is to be recorded.
    pub request: Request,
}

/// What a row makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Number of the row.
    pub row: u64,
    /// Line in the file.
    pub line: u64,
    /// The office that it belongs to.
    pub office: OfficeCode,
    /// The commands of each stream, in their order; streams do not wait for each other.
    pub lanes: Vec<Vec<Planned>>,
    /// What is odd about it.
    pub warnings: Vec<String>,
}

/// Why a row is not imported. Holds no value of the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Number of the row.
    pub row: u64,
    /// Line in the file.
    pub line: u64,
    /// The column at fault; empty for the row as a whole.
    pub column: String,
    /// A stable code.
    pub code: String,
    /// What is wrong.
    pub reason: String,
}

/// Turns rows into commands. Two planners with the same input make the same plans.
pub struct Planner<'a> {
    mapping: &'a Mapping,
    columns: HashMap<&'a str, usize>,
    times: Times,
    namespace: Uuid,
    seen: HashMap<Uuid, u64>,
    check: Check,
}

/// What is needed to try a request before it is sent.
struct Check {
    lists: Classifiers,
    now: Timestamp,
    zone: Zone,
    number: Option<RegistrationNumber>,
}

/// What is at fault in a row, before it has its number.
struct Fault {
    column: String,
    code: String,
    reason: String,
}

fn fault(column: &str, code: &str, reason: impl Into<String>) -> Fault {
    Fault { column: column.to_owned(), code: code.to_owned(), reason: reason.into() }
}

/// A row with its columns.
struct Cells<'r> {
    texts: &'r [String],
    columns: &'r HashMap<&'r str, usize>,
}

impl Cells<'_> {
    /// The column's text without blanks around it.
    fn get(&self, column: &str) -> &str {
        let text = self.columns.get(column).and_then(|at| self.texts.get(*at));
        text.map_or("", |text| text.trim())
    }
}

impl<'a> Planner<'a> {
    /// A planner for a file with this header. `now` decides what lies in the future.
    ///
    /// # Errors
    /// The mapping names a column that the file does not have.
    pub fn new(mapping: &'a Mapping, header: &[String], now: Timestamp) -> Outcome<Self> {
        let mut columns = HashMap::new();
        for column in mapping.columns() {
            let at = header.iter().position(|name| name == column).ok_or_else(|| {
                Failure::usage(format!(
                    "the input has no column {column:?}, which the mapping {} needs; it has: {}",
                    mapping.name,
                    header.join(", ")
                ))
            })?;
            columns.insert(column, at);
        }
        let lists = Classifiers::built_in()
            .map_err(|error| Failure::wrong("read the built-in classifiers", &error))?;
        let zone = mapping.source.zone.clone();
        Ok(Self {
            mapping,
            columns,
            times: Times::new(&mapping.source.times, &zone)?,
            namespace: Uuid::new_v5(&IMPORTS, mapping.name.as_bytes()),
            seen: HashMap::new(),
            check: Check { lists, now, zone, number: None },
        })
    }

    /// What a row makes.
    ///
    /// # Errors
    /// Why it is not imported.
    pub fn plan(&mut self, line: &Line) -> Result<Row, Reject> {
        self.planned(line).map_err(|fault| Reject {
            row: line.row,
            line: line.line,
            column: fault.column,
            code: fault.code,
            reason: fault.reason,
        })
    }

    fn planned(&mut self, line: &Line) -> Result<Row, Fault> {
        let texts =
            line.columns.as_ref().map_err(|why| fault("", "MALFORMED_ROW", why.as_str()))?;
        let cells = Cells { texts, columns: &self.columns };
        let case = self.case(&cells)?;
        if let Some(first) = self.seen.get(&case) {
            let reason = format!("the case stands already in row {first}; one row a case");
            return Err(fault(&self.mapping.source.case_id.join("+"), "DUPLICATE_CASE", reason));
        }
        let office = self.office(&cells)?;
        let mut warnings = self.order_warnings(&cells);
        let mut lanes: Vec<(&str, Vec<Planned>)> = Vec::new();
        for command in &self.mapping.commands {
            if !command.when.iter().all(|condition| holds(condition, &cells)) {
                continue;
            }
            let planned = self.command(command, case, &cells, &mut warnings)?;
            match lanes.iter_mut().find(|(stream, _)| *stream == command.stream) {
                Some((_, lane)) => lane.push(planned),
                None => lanes.push((&command.stream, vec![planned])),
            }
        }
        for (stream, lane) in &lanes {
            self.check.lane(&office, lane).map_err(|refused| self.blame(stream, refused))?;
        }
        self.seen.insert(case, line.row);
        let lanes = lanes.into_iter().map(|(_, lane)| lane).collect();
        Ok(Row { row: line.row, line: line.line, office, lanes, warnings })
    }

    fn case(&self, cells: &Cells<'_>) -> Result<Uuid, Fault> {
        let mut name = String::from("case");
        for column in &self.mapping.source.case_id {
            let text = cells.get(column);
            if text.is_empty() {
                return Err(fault(column, "EMPTY", "is empty, but it names the case"));
            }
            // The length keeps ("a", "bc") apart from ("ab", "c").
            name = format!("{name}\n{}:{text}", text.len());
        }
        Ok(Uuid::new_v5(&self.namespace, name.as_bytes()))
    }

    fn office(&self, cells: &Cells<'_>) -> Result<OfficeCode, Fault> {
        let offices = &self.mapping.offices;
        let column = offices.column.as_deref().unwrap_or_default();
        let found = offices.values.get(cells.get(column)).or(offices.default.as_ref());
        found.cloned().ok_or_else(|| {
            fault(column, "UNKNOWN_OFFICE", "names an office that the mapping does not have")
        })
    }

    /// The order of times of which the mapping says that it matters.
    fn order_warnings(&self, cells: &Cells<'_>) -> Vec<String> {
        let read = |column: &str| self.times.read(cells.get(column)).map(|moment| moment.at);
        let orders = self.mapping.orders.iter();
        let wrong = orders.filter(|order| {
            let (first, then) = (read(&order.first), read(&order.then));
            matches!((first, then), (Some(first), Some(then)) if then < first)
        });
        wrong.map(|order| order.warning.clone()).collect()
    }

    fn command(
        &self,
        command: &Command,
        case: Uuid,
        cells: &Cells<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Planned, Fault> {
        let Value::Column { column, .. } = &command.occurred_at else {
            return Err(fault("", "MAPPING", "occurred_at must be a column"));
        };
        let text = cells.get(column);
        if text.is_empty() {
            return Err(fault(column, "EMPTY", "is empty, but it says when it happened"));
        }
        let occurred_at = self.moment(column, text, warnings)?.at;
        let mut values = Values::default();
        for (field, value) in command.fields.values() {
            match self.value(*field, value, case, cells, warnings)? {
                Some(filled) => values.set(field.name, filled),
                None if field.required => {
                    let column = value.columns().first().copied().unwrap_or_default();
                    return Err(fault(
                        column,
                        "EMPTY",
                        format!("is empty, but {} needs it", field.name),
                    ));
                }
                None => {}
            }
        }
        let request = values.build(command.request).ok_or_else(|| {
            fault("", "MAPPING", format!("{} lacks a needed field", command.request.name()))
        })?;
        Ok(Planned {
            command: command_id(case, command),
            stream: stream_id(case, &command.stream),
            at: occurred_at,
            request,
        })
    }

    fn moment(
        &self,
        column: &str,
        text: &str,
        warnings: &mut Vec<String>,
    ) -> Result<Moment, Fault> {
        let moment = self.times.read(text).ok_or_else(|| {
            let formats = self.mapping.source.times.join(" or ");
            fault(column, "BAD_TIME", format!("is no time of the form {formats}"))
        })?;
        let odd = match moment.clock {
            Clock::Once => None,
            Clock::Skipped => Some("a time that the clock skipped"),
            Clock::Repeated => Some("a time that the clock showed twice"),
        };
        if let Some(odd) = odd {
            let warning = format!("{column}: {odd}");
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        Ok(moment)
    }

    /// The value of one field; `None`: there is none.
    fn value(
        &self,
        field: Field,
        value: &Value,
        case: Uuid,
        cells: &Cells<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Filled>, Fault> {
        let (column, text) = match value {
            Value::Stream(stream) => return Ok(Some(Filled::Stream(stream_id(case, stream)))),
            Value::Lines(lines) => {
                let text = joined(lines, cells);
                return Ok((!text.is_empty()).then(|| Filled::Text(Text::from(text))));
            }
            Value::Constant(constant) => ("", constant.as_str()),
            Value::Column { column, map, default, .. } => {
                (column.as_str(), self.mapped(column, map.as_deref(), default.as_deref(), cells)?)
            }
        };
        if text.is_empty() {
            return Ok(None);
        }
        let bad = |code, reason: &str| Err(fault(column, code, reason));
        Ok(Some(match field.kind {
            FieldKind::Code(_) => match Code::new(text) {
                Ok(code) => Filled::Code(code),
                Err(error) => return bad("NOT_A_CODE", &error.to_string()),
            },
            FieldKind::Flag => match flag(text) {
                Some(flag) => Filled::Flag(flag),
                None => return bad("NOT_A_FLAG", "is neither true nor false"),
            },
            FieldKind::Count => match text.parse() {
                Ok(count) => Filled::Count(count),
                Err(_) => return bad("NOT_A_NUMBER", "is no whole number from 0"),
            },
            FieldKind::Instant => Filled::Instant(self.moment(column, text, warnings)?.at),
            FieldKind::Day => {
                let day = self.moment(column, text, warnings)?.day;
                match self.too_early(value, day, cells) {
                    Some(warning) => {
                        warnings.push(warning);
                        return Ok(None);
                    }
                    None => Filled::Day(day),
                }
            }
            FieldKind::Text => Filled::Text(Text::from(text)),
            FieldKind::Stream => return bad("MAPPING", "names no stream"),
        }))
    }

    /// The column's text, through the map if there is one.
    fn mapped<'v>(
        &'v self,
        column: &str,
        map: Option<&str>,
        default: Option<&'v str>,
        cells: &'v Cells<'_>,
    ) -> Result<&'v str, Fault> {
        let text = cells.get(column);
        let mapped = match map.and_then(|name| self.mapping.maps.get(name)) {
            None => text,
            Some(map) => match map.values.get(text).or(map.default.as_ref()) {
                Some(mapped) => mapped,
                None if text.is_empty() => "",
                None => {
                    let name = map_name(map, &self.mapping.maps);
                    let reason = format!("has a value that [maps.{name}] does not list");
                    return Err(fault(column, "UNMAPPED", reason));
                }
            },
        };
        Ok(if mapped.is_empty() { default.unwrap_or("") } else { mapped })
    }

    /// The warning for a day that the mapping leaves out because it is too early.
    fn too_early(&self, value: &Value, day: Date, cells: &Cells<'_>) -> Option<String> {
        let Value::Column { column, not_before: Some(limit), .. } = value else { return None };
        let limit_day = self.times.read(cells.get(limit))?.day;
        (day < limit_day).then(|| format!("{column}: left out, its day lies before {limit}"))
    }

    /// A refusal of the rules, with the column that the refused field came from.
    fn blame(&self, stream: &str, refused: Refused) -> Fault {
        let commands = self.mapping.commands.iter();
        let mut commands = commands.filter(|command| command.stream == stream);
        let command = commands.find(|command| command.request.name() == refused.request);
        let value = command.and_then(|command| match refused.field.as_str() {
            "occurred_at" => Some(&command.occurred_at),
            field => command.fields.get(field).map(|(_, value)| value),
        });
        let column = value.and_then(|value| value.columns().first().copied()).unwrap_or_default();
        let reason = format!("{}.{}: {}", refused.request, refused.field, refused.message);
        fault(column, &refused.code, reason)
    }
}

/// A refusal of the rules.
struct Refused {
    request: &'static str,
    field: String,
    code: String,
    message: String,
}

impl Check {
    /// Tries the commands of one stream as the node will. What only the node can decide (codes that
    /// a newer list may have) is left to it.
    fn lane(&mut self, office: &OfficeCode, lane: &[Planned]) -> Result<(), Refused> {
        // Any number will do: the node gives its own.
        if self.number.as_ref().is_none_or(|number| number.office() != office) {
            self.number = RegistrationNumber::from_parts(office.clone(), 2000, 1, 0).ok();
        }
        let actor = Actor {
            person: PersonId::new(IMPORTS),
            post: Post::from_static("import"),
            role: Role::National,
            office: office.clone(),
        };
        let mut history: Vec<Fact> = Vec::new();
        for planned in lane {
            let context = Context {
                office,
                stream: planned.stream,
                now: self.now,
                occurred_at: planned.at,
                zone: &self.zone,
                actor: &actor,
                classifiers: &self.lists,
                number: self.number.as_ref(),
                offices: &[],
                report: None,
                epoch: None,
            };
            match domain::decide(&history, &planned.request, &context) {
                Ok(decision) => history.extend_from_slice(decision.own()),
                Err(refusal) if refusal.code == RefusalCode::UnknownCode => return Ok(()),
                Err(refusal) => {
                    return Err(Refused {
                        request: planned.request.name(),
                        field: refusal.field.as_deref().unwrap_or("request").to_owned(),
                        code: refusal.code.as_str().to_ascii_uppercase(),
                        message: refusal.message.into_owned(),
                    });
                }
            }
        }
        Ok(())
    }
}

fn stream_id(case: Uuid, stream: &str) -> Uuid {
    Uuid::new_v5(&case, format!("stream\n{stream}").as_bytes())
}

/// The id of a command: by stream, request and, where a mapping has several alike, their number, so
/// that a command added to a mapping leaves the ids of all others as they are.
fn command_id(case: Uuid, command: &Command) -> Uuid {
    let name = command.request.name();
    Uuid::new_v5(&case, format!("command\n{}\n{name}\n{}", command.stream, command.nth).as_bytes())
}

fn map_name<'m>(
    map: &crate::import::mapping::Map,
    maps: &'m BTreeMap<String, crate::import::mapping::Map>,
) -> &'m str {
    let mut names = maps.iter().filter(|(_, other)| std::ptr::eq(*other, map));
    names.next().map_or("", |(name, _)| name)
}

fn holds(condition: &Condition, cells: &Cells<'_>) -> bool {
    let text = cells.get(&condition.column);
    let listed = |list: &Vec<String>| list.iter().any(|value| value == text);
    condition.present.is_none_or(|present| present != text.is_empty())
        && condition.is.as_ref().is_none_or(listed)
        && !condition.is_not.as_ref().is_some_and(listed)
}

/// Lines of text; one whose columns are all empty is left out.
fn joined(lines: &[Vec<Part>], cells: &Cells<'_>) -> String {
    let mut text = Vec::new();
    for line in lines {
        let mut written = String::new();
        let (mut columns, mut filled) = (0, 0);
        for part in line {
            match part {
                Part::Literal(literal) => written.push_str(literal),
                Part::Column(column) => {
                    let value = cells.get(column);
                    columns += 1;
                    filled += usize::from(!value.is_empty());
                    written.push_str(value);
                }
            }
        }
        if columns == 0 || filled > 0 {
            text.push(written);
        }
    }
    text.join("\n")
}

/// Counts of warnings by text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warnings(pub BTreeMap<String, u64>);

impl Warnings {
    /// Counts those of a row, each text once.
    pub fn add(&mut self, warnings: &[String]) {
        let once: HashSet<&String> = warnings.iter().collect();
        for warning in once {
            *self.0.entry(warning.clone()).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests;
