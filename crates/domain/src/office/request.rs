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
    /// Ed25519 public key of its mirror.
    pub mirror_key: Option<[u8; 32]>,
}

/// Give an office whose keys were lost new ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RekeyOffice {
    /// The office's code.
    pub code: OfficeCode,
    /// The epoch of its log that the log key is for; 2 or more.
    pub epoch: u32,
    /// Ed25519 public key of that epoch.
    pub log_key: [u8; 32],
    /// Ed25519 public key of its witness.
    pub witness_key: [u8; 32],
    /// Ed25519 public key of its mirror.
    pub mirror_key: Option<[u8; 32]>,
}

requests! {
    /// Requests about an office stream.
    OfficeRequest in Office {
        /// Enrol an office.
        Enrol(EnrolOffice), "enrol_office";
        /// Give an office new keys.
        Rekey(RekeyOffice), "rekey_office";
    }
}

impl OfficeRequest {
    /// The office it is about.
    pub fn code(&self) -> &OfficeCode {
        match self {
            Self::Enrol(request) => &request.code,
            Self::Rekey(request) => &request.code,
        }
    }

    /// Checks names, zone, epoch and keys.
    pub(crate) fn validate(&self) -> Result<(), Refusal> {
        match self {
            Self::Enrol(request) => {
                check::label("name_kk", &request.name_kk, limits::NAME_CHARS)?;
                check::label("name_ru", &request.name_ru, limits::NAME_CHARS)?;
                check::label("name_en", &request.name_en, limits::NAME_CHARS)?;
                if let Err(error) = Zone::new(&request.zone) {
                    let message = error.to_string();
                    return Err(Refusal::field(RefusalCode::Malformed, "zone", message));
                }
                keys(request.log_key, request.witness_key, request.mirror_key)
            }
            Self::Rekey(request) => {
                if request.epoch < 2 {
                    let message = "must be 2 or more: the first epoch has the enrolled key";
                    return Err(Refusal::field(RefusalCode::OutOfRange, "epoch", message));
                }
                keys(request.log_key, request.witness_key, request.mirror_key)
            }
        }
    }
}

/// Every key is there, and each purpose has its own.
fn keys(log: [u8; 32], witness: [u8; 32], mirror: Option<[u8; 32]>) -> Result<(), Refusal> {
    let fields = [("log_key", Some(log)), ("witness_key", Some(witness)), ("mirror_key", mirror)];
    for (at, (field, key)) in fields.into_iter().enumerate() {
        if key == Some([0; 32]) {
            let message = "is needed; take it from the office's file of public keys";
            return Err(Refusal::field(RefusalCode::Required, field, message));
        }
        let before = fields[..at].iter().find(|(_, other)| key.is_some() && *other == key);
        if let Some((other, _)) = before {
            let message = format!("is the same as {other}; each purpose has its own key");
            return Err(Refusal::field(RefusalCode::Repeated, field, message));
        }
    }
    Ok(())
}
