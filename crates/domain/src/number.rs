//! Registration numbers: `KZ-75-2026-048213-6`.
//!
//! Office code at issue, year, a letter for every epoch but the first, six digits, a check
//! digit. The digits are a keyed permutation of the office's counter of that year, so neither
//! their order nor their gaps betray how many appeals there are. A number is given once, offline
//! too: the counter lives with its only writer, and a restored office opens a new epoch, whose
//! letter keeps its numbers apart from those of the abandoned one.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::limits;
use crate::office::OfficeCode;

/// How many numbers an office has in one year and epoch: six digits.
pub const NUMBERS: u32 = 1_000_000;
/// Counters below this one are for ordinary appeals; the rest of the space is kept for appeals
/// whose existence an office must not see, so that their numbers look like any other.
pub const OPEN_COUNTERS: u32 = 900_000;

/// Half of the Feistel block: 2 x 10 bits = 1,048,576, the smallest even block over 10^6.
const HALF_BITS: u32 = 10;
const HALF_MASK: u32 = (1 << HALF_BITS) - 1;
/// Rounds of the Feistel network; 4 would do against an outsider, 8 costs 8 hashes per number.
const ROUNDS: u8 = 8;

/// The secret of an office's number permutation: 32 bytes, kept with the office's keys.
#[derive(Clone, PartialEq, Eq)]
pub struct NumberKey([u8; 32]);

impl NumberKey {
    /// Takes the key.
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }
}

impl fmt::Debug for NumberKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NumberKey(..)")
    }
}

/// Why a number cannot be issued or read. Never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// The counter ran past the numbers of a year.
    #[error("all {NUMBERS} registration numbers of this year and epoch are used")]
    Exhausted,
    /// A year outside 1900 to 9999 or an epoch outside 1 to 702.
    #[error("year or epoch of the registration number is outside its range")]
    Range,
    /// The text has another form.
    #[error("is not a registration number; write it like KZ-75-2026-048213-6")]
    Form,
    /// The check digit does not fit: some character was mistyped.
    #[error("the check digit does not fit; compare the number with the ticket")]
    CheckDigit,
}

/// The registration number of an appeal: given once, kept for life.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistrationNumber {
    office: OfficeCode,
    year: i16,
    epoch: u32,
    digits: u32,
}

impl RegistrationNumber {
    /// Issues the number of a counter. `year` is that of the registration day, `epoch` that of
    /// the office's log (from 1), `counter` counts from 0 within office, year and epoch.
    ///
    /// # Errors
    /// The counter is not below [`NUMBERS`]; year or epoch out of range.
    pub fn issue(
        office: &OfficeCode,
        year: i16,
        epoch: u32,
        counter: u32,
        key: &NumberKey,
    ) -> Result<Self, NumberError> {
        if counter >= NUMBERS {
            return Err(NumberError::Exhausted);
        }
        let scope = format!("{office}/{year}/{epoch}");
        Self::from_parts(office.clone(), year, epoch, permute(key, &scope, counter))
    }

    /// Puts a number together from its parts.
    ///
    /// # Errors
    /// A part out of range.
    pub fn from_parts(
        office: OfficeCode,
        year: i16,
        epoch: u32,
        digits: u32,
    ) -> Result<Self, NumberError> {
        // 702 = 26 + 26 * 26: one or two letters.
        if !(1900..=9999).contains(&year) || !(1..=702).contains(&epoch) || digits >= NUMBERS {
            return Err(NumberError::Range);
        }
        Ok(Self { office, year, epoch, digits })
    }

    /// The office that issued it.
    pub const fn office(&self) -> &OfficeCode {
        &self.office
    }

    /// The year of registration.
    pub const fn year(&self) -> i16 {
        self.year
    }

    /// The epoch of the office's log in which it was issued, from 1.
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The six permuted digits.
    pub const fn digits(&self) -> u32 {
        self.digits
    }

    fn body(&self) -> String {
        format!("{}-{}{}-{:06}", self.office, self.year, epoch_letters(self.epoch), self.digits)
    }
}

impl fmt::Display for RegistrationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.body();
        let check = check_digit(&body);
        f.pad(&format!("{body}-{check}"))
    }
}

