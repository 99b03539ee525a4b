//! Instants: microseconds of the domain to and from `google.protobuf.Timestamp`.

use domain::Timestamp;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// The protobuf form of an instant.
#[must_use]
pub fn timestamp(instant: Timestamp) -> prost_types::Timestamp {
    let micros = instant.micros();
    // The remainder is below a million, so the product fits.
    let nanos = micros.rem_euclid(MICROS_PER_SECOND) as i32 * 1_000;
    prost_types::Timestamp { seconds: micros.div_euclid(MICROS_PER_SECOND), nanos }
}

/// The instant of the protobuf form; what is finer than a microsecond is cut. `None` if its
/// nanoseconds are not 0 to 999,999,999 or its microseconds do not fit 64 bits.
#[must_use]
pub fn instant(from: &prost_types::Timestamp) -> Option<Timestamp> {
    if !(0..1_000_000_000).contains(&from.nanos) {
        return None;
    }
    // In 128 bits, because the lowest seconds alone would not fit 64.
    let micros =
        i128::from(from.seconds) * i128::from(MICROS_PER_SECOND) + i128::from(from.nanos / 1_000);
    i64::try_from(micros).ok().map(Timestamp::from_micros)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn before_1970() {
        let half_past = timestamp(Timestamp::from_micros(-500_000));
        assert_eq!((half_past.seconds, half_past.nanos), (-1, 500_000_000));
    }

    proptest! {
        #[test]
        fn every_instant_comes_back(micros: i64) {
            let there = timestamp(Timestamp::from_micros(micros));
            prop_assert!((0..1_000_000_000).contains(&there.nanos));
            prop_assert_eq!(instant(&there), Some(Timestamp::from_micros(micros)));
        }

        #[test]
        fn any_message_is_an_instant_or_none(seconds: i64, nanos: i32) {
            let _ = instant(&prost_types::Timestamp { seconds, nanos });
        }
    }
}
