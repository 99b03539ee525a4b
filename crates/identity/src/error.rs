//! What can go wrong with identities. No variant carries a key.

use std::io;
use std::path::{Path, PathBuf};

/// An operation on identities failed. Messages name the file and say what to do; the cause, where
/// there is one, is the source of the error and is not repeated in the text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A file operation failed.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried, as a short verb phrase.
        action: &'static str,
        /// The file or folder it was tried on.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file that would be made exists; it is never overwritten.
    #[error("{} exists and is not overwritten: move it away first", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Everybody on the machine may read a secret file.
    #[error("{} may be read by everybody (mode {mode:o}): run chmod 600 on it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key file does not hold an Ed25519 seed.
    #[error(
        "{} is not a key file: it must hold 64 hexadecimal digits; restore it, or make new keys \
         in an empty folder and enrol them",
        path.display()
    )]
    NotASeed {
        /// The file.
        path: PathBuf,
    },
    /// A PEM file does not hold what it should.
    #[error("{} holds no {what} in PEM form: issue it again with `adal pki issue`", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
    },
    /// The files of an authority do not belong together or are not an authority's.
    #[error("{} is not usable as an authority: {why}", path.display())]
    NotAnAuthority {
        /// The authority's certificate.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// A configuration file is not what it should be.
    #[error("{} does not read as {what}: correct it or make it anew", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
        /// Line and reason.
        source: Box<toml::de::Error>,
    },
    /// A public key in a file is not an Ed25519 public key.
    #[error("{}: `{field}` is not an Ed25519 public key in base64", path.display())]
    BadPublicKey {
        /// The file.
        path: PathBuf,
        /// Name of the key in the file.
        field: &'static str,
    },
    /// A domain is not lower-case DNS labels.
    #[error("the domain {domain:?} is not lower-case DNS labels such as adal.example")]
    BadDomain {
        /// What was given.
        domain: String,
    },
    /// An office code is not of the form of ISO 3166-2.
    #[error("the office code {office:?} is not two capitals, or those with -1 to 3 of A-Z 0-9")]
    BadOffice {
        /// What was given.
        office: String,
    },
    /// A further name of a node is neither an IP address nor a DNS name.
    #[error("{name:?} is neither an IP address nor a lower-case DNS name")]
    BadHost {
        /// What was given.
        name: String,
    },
    /// A person's file name holds other characters than `a-z 0-9 -`, or the id is nil.
    #[error("{what} is not usable for a person: {rule}")]
    BadPerson {
        /// Which part.
        what: &'static str,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// The validity asked for ends before it begins or leaves the years 1950 to 9999.
    #[error("the validity asked for is not a span of time between 1950 and 9999")]
    BadValidity,
    /// A certificate does not parse.
    #[error("the certificate does not parse as X.509")]
    NotACertificate,
    /// A certificate names nobody of ours.
    #[error("the certificate has {found} URI names, it must have exactly one adal:// name")]
    NotOneUri {
        /// How many it has.
        found: usize,
    },
    /// A certificate's URI name belongs to another installation.
    #[error("the certificate is for another domain, this installation is {expected}")]
    ForeignDomain {
        /// The domain of this installation.
        expected: String,
    },
    /// A certificate's URI name is not one of the two forms.
    #[error("the certificate's URI name is not that of a node or a person ({why})")]
    BadUri {
        /// Which part is wrong.
        why: &'static str,
    },
    /// Making or signing a certificate failed.
    #[error("sign certificate")]
    Sign {
        /// What the library said.
        source: rcgen::Error,
    },
    /// Credentials do not make a TLS configuration.
    #[error("{} and its key and authority do not make a TLS identity", path.display())]
    Tls {
        /// The certificate.
        path: PathBuf,
        /// What the library said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A name to dial is neither an IP address nor a DNS name.
    #[error("the server name {name:?} is neither an IP address nor a DNS name")]
    BadServerName {
        /// What was given.
        name: String,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
}

impl IdentityError {
    /// Wraps an operating system error together with what was tried on which file.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| IdentityError::Io { action, path, source }
    }
}

impl From<rcgen::Error> for IdentityError {
    fn from(source: rcgen::Error) -> Self {
        IdentityError::Sign { source }
    }
}
