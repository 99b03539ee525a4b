//! Codes of offices: the centre is a country code, a region adds a division (ISO 3166-2 style).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Why a text is no office code. Never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not an office code; write two capital letters, for a region then '-' and 1 to 6 \
         capital letters or digits, like KZ or KZ-75"
)]
pub struct OfficeCodeError;

/// The code of an office: `KZ` is the centre, `KZ-75` a region. The part after the hyphen has
/// 1 to 6 capital letters or digits, so that courts outside ISO 3166-2 have room.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OfficeCode(Arc<str>);

impl OfficeCode {
    /// Validates and takes the text.
    ///
    /// # Errors
    /// The text has another form.
    pub fn new(text: &str) -> Result<Self, OfficeCodeError> {
        let (country, region) = match text.split_once('-') {
            Some((country, region)) => (country, Some(region)),
            None => (text, None),
        };
        let capital = |b: u8| b.is_ascii_uppercase();
        let region_fits = region.is_none_or(|r| {
            (1..=6).contains(&r.len()) && r.bytes().all(|b| capital(b) || b.is_ascii_digit())
        });
        if country.len() == 2 && country.bytes().all(capital) && region_fits {
            Ok(Self(text.into()))
        } else {
            Err(OfficeCodeError)
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the national office.
    pub fn is_centre(&self) -> bool {
        !self.0.contains('-')
    }

    /// In lower case, as logs and certificates name it: `kz-75`.
    pub fn lower(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for OfficeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for OfficeCode {
    type Err = OfficeCodeError;

    fn from_str(text: &str) -> Result<Self, OfficeCodeError> {
        Self::new(text)
    }
}

impl TryFrom<String> for OfficeCode {
    type Error = OfficeCodeError;

    fn try_from(text: String) -> Result<Self, OfficeCodeError> {
        Self::new(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        assert!(OfficeCode::new("KZ").unwrap().is_centre());
        let region = OfficeCode::new("KZ-75").unwrap();
        assert!(!region.is_centre());
        assert_eq!(region.lower(), "kz-75");
        assert!(OfficeCode::new("KZ-MIL").is_ok());
        for bad in ["", "K", "KZ-", "kz-75", "KZ-1234567", "KZ-7 5", "KZ75", "KZ-7-5", "ҚЗ"] {
            assert_eq!(OfficeCode::new(bad), Err(OfficeCodeError), "{bad}");
        }
    }
}
