//! Texts and times from the command line.

use std::fs;
use std::io::{self, Read};

use domain::{Code, OfficeCode, Post, Text, Timestamp, Zone};
use jiff::civil::Date;
use uuid::Uuid;

use crate::errors::{Failure, Outcome};

/// Largest text read from a file or standard input: what the domain accepts, and room to say
/// that it is too long.
const MOST_TEXT: u64 = domain::limits::TEXT_BYTES as u64 + 1024;

/// A text given as `@file`, `-` (standard input) or itself. Personal data and free text are better
/// given in the first two ways: what stands on the command line stays in the shell's history.
///
/// # Errors
/// The file cannot be read, is longer than a record may hold, or is not UTF-8.
pub fn text(given: Option<&str>) -> Outcome<Option<Text>> {
    let Some(given) = given else { return Ok(None) };
    let mut read = String::new();
    match given.strip_prefix('@') {
        Some(path) => {
            let file = fs::File::open(path)
                .map_err(|error| Failure::wrong(format!("open the text file {path}"), &error))?;
            file.take(MOST_TEXT)
                .read_to_string(&mut read)
                .map_err(|error| Failure::wrong(format!("read the text file {path}"), &error))?;
        }
        None if given == "-" => {
            io::stdin()
                .take(MOST_TEXT)
                .read_to_string(&mut read)
                .map_err(|error| Failure::wrong("read the text from standard input", &error))?;
        }
        None => read = given.to_owned(),
    }
    // Editors end a file with a line break that nobody meant.
    Ok(Some(Text::from(read.trim_end_matches(['\n', '\r']))))
}

/// An instant as RFC 3339 (`2026-11-25T10:00:00+05:00`), or a local time in `zone`
/// (`2026-11-25 10:00`, `2026-11-25`).
///
/// # Errors
/// The text has another form, or names a time that the zone's clock skipped or had twice.
pub fn moment(given: &str, zone: &Zone) -> Outcome<Timestamp> {
    if let Ok(instant) = given.parse::<jiff::Timestamp>() {
        return Ok(instant.into());
    }
    let wrong = || {
        Failure::usage(format!(
            "{given:?} is no time; write 2026-11-25T10:00:00+05:00, 2026-11-25 10:00 or 2026-11-25"
        ))
    };
    let local: jiff::civil::DateTime = given.parse().map_err(|_| wrong())?;
    let rules = jiff::tz::TimeZoneDatabase::bundled().get(zone.name()).map_err(|_| wrong())?;
    let instant = rules.to_ambiguous_timestamp(local).unambiguous().map_err(|_| {
        Failure::usage(format!(
            "the clock of {zone} had {given} never or twice; add the offset, as in \
             2026-11-25T10:00:00+05:00"
        ))
    })?;
    Ok(instant.into())
}

/// The present moment of this machine.
#[must_use]
pub fn now() -> Timestamp {
    jiff::Timestamp::now().into()
}

/// A code of a classifier; for clap.
///
/// # Errors
/// The text cannot be a code.
pub fn code(text: &str) -> Result<Code, String> {
    text.parse().map_err(|error: domain::code::NameError| error.to_string())
}

/// The code of an office, in capitals or not; for clap.
///
/// # Errors
/// The text cannot be a code of an office.
pub fn office(text: &str) -> Result<OfficeCode, String> {
    text.to_ascii_uppercase().parse().map_err(|e: domain::office::OfficeCodeError| e.to_string())
}

/// A post such as `kz-75/chief`; for clap.
///
/// # Errors
/// The text cannot be a post.
pub fn post(text: &str) -> Result<Post, String> {
    text.parse().map_err(|error: domain::code::NameError| error.to_string())
}

/// A day, `2026-11-25`; for clap.
///
/// # Errors
/// The text is no day.
pub fn day(text: &str) -> Result<Date, String> {
    text.parse().map_err(|_| "is no date; write it like 2026-11-25".to_owned())
}

/// A UUID; for clap.
///
/// # Errors
/// The text is no UUID.
pub fn id(text: &str) -> Result<Uuid, String> {
    let wrong = "is no UUID; write it like 0190163d-8694-739b-aea5-966c26f8ad91";
    text.parse().map_err(|_| wrong.to_owned())
}

/// A zone of the IANA database; for clap.
///
/// # Errors
/// There is no such zone.
pub fn zone(text: &str) -> Result<Zone, String> {
    Zone::new(text).map_err(|error| error.to_string())
}

/// A code with a number, `judges=12`; for clap.
///
/// # Errors
/// The text has another form.
pub fn code_and_number<N: std::str::FromStr>(text: &str) -> Result<(Code, N), String> {
    let wrong = || "is no code with a number; write it like judges=12".to_owned();
    let (name, number) = text.split_once('=').ok_or_else(wrong)?;
    Ok((code(name)?, number.parse().map_err(|_| wrong())?))
}

/// A span of time, `90s`, `10m`, `2h` or a bare number of seconds; for clap.
///
/// # Errors
/// The text has another form, or is longer than a year.
pub fn span(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || "is no span of time; write it like 90s, 10m or 2h".to_owned();
    let (number, unit) = match text.char_indices().next_back() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3_600),
        _ => (text, 1),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = number.checked_mul(unit).filter(|s| *s <= 366 * 86_400).ok_or_else(wrong)?;
    Ok(std::time::Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_from_files_without_their_last_line_break() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        fs::write(&path, "бірінші\nекінші\n").unwrap();
        let read = text(Some(&format!("@{}", path.display()))).unwrap().unwrap();
        assert_eq!(read.expose(), "бірінші\nекінші");
        assert_eq!(text(Some("plain")).unwrap().unwrap().expose(), "plain");
        assert_eq!(text(None).unwrap(), None);
        let missing = text(Some("@no/such/file")).unwrap_err();
        assert!(missing.text.contains("no/such/file"), "{missing}");
    }

    #[test]
    fn times_with_and_without_offset() {
        let zone = Zone::new("America/New_York").unwrap();
        let at = |text| moment(text, &zone).map(Timestamp::micros);
        assert_eq!(at("2011-07-01T05:32:33Z"), at("2011-07-01 01:32:33"));
        assert_eq!(at("2011-07-01"), at("2011-07-01T00:00:00-04:00"));
        // Skipped and repeated hours are not guessed here: a person can add the offset.
        assert!(at("2012-03-11 02:30").unwrap_err().text.contains("never or twice"));
        assert!(at("2011-11-06 01:30").is_err());
        assert!(at("yesterday").unwrap_err().text.contains("2026-11-25"));
    }

    #[test]
    fn words_of_the_command_line() {
        assert_eq!(office("kz-75").unwrap().as_str(), "KZ-75");
        assert_eq!(code_and_number::<u32>("judges=12").unwrap().1, 12);
        assert!(code_and_number::<u32>("judges").is_err() && code("Not a code").is_err());
        assert_eq!(span("10m").unwrap().as_secs(), 600);
        assert_eq!(span("45").unwrap().as_secs(), 45);
        assert!(span("m").is_err() && span("99999999h").is_err());
        assert!(day("25.11.2026").is_err());
    }
}
