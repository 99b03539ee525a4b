//! Days and months in the zone of an office.
//!
//! The zone rules compiled into the binary are used ([`domain::Zone`]), never those of the
//! machine, so that two nodes fold the same log into equal rows.

use std::collections::HashMap;

use domain::{Timestamp, Zone};
use jiff::civil::Date;

/// Reads instants in zones, remembering the zones it has looked up.
#[derive(Debug, Default)]
pub(crate) struct Calendar {
    zones: HashMap<String, Zone>,
}

/// The most zone names remembered: names come from records, so their number must be bounded.
const MOST_ZONES: usize = 256;

impl Calendar {
    /// The month of `micros` (microseconds since 1970 UTC) in the IANA zone `zone`, as `YYYY-MM`.
    /// An unknown zone counts as UTC; an instant beyond the calendar's years has no month: "".
    pub(crate) fn month(&mut self, micros: i64, zone: &str) -> String {
        let day = self.zone(zone).date_of(Timestamp::from_micros(micros));
        day.map(month_of).unwrap_or_default()
    }

    /// The first instant of `day` in `zone`, microseconds since 1970 UTC; 0 beyond the years that
    /// an instant can name.
    pub(crate) fn start_of(&mut self, day: Date, zone: &str) -> i64 {
        self.zone(zone).at(day, 0, 0).map_or(0, Timestamp::micros)
    }

    fn zone(&mut self, name: &str) -> Zone {
        if let Some(zone) = self.zones.get(name) {
            return zone.clone();
        }
        let zone = Zone::new(name).unwrap_or_else(|_| Zone::utc());
        if self.zones.len() < MOST_ZONES {
            self.zones.insert(name.to_owned(), zone.clone());
        }
        zone
    }
}

/// The month of a civil day as `YYYY-MM`.
pub(crate) fn month_of(day: Date) -> String {
    format!("{:04}-{:02}", day.year(), day.month())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_that_of_the_office_not_of_utc() {
        let mut calendar = Calendar::default();
        // 2011-07-31 20:00 UTC is already August in Almaty (then +06).
        let at = 1_312_142_400_000_000;
        assert_eq!(calendar.month(at, "UTC"), "2011-07");
        assert_eq!(calendar.month(at, "Asia/Almaty"), "2011-08");
        assert_eq!(calendar.month(at, "No/Where"), "2011-07");
        assert_eq!(calendar.month(i64::MAX, "UTC"), "");
    }

    #[test]
    fn the_day_begins_at_the_midnight_of_the_zone() {
        let mut calendar = Calendar::default();
        let start = calendar.start_of(jiff::civil::date(2024, 3, 1), "Asia/Almaty");
        assert_eq!(calendar.month(start, "Asia/Almaty"), "2024-03");
        assert_eq!(calendar.month(start - 1, "Asia/Almaty"), "2024-02");
    }

    #[test]
    fn foreign_zone_names_do_not_fill_the_memory() {
        let mut calendar = Calendar::default();
        for number in 0..2 * MOST_ZONES {
            calendar.month(0, &format!("Made/Up{number}"));
        }
        assert_eq!(calendar.zones.len(), MOST_ZONES);
    }
}
