//! Instants, zones and the dates between them. Time is always given, never read here.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::limits;

/// An instant: microseconds since 1970-01-01T00:00:00Z, the unit of the record header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Takes microseconds since 1970 UTC.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970 UTC.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The instant that many microseconds later (earlier when negative), saturating.
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// The same instant of `jiff`; `None` outside the years -9999 to 9999.
    pub fn to_jiff(self) -> Option<jiff::Timestamp> {
        jiff::Timestamp::from_microsecond(self.0).ok()
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(instant: jiff::Timestamp) -> Self {
        Self(instant.as_microsecond())
    }
}

/// RFC 3339 in UTC; the bare number of microseconds for an instant no calendar reaches.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_jiff() {
            Some(instant) => instant.fmt(f),
            None => write!(f, "{} us", self.0),
        }
    }
}

/// Why a text names no zone. Never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a zone of the IANA database; write it like Asia/Almaty")]
pub struct ZoneError;

/// A zone of the IANA database, by name. The rules come from the database compiled into the
/// program, so the same date follows from the same instant on every machine.
#[derive(Clone, Debug)]
pub struct Zone {
    name: Box<str>,
    rules: TimeZone,
}

impl Zone {
    /// Looks the name up.
    ///
    /// # Errors
    /// The compiled-in database has no such zone.
    pub fn new(name: &str) -> Result<Self, ZoneError> {
        if name.is_empty() || name.len() > limits::ZONE_BYTES {
            return Err(ZoneError);
        }
        let rules = TimeZoneDatabase::bundled().get(name).map_err(|_| ZoneError)?;
        let name = rules.iana_name().unwrap_or(name).into();
        Ok(Self { name, rules })
    }

    /// UTC.
    pub fn utc() -> Self {
        Self { name: "UTC".into(), rules: TimeZone::UTC }
    }

    /// The IANA name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The calendar date of an instant in this zone; `None` outside the years -9999 to 9999.
    pub fn date_of(&self, instant: Timestamp) -> Option<Date> {
        Some(self.rules.to_datetime(instant.to_jiff()?).date())
    }

    /// The instant of a date and an hour, minute in this zone. An hour skipped or repeated by a
    /// change of the clock is resolved as RFC 5545 does. `None` where the calendar ends.
    pub fn at(&self, date: Date, hour: i8, minute: i8) -> Option<Timestamp> {
        let time = jiff::civil::Time::new(hour, minute, 0, 0).ok()?;
        let instant = self.rules.to_ambiguous_timestamp(date.to_datetime(time));
        instant.compatible().ok().map(Timestamp::from)
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(name: &str) -> Result<Self, ZoneError> {
        Self::new(name)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn almaty_moved_on_the_first_of_march_2024() {
        let zone = Zone::new("Asia/Almaty").unwrap();
        let before = zone.at(date(2024, 2, 29), 9, 0).unwrap();
        let after = zone.at(date(2024, 3, 1), 9, 0).unwrap();
        assert_eq!(after.micros() - before.micros(), 25 * 3_600 * 1_000_000);
        assert_eq!(zone.date_of(before), Some(date(2024, 2, 29)));
    }

    #[test]
    fn unknown_zones_and_impossible_instants() {
        assert_eq!(Zone::new("Asia/Nowhere"), Err(ZoneError));
        assert_eq!(Zone::new(""), Err(ZoneError));
        assert_eq!(Zone::new("../etc/passwd"), Err(ZoneError));
        assert_eq!(Zone::utc().date_of(Timestamp::from_micros(i64::MAX)), None);
        assert_eq!(Timestamp::from_micros(0).to_string(), "1970-01-01T00:00:00Z");
    }
}
