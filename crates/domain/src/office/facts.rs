//! Facts of an office's enrolment (log `kz/all`).

use crate::macros::facts;
use crate::office::OfficeCode;

/// An office joined the network: from now on the centre knows its key and mirrors its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfficeEnrolled {
    /// The office's code.
    pub code: OfficeCode,
    /// Its name in Kazakh.
    pub name_kk: String,
    /// Its name in Russian.
    pub name_ru: String,
    /// Its name in English.
    pub name_en: String,
    /// Its IANA zone; kept as text, because a newer database may know zones this one does not.
    pub zone: String,
    /// Ed25519 public key of its log's first epoch.
    pub log_key: [u8; 32],
    /// Ed25519 public key of its witness.
    pub witness_key: [u8; 32],
}

facts! {
    /// Facts of an office stream.
    OfficeFact in Office, Office {
        /// An office joined.
        Enrolled(OfficeEnrolled) = 1, "office.enrolled";
    }
}
