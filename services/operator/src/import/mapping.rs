//! The mapping file: how a row of a foreign register becomes commands. `MAPPING.md` of this
//! package is its description for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use domain::{Classifiers, Code, OfficeCode, Zone};
use serde::Deserialize;

use crate::errors::{Failure, Outcome};
use crate::import::fields::{Field, FieldKind, RequestKind};

/// A mapping, checked.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// Its name: the namespace of all ids that it makes.
    pub name: String,
    /// How the file is read.
    pub source: Source,
    /// Which office a row belongs to.
    pub offices: Offices,
    /// Named value maps.
    pub maps: BTreeMap<String, Map>,
    /// What a row makes, in order.
    pub commands: Vec<Command>,
    /// Pairs of times whose order is worth a warning.
    pub orders: Vec<Order>,
    /// Codes that the built-in lists do not have; the node decides about them.
    pub unknown_codes: Vec<String>,
}

/// How the file is read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Columns that together name a case.
    pub case_id: Vec<String>,
    /// Zone of times that carry no offset.
    #[serde(deserialize_with = "zone")]
    pub zone: Zone,
    /// Formats of times (strptime), tried in order; `rfc3339` is one.
    pub times: Vec<String>,
    /// Divides the columns.
    #[serde(default = "comma")]
    pub delimiter: char,
    /// Whether a whole file ends with a line break.
    #[serde(default = "yes")]
    pub final_newline: bool,
}

/// Which office a row belongs to.
#[derive(Clone, Debug)]
pub struct Offices {
    /// The column that names it; `None`: the only office.
    pub column: Option<String>,
    /// Values of the column and the offices they mean.
    pub values: BTreeMap<String, OfficeCode>,
    /// The office of every other value.
    pub default: Option<OfficeCode>,
}

/// A named value map.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// Values of the register and what they become.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// What every other value becomes; without it such a row is rejected.
    pub default: Option<String>,
}

/// One command that a row makes.
#[derive(Clone, Debug)]
pub struct Command {
    /// Name of the stream within the row.
    pub stream: String,
    /// The request.
    pub request: RequestKind,
    /// How many commands before it have the same stream and request.
    pub nth: usize,
    /// When it happened.
    pub occurred_at: Value,
    /// The row makes it only if all of these hold.
    pub when: Vec<Condition>,
    /// Values of the request's fields.
    pub fields: BTreeMap<&'static str, (Field, Value)>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// The same in every row.
    Constant(String),
    /// A column.
    Column {
        /// Its name.
        column: String,
        /// A value map to pass it through.
        map: Option<String>,
        /// What stands for an empty one.
        default: Option<String>,
        /// A day before that of this column is left out, with a warning.
        not_before: Option<String>,
    },
    /// Lines of text with `{column}` in them; a line whose columns are all empty is left out.
    Lines(Vec<Vec<Part>>),
    /// The id of a stream of the same row.
    Stream(String),
}

/// A part of a line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As it stands.
    Literal(String),
    /// A column.
    Column(String),
}

/// A condition on a column.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The column.
    pub column: String,
    /// Whether it must have a value (true) or be empty (false).
    pub present: Option<bool>,
    /// Values that it must have one of.
    pub is: Option<Vec<String>>,
    /// Values that it must have none of.
    pub is_not: Option<Vec<String>>,
}

