//! Reads who a certificate belongs to. Whether it is authentic is for TLS to check first.

use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::error::IdentityError;
use crate::name::Subject;

/// The subject of a DER certificate in this installation's domain. The certificate must have
/// exactly one URI name and be nothing but it in DER.
///
/// # Errors
/// [`IdentityError::NotACertificate`], [`IdentityError::NotOneUri`],
/// [`IdentityError::ForeignDomain`], [`IdentityError::BadUri`].
pub fn subject_of(cert_der: &[u8], domain: &str) -> Result<Subject, IdentityError> {
    with_one_uri(cert_der, |uri| Subject::from_uri(uri, domain))
}

/// SHA-256 of the DER certificate in lower-case hex: what an operator compares by eye, and what a
/// log line about a refused peer may carry.
pub fn fingerprint(cert_der: &[u8]) -> String {
    Sha256::digest(cert_der).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hands the one URI name of a certificate to `read`.
pub(crate) fn with_one_uri<T>(
    cert_der: &[u8],
    read: impl FnOnce(&str) -> Result<T, IdentityError>,
) -> Result<T, IdentityError> {
    let cert = parse(cert_der)?;
    let names = cert.subject_alternative_name().map_err(|_| IdentityError::NotACertificate)?;
    let names = names.map_or(&[][..], |extension| &extension.value.general_names);
    let uris: Vec<&str> = names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        })
        .collect();
    match uris[..] {
        [uri] => read(uri),
        _ => Err(IdentityError::NotOneUri { found: uris.len() }),
    }
}

pub(crate) fn parse(cert_der: &[u8]) -> Result<X509Certificate<'_>, IdentityError> {
    match X509Certificate::from_der(cert_der) {
        Ok(([], cert)) => Ok(cert),
        _ => Err(IdentityError::NotACertificate),
    }
}