impl FromStr for RegistrationNumber {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let mut parts = text.rsplitn(4, '-');
        let mut next = || parts.next().ok_or(NumberError::Form);
        let (check, digits, year, office) = (next()?, next()?, next()?, next()?);
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if check.len() != 1 || !all_digits(check) || digits.len() != 6 || !all_digits(digits) {
            return Err(NumberError::Form);
        }
        let (year, letters) = year.split_at_checked(4).ok_or(NumberError::Form)?;
        if !all_digits(year) {
            return Err(NumberError::Form);
        }
        let number = Self::from_parts(
            OfficeCode::new(office).map_err(|_| NumberError::Form)?,
            year.parse().map_err(|_| NumberError::Form)?,
            epoch_of_letters(letters).ok_or(NumberError::Form)?,
            digits.parse().map_err(|_| NumberError::Form)?,
        )
        .map_err(|_| NumberError::Form)?;
        let expected = check_digit(&number.body());
        if check.bytes().next() == Some(b'0' + expected) {
            Ok(number)
        } else {
            Err(NumberError::CheckDigit)
        }
    }
}

/// Epoch 1 has no letter, 2 is B, 26 is Z, 27 is AA, 702 is ZZ.
fn epoch_letters(epoch: u32) -> String {
    let letter = |n: u32| char::from(b'A' + u8::try_from(n % 26).unwrap_or(0));
    match epoch {
        0 | 1 => String::new(),
        2..=26 => letter(epoch - 1).to_string(),
        _ => [letter((epoch - 27) / 26), letter(epoch - 27)].iter().collect(),
    }
}

