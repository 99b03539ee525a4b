//! Requests of the centre about offices.

use crate::check;
use crate::limits;
use crate::macros::requests;
use crate::office::OfficeCode;
use crate::refusal::{Refusal, RefusalCode};
use crate::time::Zone;

/// Enrol an office.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolOffice {
    /// The office's code.
    pub code: OfficeCode,
    /// Its name in Kazakh.
    pub name_kk: String,
    /// Its name in Russian.
    pub name_ru: String,
    /// Its name in English.
    pub name_en: String,
    /// Its IANA zone.
    pub zone: String,
    /// Ed25519 public key of its log.
    pub log_key: [u8; 32],
    /// Ed25519 public key of its witness.
    pub witness_key: [u8; 32],
}

requests! {
    /// Requests about an office stream.
    OfficeRequest in Office {
        /// Enrol an office.
        Enrol(EnrolOffice), "enrol_office";
    }
}

impl OfficeRequest {
    /// Checks names, zone and keys.
    pub(crate) fn validate(&self) -> Result<(), Refusal> {
        let Self::Enrol(request) = self;
        check::label("name_kk", &request.name_kk, limits::NAME_CHARS)?;
        check::label("name_ru", &request.name_ru, limits::NAME_CHARS)?;
        check::label("name_en", &request.name_en, limits::NAME_CHARS)?;
        if let Err(error) = Zone::new(&request.zone) {
            return Err(Refusal::field(RefusalCode::Malformed, "zone", error.to_string()));
        }
        for (field, key) in [("log_key", request.log_key), ("witness_key", request.witness_key)] {
            if key == [0; 32] {
                let message = "is needed; take it from the office's file of public keys";
                return Err(Refusal::field(RefusalCode::Required, field, message));
            }
        }
        if request.log_key == request.witness_key {
            let message = "is the same as log_key; each purpose has its own key";
            return Err(Refusal::field(RefusalCode::Repeated, "witness_key", message));
        }
        Ok(())
    }
}