/// Two times whose order is worth a warning.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The column with the time that should come first.
    pub first: String,
    /// The column with the time that should not lie before it.
    pub then: String,
    /// What to call it where it does.
    pub warning: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    source: Source,
    offices: OfficesFile,
    #[serde(default)]
    maps: BTreeMap<String, Map>,
    #[serde(default, rename = "command")]
    commands: Vec<CommandFile>,
    #[serde(default, rename = "order")]
    orders: Vec<Order>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfficesFile {
    column: Option<String>,
    #[serde(default)]
    values: BTreeMap<String, String>,
    default: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandFile {
    stream: String,
    request: String,
    occurred_at: toml::Value,
    #[serde(default)]
    when: Vec<Condition>,
    #[serde(default)]
    fields: BTreeMap<String, toml::Value>,
}

fn comma() -> char {
    ','
}

fn yes() -> bool {
    true
}

fn zone<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Zone, D::Error> {
    let name = String::deserialize(from)?;
    Zone::new(&name).map_err(|error| serde::de::Error::custom(format!("zone {name:?} {error}")))
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// The file cannot be read or is not a mapping; the message names the place in it.
    pub fn load(path: &Path) -> Outcome<Self> {
        let text = fs::read_to_string(path).map_err(|error| {
            Failure::wrong(format!("read the mapping {}", path.display()), &error)
        })?;
        Self::parse(&text).map_err(|why| {
            Failure::usage(format!(
                "the mapping {} is wrong: {}; MAPPING.md describes the format",
                path.display(),
                crate::errors::one_line(&why)
            ))
        })
    }

    /// Reads a mapping.
    ///
    /// # Errors
    /// What is wrong, and where in it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        if file.name.is_empty() || file.source.case_id.is_empty() || file.source.times.is_empty() {
            return Err("name, source.case_id and source.times must not be empty".to_owned());
        }
        if !file.source.delimiter.is_ascii() {
            return Err("source.delimiter must be one ASCII character".to_owned());
        }
        let mut mapping = Self {
            name: file.name,
            source: file.source,
            offices: offices(file.offices)?,
            maps: file.maps,
            commands: Vec::new(),
            orders: file.orders,
            unknown_codes: Vec::new(),
        };
        if file.commands.is_empty() {
            return Err("it makes no command: add a [[command]]".to_owned());
        }
        for (at, command) in file.commands.into_iter().enumerate() {
            let place = format!("command {} ({} of {})", at + 1, command.request, command.stream);
            let mut command = command.checked().map_err(|why| format!("{place}: {why}"))?;
            let alike = |other: &&Command| {
                (&other.stream, other.request) == (&command.stream, command.request)
            };
            command.nth = mapping.commands.iter().filter(alike).count();
            mapping.commands.push(command);
        }
        mapping.check_streams()?;
        mapping.check_values()?;
        Ok(mapping)
    }

    /// A stream begins with a request that begins one, and has one kind.
    fn check_streams(&self) -> Result<(), String> {
        let mut kinds = BTreeMap::new();
        for (at, command) in self.commands.iter().enumerate() {
            let (stream, request) = (&command.stream, command.request);
            let wrong = |why: &str| Err(format!("command {}: stream {stream:?} {why}", at + 1));
            match kinds.get(stream) {
                None if !request.begins() => {
                    return wrong("is used before a command that begins it");
                }
                Some(_) if request.begins() => return wrong("is begun twice"),
                Some(kind) if *kind != request.stream_kind() => {
                    return wrong("is of another kind than this request");
                }
                _ => kinds.insert(stream.clone(), request.stream_kind()),
            };
        }
        for command in &self.commands {
            for (field, value) in command.fields.values() {
                if let Value::Stream(stream) = value
                    && !kinds.contains_key(stream)
                {
                    return Err(format!("{}: there is no stream {stream:?}", field.name));
                }
            }
        }
        Ok(())
    }

    /// Named maps exist; values of coded fields are codes.
    fn check_values(&mut self) -> Result<(), String> {
        let lists = Classifiers::built_in().map_err(|error| error.to_string())?;
        let mut unknown = BTreeSet::new();
        for command in &self.commands {
            let values = command.fields.values().map(|(field, value)| (Some(*field), value));
            for (field, value) in values.chain([(None, &command.occurred_at)]) {
                let name = field.map_or("occurred_at", |field| field.name);
                let place = format!("{}.{name}", command.request.name());
                let results = self.results(value).map_err(|why| format!("{place}: {why}"))?;
                let Some(FieldKind::Code(list)) = field.map(|field| field.kind) else { continue };
                // An empty text is no value, whatever the field.
                for result in results.into_iter().filter(|result| !result.is_empty()) {
                    let code = Code::new(&result)
                        .map_err(|error| format!("{place}: {result:?} {error}"))?;
                    if !lists.contains(list, code.as_str()) {
                        unknown.insert(format!("{place}: {code} is not in the built-in {list}"));
                    }
                }
            }
        }
        self.unknown_codes = unknown.into_iter().collect();
        Ok(())
    }

    /// Every value that the mapping itself can give.
    fn results(&self, value: &Value) -> Result<Vec<String>, String> {
        match value {
            Value::Constant(constant) => Ok(vec![constant.clone()]),
            Value::Column { map, default, .. } => {
                let mut all: Vec<String> = default.iter().cloned().collect();
                if let Some(name) = map {
                    let map = self.maps.get(name);
                    let map = map.ok_or_else(|| format!("there is no [maps.{name}]"))?;
                    all.extend(map.values.values().chain(&map.default).cloned());
                }
                Ok(all)
            }
            Value::Lines(_) | Value::Stream(_) => Ok(Vec::new()),
        }
    }

    /// Every column that the mapping names, each once.
    #[must_use]
    pub fn columns(&self) -> BTreeSet<&str> {
        let mut columns: BTreeSet<&str> = self.source.case_id.iter().map(String::as_str).collect();
        columns.extend(self.offices.column.as_deref());
        for order in &self.orders {
            columns.extend([order.first.as_str(), order.then.as_str()]);
        }
        for command in &self.commands {
            columns.extend(command.when.iter().map(|condition| condition.column.as_str()));
            columns.extend(command.occurred_at.columns());
            columns.extend(command.fields.values().flat_map(|(_, value)| value.columns()));
        }
        columns
    }

    /// Every office that rows may go to.
    #[must_use]
    pub fn office_codes(&self) -> BTreeSet<OfficeCode> {
        self.offices.values.values().chain(&self.offices.default).cloned().collect()
    }
}

