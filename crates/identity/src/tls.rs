//! Credentials from files and the TLS configurations of both sides.
//!
//! TLS 1.3 with *ring*, both sides certified by the one authority, ALPN `h2`. Nothing here
//! depends on a process-wide default provider.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::authority::{CA_CERT, TLS_CERT, TLS_KEY, check_file_name};
use crate::certificate::subject_of;
use crate::error::IdentityError;
use crate::files;
use crate::name::Subject;

/// The one application protocol: HTTP/2, for gRPC.
const ALPN: &[u8] = b"h2";

/// A certificate with its key, and the authority that is trusted.
pub struct Credentials {
    path: PathBuf,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authorities: Vec<CertificateDer<'static>>,
}

impl Credentials {
    /// Reads a node's `tls.pem`, `tls.key` and `ca.pem`.
    ///
    /// # Errors
    /// [`IdentityError::Io`], [`IdentityError::NotPem`], [`IdentityError::Exposed`].
    pub fn node(dir: &Path) -> Result<Credentials, IdentityError> {
        Credentials::load(&dir.join(TLS_CERT), &dir.join(TLS_KEY), &dir.join(CA_CERT))
    }

    /// Reads a person's `<name>.pem`, `<name>.key` and `ca.pem`.
    ///
    /// # Errors
    /// As [`Credentials::node`], and [`IdentityError::BadPerson`].
    pub fn person(dir: &Path, name: &str) -> Result<Credentials, IdentityError> {
        check_file_name(name)?;
        let file = |end: &str| dir.join(format!("{name}.{end}"));
        Credentials::load(&file("pem"), &file("key"), &dir.join(CA_CERT))
    }

    /// Reads a certificate, its key and the authority's certificate from these files.
    ///
    /// # Errors
    /// As [`Credentials::node`].
    pub fn load(cert: &Path, key: &Path, ca: &Path) -> Result<Credentials, IdentityError> {
        let not_pem = |path: &Path, what| IdentityError::NotPem { path: path.to_path_buf(), what };
        let chain = certificates(cert)?;
        let authorities = certificates(ca)?;
        let secret = files::read_secret(key)?;
        let key =
            PrivateKeyDer::from_pem_slice(&secret).map_err(|_| not_pem(key, "private key"))?;
        Ok(Credentials { path: cert.to_path_buf(), chain, key, authorities })
    }

    /// Whom the certificate belongs to.
    ///
    /// # Errors
    /// As [`subject_of`].
    pub fn subject(&self, domain: &str) -> Result<Subject, IdentityError> {
        let leaf = self.chain.first().ok_or(IdentityError::NotACertificate)?;
        subject_of(leaf, domain)
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, IdentityError> {
        let mut roots = RootCertStore::empty();
        for authority in &self.authorities {
            roots.add(authority.clone()).map_err(|error| self.tls(error))?;
        }
        Ok(Arc::new(roots))
    }

    fn tls(&self, source: impl std::error::Error + Send + Sync + 'static) -> IdentityError {
        IdentityError::Tls { path: self.path.clone(), source: Box::new(source) }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The configuration of a server that accepts only clients certified by the same authority.
///
/// # Errors
/// [`IdentityError::Tls`]: the key is not the certificate's, or the authority is none.
pub fn server_config(credentials: &Credentials) -> Result<Arc<ServerConfig>, IdentityError> {
    let provider = provider();
    let clients =
        WebPkiClientVerifier::builder_with_provider(credentials.roots()?, provider.clone())
            .build()
            .map_err(|error| credentials.tls(error))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| credentials.tls(error))?
        .with_client_cert_verifier(clients)
        .with_single_cert(credentials.chain.clone(), credentials.key.clone_key())
        .map_err(|error| credentials.tls(error))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

/// The configuration of a client that shows its certificate and accepts only servers certified by
/// the same authority for the name it dials (see [`server_name`]).
///
/// # Errors
/// As [`server_config`].
pub fn client_config(credentials: &Credentials) -> Result<Arc<ClientConfig>, IdentityError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| credentials.tls(error))?
        .with_root_certificates(credentials.roots()?)
        .with_client_auth_cert(credentials.chain.clone(), credentials.key.clone_key())
        .map_err(|error| credentials.tls(error))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

/// The name that a client demands of the server, such as `kz.adal.example`; an IP address too.
///
/// # Errors
/// [`IdentityError::BadServerName`].
pub fn server_name(name: &str) -> Result<ServerName<'static>, IdentityError> {
    ServerName::try_from(name.to_owned())
        .map_err(|_| IdentityError::BadServerName { name: name.to_owned() })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let text = files::read(path)?;
    CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or(IdentityError::NotPem { path: path.to_path_buf(), what: "certificate" })
}

#[cfg(test)]
mod tests;
