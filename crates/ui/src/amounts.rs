//! Numbers, spans of time and moments as a person reads them.

use jiff::{
    Timestamp,
    tz::{TimeZone, TimeZoneDatabase},
};

use crate::texts::{Lang, Text};

/// `value` in groups of three digits, parted by a narrow no-break space (U+202F).
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A span of whole seconds in its two largest units, such as `2 ч 5 мин`.
pub fn span(seconds: u64, lang: Lang) -> String {
    let one = |amount: u64, unit: Text| format!("{amount}\u{a0}{}", unit.in_lang(lang));
    let two = |large: u64, unit: Text, small: u64, lesser: Text| match small {
        0 => one(large, unit),
        _ => format!("{} {}", one(large, unit), one(small, lesser)),
    };
    match seconds {
        0..60 => one(seconds, Text::Seconds),
        60..3_600 => one(seconds / 60, Text::Minutes),
        3_600..86_400 => two(seconds / 3_600, Text::Hours, seconds % 3_600 / 60, Text::Minutes),
        _ => two(seconds / 86_400, Text::Days, seconds % 86_400 / 3_600, Text::Hours),
    }
}

/// A moment for people and for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Date and time in the zone, then the zone's offset from UTC.
    pub shown: String,
    /// The same moment as RFC 3339 in UTC, for the `datetime` attribute.
    pub exact: String,
}

/// The moment `micros` (microseconds since 1970 UTC) in the IANA zone `zone`; UTC where the zone
/// is unknown. `None` outside the years that a calendar can name.
pub fn moment(micros: i64, zone: &str, lang: Lang) -> Option<Moment> {
    let at = Timestamp::from_microsecond(micros).ok()?;
    let zone = TimeZoneDatabase::bundled().get(zone).unwrap_or(TimeZone::UTC);
    let local = at.to_zoned_datetime(zone);
    let form = match lang {
        Lang::En => "%Y-%m-%d %H:%M:%S UTC%:z",
        Lang::Kk | Lang::Ru => "%d.%m.%Y %H:%M:%S UTC%:z",
    };
    Some(Moment {
        shown: local.strftime(form).to_string(),
        exact: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_from_the_right() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(1_000), "1\u{202f}000");
        assert_eq!(number(12_345_678), "12\u{202f}345\u{202f}678");
    }

    #[test]
    fn spans_name_their_two_largest_units() {
        assert_eq!(span(59, Lang::En), "59\u{a0}s");
        assert_eq!(span(60, Lang::En), "1\u{a0}min");
        assert_eq!(span(7_500, Lang::Ru), "2\u{a0}ч 5\u{a0}мин");
        assert_eq!(span(7_200, Lang::Kk), "2\u{a0}сағ");
        assert_eq!(span(90_000, Lang::En), "1\u{a0}d 1\u{a0}h");
    }

    #[test]
    fn a_moment_is_shown_in_the_zone_of_the_office() {
        // 2024-03-01 00:00 UTC: the day Almaty moved from +06 to +05.
        let shown = moment(1_709_251_200_000_000, "Asia/Almaty", Lang::Ru).unwrap();
        assert_eq!(shown.shown, "01.03.2024 05:00:00 UTC+05:00");
        assert_eq!(shown.exact, "2024-03-01T00:00:00Z");
        let utc = moment(1_709_251_200_000_000, "Nowhere/Land", Lang::En).unwrap();
        assert_eq!(utc.shown, "2024-03-01 00:00:00 UTC+00:00");
        assert_eq!(moment(i64::MAX, "Asia/Almaty", Lang::En), None);
    }
}