fn epoch_of_letters(letters: &str) -> Option<u32> {
    if !letters.bytes().all(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let value = |b: u8| u32::from(b - b'A');
    match letters.as_bytes() {
        [] => Some(1),
        // A alone would be epoch 1, which is written without a letter.
        [b'A'] => None,
        [one] => Some(value(*one) + 1),
        [one, two] => Some(27 + value(*one) * 26 + value(*two)),
        _ => None,
    }
}

/// ISO/IEC 7064 MOD 11,10 over the digits, letters counted as 10 to 35 (two digits, as an ISIN
/// does). Finds every single wrong digit.
fn check_digit(body: &str) -> u8 {
    let mut product = 10_u32;
    let mut take = |digit: u32| {
        let sum = (digit + product) % 10;
        product = (if sum == 0 { 10 } else { sum }) * 2 % 11;
    };
    for byte in body.bytes() {
        match byte {
            b'0'..=b'9' => take(u32::from(byte - b'0')),
            b'A'..=b'Z' => {
                let value = u32::from(byte - b'A') + 10;
                take(value / 10);
                take(value % 10);
            }
            _ => {}
        }
    }
    u8::try_from((11 - product) % 10).unwrap_or(0)
}

/// One keyed permutation of `0..NUMBERS` per scope: a balanced Feistel network over 20 bits,
/// walked until the value falls below [`NUMBERS`] (at most a few steps: 95 % of the block fits).
fn permute(key: &NumberKey, scope: &str, counter: u32) -> u32 {
    let mut block = [0_u8; 64];
    block[..32].copy_from_slice(&key.0);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(b"adal/regno/v1\n");
    mac.update(scope.as_bytes());
    let mut value = counter;
    loop {
        value = feistel(&mac, value);
        if value < NUMBERS {
            return value;
        }
    }
}

fn feistel(mac: &Hmac<Sha256>, value: u32) -> u32 {
    let (mut left, mut right) = (value >> HALF_BITS & HALF_MASK, value & HALF_MASK);
    for round in 0..ROUNDS {
        let mut mac = mac.clone();
        mac.update(&[b'\n', round]);
        mac.update(&right.to_be_bytes());
        let out = mac.finalize().into_bytes();
        let mixed = u32::from_be_bytes([out[0], out[1], out[2], out[3]]) & HALF_MASK;
        (left, right) = (right, left ^ mixed);
    }
    left << HALF_BITS | right
}

/// The year a number should carry for a registration day; clamped to what a number can show.
pub fn year_of(registered_on: jiff::civil::Date) -> i16 {
    registered_on.year().clamp(1900, limits::LATEST_YEAR)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn office() -> OfficeCode {
        "KZ-75".parse().unwrap()
    }

    #[test]
    fn frozen_example() {
        // Numbers on tickets already given out: these never change.
        let key = NumberKey::new([7; 32]);
        let issue = |counter| RegistrationNumber::issue(&office(), 2026, 1, counter, &key);
        let number = issue(0).unwrap();
        assert_eq!(number.to_string(), "KZ-75-2026-985002-1");
        assert_eq!(issue(1).unwrap().to_string(), "KZ-75-2026-246647-7");
        let second = RegistrationNumber::issue(&office(), 2026, 2, 0, &key).unwrap();
        assert!(second.to_string().starts_with("KZ-75-2026B-"));
        assert_ne!(number.digits(), second.digits());
        assert_eq!(
            RegistrationNumber::issue(&office(), 2026, 1, NUMBERS, &key),
            Err(NumberError::Exhausted)
        );
    }

    #[test]
    fn the_walk_has_an_inverse() {
        // All 10^6 counters would take minutes in a debug build; one in 997 and both ends of the
        // two ranges of counters are walked there and back.
        let key = NumberKey::new([42; 32]);
        let ends = (0..500).chain(OPEN_COUNTERS - 500..OPEN_COUNTERS + 500);
        for counter in (0..NUMBERS).step_by(997).chain(ends).chain(NUMBERS - 500..NUMBERS) {
            let value = permute(&key, "KZ-75/2026/1", counter);
            assert!(value < NUMBERS);
            assert_eq!(unpermute(&key, "KZ-75/2026/1", value), counter);
        }
    }

    fn unpermute(key: &NumberKey, scope: &str, value: u32) -> u32 {
        let mut block = [0_u8; 64];
        block[..32].copy_from_slice(&key.0);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(b"adal/regno/v1\n");
        mac.update(scope.as_bytes());
        let mut value = value;
        loop {
            let (mut left, mut right) = (value >> HALF_BITS, value & HALF_MASK);
            for round in (0..ROUNDS).rev() {
                let mut mac = mac.clone();
                mac.update(&[b'\n', round]);
                mac.update(&left.to_be_bytes());
                let out = mac.finalize().into_bytes();
                let mixed = u32::from_be_bytes([out[0], out[1], out[2], out[3]]) & HALF_MASK;
                (left, right) = (right ^ mixed, left);
            }
            value = left << HALF_BITS | right;
            if value < NUMBERS {
                return value;
            }
        }
    }

    #[test]
    fn epochs_are_spelled() {
        for (epoch, letters) in [(1, ""), (2, "B"), (26, "Z"), (27, "AA"), (702, "ZZ")] {
            assert_eq!(epoch_letters(epoch), letters);
            assert_eq!(epoch_of_letters(letters), Some(epoch));
        }
        assert_eq!(epoch_of_letters("A"), None);
        assert_eq!(epoch_of_letters("ABC"), None);
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in [
            "",
            "KZ-75",
            "KZ-75-2026-48213-6",
            "KZ-75-26-048213-6",
            "75-2026-048213-6",
            "KZ-75-2026-048213-66",
            "KZ-75-2026A-048213-6",
            "KZ-75-2026-04821x-6",
        ] {
            assert_eq!(bad.parse::<RegistrationNumber>(), Err(NumberError::Form), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn permutation_is_a_bijection(key: [u8; 32], a in 0..NUMBERS, b in 0..NUMBERS) {
            let key = NumberKey::new(key);
            let (x, y) = (permute(&key, "s", a), permute(&key, "s", b));
            prop_assert!(x < NUMBERS && y < NUMBERS);
            prop_assert_eq!(x == y, a == b);
            prop_assert_eq!(unpermute(&key, "s", x), a);
        }

        #[test]
        fn text_round_trip(year in 1900_i16..=9999, epoch in 1_u32..=702, digits in 0..NUMBERS) {
            let number = RegistrationNumber::from_parts(office(), year, epoch, digits).unwrap();
            prop_assert_eq!(number.to_string().parse::<RegistrationNumber>(), Ok(number));
        }

        #[test]
        fn every_wrong_digit_is_found(digits in 0..NUMBERS, place in 0_usize..6, by in 1_u8..10) {
            let number = RegistrationNumber::from_parts(office(), 2026, 1, digits).unwrap();
            let mut text = number.to_string().into_bytes();
            let at = text.len() - 8 + place;
            text[at] = b'0' + (text[at] - b'0' + by) % 10;
            let text = String::from_utf8(text).unwrap();
            prop_assert_eq!(text.parse::<RegistrationNumber>(), Err(NumberError::CheckDigit));
        }
    }
}
