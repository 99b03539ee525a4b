//! Shape checks shared by the requests of all slices. Messages never repeat a value.

use std::borrow::Cow;
use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::decide::Context;
use crate::limits;
use crate::refusal::{Refusal, RefusalCode};
use crate::text::Text;
use crate::time::Timestamp;

type Field = Cow<'static, str>;

/// An optional text of at most `max` characters; given, it must not be blank.
pub(crate) fn chars(
    field: impl Into<Field>,
    text: Option<&Text>,
    max: usize,
) -> Result<(), Refusal> {
    let Some(text) = text else { return Ok(()) };
    let field = field.into();
    if text.is_blank() {
        return Err(blank(field));
    }
    if text.expose().chars().count() > max {
        let message = format!("is longer than {max} characters; shorten it");
        return Err(Refusal::field(RefusalCode::TooLong, field, message));
    }
    printable(field, text.expose())
}

/// An optional free text within [`limits::TEXT_BYTES`]; given, it must not be blank.
pub(crate) fn free_text(field: impl Into<Field>, text: Option<&Text>) -> Result<(), Refusal> {
    let Some(text) = text else { return Ok(()) };
    let field = field.into();
    if text.is_blank() {
        return Err(blank(field));
    }
    if text.expose().len() > limits::TEXT_BYTES {
        let message = format!(
            "is longer than {} KiB; attach it as a document instead",
            limits::TEXT_BYTES / 1024
        );
        return Err(Refusal::field(RefusalCode::TooLong, field, message));
    }
    printable(field, text.expose())
}

/// A needed open label or name of at most `max` characters, on one line.
pub(crate) fn label(field: impl Into<Field>, text: &str, max: usize) -> Result<(), Refusal> {
    let field = field.into();
    if text.trim().is_empty() {
        return Err(Refusal::field(RefusalCode::Required, field, "is needed"));
    }
    if text.chars().count() > max {
        let message = format!("is longer than {max} characters; shorten it");
        return Err(Refusal::field(RefusalCode::TooLong, field, message));
    }
    if text.chars().any(char::is_control) {
        let message = "must be one line without control characters";
        return Err(Refusal::field(RefusalCode::Malformed, field, message));
    }
    Ok(())
}

fn blank(field: Field) -> Refusal {
    Refusal::field(RefusalCode::Required, field, "is blank; fill it in or leave it out")
}

/// No control characters but the line breaks and tabs people type.
fn printable(field: Field, text: &str) -> Result<(), Refusal> {
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        let message = "contains control characters; remove them";
        return Err(Refusal::field(RefusalCode::Malformed, field, message));
    }
    Ok(())
}

/// A number within limits, both included.
pub(crate) fn count(
    field: impl Into<Field>,
    value: u32,
    min: u32,
    max: u32,
) -> Result<(), Refusal> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    let message = format!("must be {min} to {max}");
    Err(Refusal::field(RefusalCode::OutOfRange, field, message))
}

/// A list of `min` to `max` different members.
pub(crate) fn distinct<T: Ord>(
    field: &'static str,
    members: &[T],
    min: usize,
    max: usize,
) -> Result<(), Refusal> {
    if !(min..=max).contains(&members.len()) {
        let message = format!("must have {min} to {max} members");
        let code = if members.is_empty() { RefusalCode::Required } else { RefusalCode::OutOfRange };
        return Err(Refusal::field(code, field, message));
    }
    let mut seen = BTreeSet::new();
    match members.iter().position(|member| !seen.insert(member)) {
        None => Ok(()),
        Some(at) => {
            let message = "stands twice in the list; name it once";
            Err(Refusal::field(RefusalCode::Repeated, format!("{field}[{at}]"), message))
        }
    }
}

/// An instant between 1990 and a little after the writer's clock.
pub(crate) fn happened(
    field: impl Into<Field>,
    at: Timestamp,
    ctx: &Context<'_>,
) -> Result<(), Refusal> {
    if at.micros() < limits::EARLIEST_MICROS {
        let message = "lies before 1990; check the date";
        return Err(Refusal::field(RefusalCode::OutOfRange, field, message));
    }
    if at > ctx.now.plus_micros(limits::AHEAD_MICROS) {
        let message = "lies in the future; check the date, or the clock of this machine";
        return Err(Refusal::field(RefusalCode::OutOfRange, field, message));
    }
    Ok(())
}

/// The date of an instant in the office's zone.
pub(crate) fn date_of(
    field: impl Into<Field>,
    at: Timestamp,
    ctx: &Context<'_>,
) -> Result<Date, Refusal> {
    ctx.zone
        .date_of(at)
        .ok_or_else(|| Refusal::field(RefusalCode::OutOfRange, field, "lies outside the calendar"))
}

/// A planned day: not before the day of the request, not after [`limits::LATEST_YEAR`].
pub(crate) fn ahead(field: &'static str, day: Date, ctx: &Context<'_>) -> Result<(), Refusal> {
    let today = date_of("occurred_at", ctx.occurred_at, ctx)?;
    if day < today {
        let message = "lies before the day of this record; name that day or a later one";
        return Err(Refusal::field(RefusalCode::OutOfRange, field, message));
    }
    if day.year() > limits::LATEST_YEAR {
        let message = format!("lies after the year {}", limits::LATEST_YEAR);
        return Err(Refusal::field(RefusalCode::OutOfRange, field, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        assert!(chars("name", None, 3).is_ok());
        assert!(chars("name", Some(&"ұзы".into()), 3).is_ok());
        let code = |result: Result<(), Refusal>| result.unwrap_err().code;
        assert_eq!(code(chars("name", Some(&"ұзын".into()), 3)), RefusalCode::TooLong);
        assert_eq!(code(chars("name", Some(&" ".into()), 3)), RefusalCode::Required);
        assert_eq!(code(free_text("text", Some(&"a\0b".into()))), RefusalCode::Malformed);
        let longest = "a".repeat(limits::TEXT_BYTES);
        assert!(free_text("text", Some(&longest.as_str().into())).is_ok());
        let longer = longest + "a";
        assert_eq!(code(free_text("text", Some(&longer.into()))), RefusalCode::TooLong);
        assert_eq!(code(label("en", "", 10)), RefusalCode::Required);
        assert_eq!(code(label("en", "a\nb", 10)), RefusalCode::Malformed);
    }

    #[test]
    fn lists() {
        assert!(distinct("events", &[1, 2], 1, 2).is_ok());
        let refusal = distinct("events", &[1, 2, 1], 1, 3).unwrap_err();
        assert_eq!(refusal.field.as_deref(), Some("events[2]"));
        assert_eq!(distinct::<u8>("events", &[], 1, 3).unwrap_err().code, RefusalCode::Required);
        assert_eq!(distinct("events", &[1, 2], 0, 1).unwrap_err().code, RefusalCode::OutOfRange);
    }
}
