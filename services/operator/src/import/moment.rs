//! Times of a foreign register: formats, zone, and what is done in the hours that a change of the
//! clock skips or repeats.
//!
//! The rule is that of RFC 5545, section 3.3.5, and of most registers' software: a time in a
//! skipped hour is read with the offset from before the change (so it lies after the gap), one in
//! a repeated hour is its first occurrence. Both are counted as warnings.

use domain::{Timestamp, Zone};
use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

use crate::errors::{Failure, Outcome};

/// The name that stands for RFC 3339 among the formats.
const RFC3339: &str = "rfc3339";

/// A time that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The instant.
    pub at: Timestamp,
    /// The day in the register's zone.
    pub day: Date,
    /// What the clock did then.
    pub clock: Clock,
}

/// What the clock did at a local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// It showed this time once.
    Once,
    /// It never showed it.
    Skipped,
    /// It showed it twice.
    Repeated,
}

/// Reads times.
#[derive(Clone, Debug)]
pub struct Times {
    formats: Vec<String>,
    rules: TimeZone,
}

impl Times {
    /// A reader for these formats in this zone.
    ///
    /// # Errors
    /// The zone is not in the compiled-in database.
    pub fn new(formats: &[String], zone: &Zone) -> Outcome<Self> {
        let rules = TimeZoneDatabase::bundled()
            .get(zone.name())
            .map_err(|error| Failure::wrong("look up source.zone", &error))?;
        Ok(Self { formats: formats.to_vec(), rules })
    }

    /// The time that a text names; `None` if no format fits.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<Moment> {
        self.formats.iter().find_map(|format| self.read_as(format, text))
    }

    fn read_as(&self, format: &str, text: &str) -> Option<Moment> {
        if format == RFC3339 {
            let at: jiff::Timestamp = text.parse().ok()?;
            return Some(self.instant(at));
        }
        let parsed = BrokenDownTime::parse(format, text).ok()?;
        if parsed.offset().is_some() || format.contains("%s") {
            return Some(self.instant(parsed.to_timestamp().ok()?));
        }
        let local = parsed.to_datetime().ok().or_else(|| {
            // A whole day begins at midnight.
            Some(DateTime::from_parts(parsed.to_date().ok()?, Time::midnight()))
        })?;
        self.local(local)
    }

    fn instant(&self, at: jiff::Timestamp) -> Moment {
        let day = self.rules.to_datetime(at).date();
        Moment { at: at.into(), day, clock: Clock::Once }
    }

    fn local(&self, local: DateTime) -> Option<Moment> {
        let ambiguous = self.rules.to_ambiguous_timestamp(local);
        let clock = match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => Clock::Once,
            AmbiguousOffset::Gap { .. } => Clock::Skipped,
            AmbiguousOffset::Fold { .. } => Clock::Repeated,
        };
        let at = ambiguous.compatible().ok()?;
        Some(Moment { at: at.into(), day: local.date(), clock })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(formats: &[&str]) -> Times {
        let formats: Vec<String> = formats.iter().map(|f| (*f).to_owned()).collect();
        Times::new(&formats, &Zone::new("America/New_York").unwrap()).unwrap()
    }

    fn utc(moment: Option<Moment>) -> String {
        moment.unwrap().at.to_string()
    }

    #[test]
    fn local_times_of_the_register() {
        let times = times(&["%Y-%m-%d %H:%M:%S", "%Y-%m-%d"]);
        let summer = times.read("2011-07-01 01:32:33").unwrap();
        assert_eq!(summer.at.to_string(), "2011-07-01T05:32:33Z");
        assert_eq!((summer.clock, summer.day.to_string().as_str()), (Clock::Once, "2011-07-01"));
        assert_eq!(utc(times.read("2012-01-13 06:29:43")), "2012-01-13T11:29:43Z");
        assert_eq!(utc(times.read("2011-07-31")), "2011-07-31T04:00:00Z");
        assert_eq!(times.read("31.07.2011"), None);
        assert_eq!(times.read("2011-13-01 00:00:00"), None);
        assert_eq!(times.read("2011-07-01 01:32:33 and more"), None);
        assert_eq!(times.read(""), None);
    }

    #[test]
    fn an_hour_that_the_clock_skipped_is_read_with_the_offset_before() {
        // 2012-03-11: 02:00 to 03:00 does not exist; 02:30-05:00 is 03:30-04:00.
        let skipped = times(&["%Y-%m-%d %H:%M:%S"]).read("2012-03-11 02:30:00").unwrap();
        assert_eq!(skipped.clock, Clock::Skipped);
        assert_eq!(skipped.at.to_string(), "2012-03-11T07:30:00Z");
    }

    #[test]
    fn an_hour_that_the_clock_repeated_is_its_first_occurrence() {
        // 2011-11-06: 01:00 to 02:00 comes twice; the first is still -04:00.
        let repeated = times(&["%Y-%m-%d %H:%M:%S"]).read("2011-11-06 01:30:00").unwrap();
        assert_eq!(repeated.clock, Clock::Repeated);
        assert_eq!(repeated.at.to_string(), "2011-11-06T05:30:00Z");
    }

    #[test]
    fn times_with_an_offset_need_no_zone() {
        let times = times(&["rfc3339", "%Y-%m-%dT%H:%M:%S%z"]);
        assert_eq!(utc(times.read("2011-07-31T23:30:00-04:00")), "2011-08-01T03:30:00Z");
        assert_eq!(utc(times.read("2011-07-31T23:30:00-0400")), "2011-08-01T03:30:00Z");
        let late = times.read("2011-08-01T03:30:00Z").unwrap();
        assert_eq!(late.day.to_string(), "2011-07-31", "the day is that of the register's zone");
    }
}