impl Value {
    /// The columns it reads.
    #[must_use]
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Self::Constant(_) | Self::Stream(_) => Vec::new(),
            Self::Column { column, not_before, .. } => {
                std::iter::once(column.as_str()).chain(not_before.as_deref()).collect()
            }
            Self::Lines(lines) => {
                let parts = lines.iter().flatten();
                parts
                    .filter_map(|part| match part {
                        Part::Column(column) => Some(column.as_str()),
                        Part::Literal(_) => None,
                    })
                    .collect()
            }
        }
    }
}

fn offices(file: OfficesFile) -> Result<Offices, String> {
    let office = |text: &String| {
        text.parse::<OfficeCode>().map_err(|error| format!("offices: {text:?} {error}"))
    };
    let mut values = BTreeMap::new();
    for (value, code) in &file.values {
        values.insert(value.clone(), office(code)?);
    }
    let default = file.default.as_ref().map(office).transpose()?;
    match (&file.column, values.is_empty(), &default) {
        (None, false, _) => Err("offices.values needs offices.column".to_owned()),
        (None, true, None) => Err("offices needs a column with values, or a default".to_owned()),
        (Some(_), true, None) => Err("offices.column needs offices.values".to_owned()),
        _ => Ok(Offices { column: file.column, values, default }),
    }
}

impl CommandFile {
    fn checked(self) -> Result<Command, String> {
        let request = RequestKind::from_name(&self.request).ok_or_else(|| {
            let names: Vec<_> = RequestKind::ALL.iter().map(|kind| kind.name()).collect();
            format!("no such request can be imported; use one of: {}", names.join(", "))
        })?;
        for condition in &self.when {
            if condition.present.is_none() && condition.is.is_none() && condition.is_not.is_none() {
                let column = &condition.column;
                return Err(format!("when on {column:?} needs present, is or is_not"));
            }
        }
        let mut fields = BTreeMap::new();
        for (name, given) in &self.fields {
            let field = request.field(name).ok_or_else(|| {
                let names: Vec<_> = request.fields().iter().map(|field| field.name).collect();
                format!("has no field {name:?}; it has: {}", names.join(", "))
            })?;
            let value = value(given).map_err(|why| format!("{name}: {why}"))?;
            field.kind.accepts(&value).map_err(|why| format!("{name}: {why}"))?;
            fields.insert(field.name, (field, value));
        }
        let missing =
            request.fields().iter().filter(|f| f.required && !fields.contains_key(f.name));
        let missing: Vec<_> = missing.map(|field| field.name).collect();
        if !missing.is_empty() {
            return Err(format!("needs the field(s) {}", missing.join(", ")));
        }
        let occurred_at = value(&self.occurred_at).map_err(|why| format!("occurred_at: {why}"))?;
        FieldKind::Instant.accepts(&occurred_at).map_err(|why| format!("occurred_at: {why}"))?;
        Ok(Command { stream: self.stream, request, nth: 0, occurred_at, when: self.when, fields })
    }
}

/// A value as the file writes it: a constant, or a table that says where it comes from.
fn value(given: &toml::Value) -> Result<Value, String> {
    let table = match given {
        toml::Value::String(text) => return Ok(Value::Constant(text.clone())),
        toml::Value::Integer(number) => return Ok(Value::Constant(number.to_string())),
        toml::Value::Boolean(flag) => return Ok(Value::Constant(flag.to_string())),
        toml::Value::Table(table) => table,
        _ => return Err("must be a text, a number, true or false, or a table".to_owned()),
    };
    let known = ["column", "map", "default", "not_before", "text", "stream"];
    if let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("unknown key {key:?}; known are: {}", known.join(", ")));
    }
    let text = |key: &str| match table.get(key) {
        None => Ok(None),
        Some(toml::Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("{key} must be a text")),
    };
    let alone = |value| match table.len() {
        1 => Ok(value),
        _ => Err("text and stream stand alone".to_owned()),
    };
    if let Some(lines) = table.get("text") {
        return alone(Value::Lines(text_lines(lines)?));
    }
    if let Some(stream) = text("stream")? {
        return alone(Value::Stream(stream));
    }
    let column = text("column")?.ok_or("needs column, text or stream")?;
    Ok(Value::Column {
        column,
        map: text("map")?,
        default: text("default")?,
        not_before: text("not_before")?,
    })
}

fn text_lines(given: &toml::Value) -> Result<Vec<Vec<Part>>, String> {
    let wrong = || "text must be a line, or a list of lines".to_owned();
    match given {
        toml::Value::String(line) => Ok(vec![parts(line)?]),
        toml::Value::Array(lines) => {
            lines.iter().map(|line| parts(line.as_str().ok_or_else(wrong)?)).collect()
        }
        _ => Err(wrong()),
    }
}

/// A line with `{column}` in it; `{{` stands for a brace.
fn parts(line: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('{') {
        literal.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('{') {
            literal.push('{');
            rest = after;
            continue;
        }
        let end = rest.find('}').ok_or_else(|| format!("the line {line:?} lacks a }}"))?;
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal)));
        }
        parts.push(Part::Column(rest[..end].to_owned()));
        rest = &rest[end + 1..];
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

#[cfg(test)]
pub(crate) mod tests;
