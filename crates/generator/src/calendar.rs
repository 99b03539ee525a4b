//! Working days, as far as a play needs them: Monday to Friday.

use jiff::civil::{Date, Weekday};

/// Whether people work on that day.
pub(crate) fn is_working(day: Date) -> bool {
    !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// The working day that many working days later; the day itself, or the next working one, for 0.
pub(crate) fn working_day(from: Date, days: u32) -> Date {
    let mut day = from;
    let mut left = days;
    while left > 0 || !is_working(day) {
        let Ok(next) = day.tomorrow() else { return day };
        day = next;
        if left > 0 && is_working(day) {
            left -= 1;
        }
    }
    day
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn weekends_are_stepped_over() {
        let friday = date(2026, 3, 6);
        assert_eq!(working_day(friday, 0), friday);
        assert_eq!(working_day(friday, 1), date(2026, 3, 9));
        assert_eq!(working_day(friday, 6), date(2026, 3, 16));
        assert_eq!(working_day(date(2026, 3, 7), 0), date(2026, 3, 9));
        assert_eq!(working_day(date(2026, 3, 7), 1), date(2026, 3, 9));
        assert_eq!(working_day(Date::MAX, 3), Date::MAX);
    }
}
