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
    /// Ed25519 public key of its mirror; `None` in records of before there was one.
    pub mirror_key: Option<[u8; 32]>,
}

/// An office whose keys were lost got new ones: from now on the centre takes these, the log's from
/// the named epoch on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfficeRekeyed {
    /// The office's code.
    pub code: OfficeCode,
    /// The epoch of its log that the log key is for: a new one, behind all that are known.
    pub epoch: u32,
    /// Ed25519 public key of that epoch.
    pub log_key: [u8; 32],
    /// Ed25519 public key of its witness.
    pub witness_key: [u8; 32],
    /// Ed25519 public key of its mirror.
    pub mirror_key: Option<[u8; 32]>,
}

facts! {
    /// Facts of an office stream.
    OfficeFact in Office, Office {
        /// An office joined.
        Enrolled(OfficeEnrolled) = 1, "office.enrolled";
        /// An office got new keys.
        Rekeyed(OfficeRekeyed) = 2, "office.rekeyed";
    }
}
