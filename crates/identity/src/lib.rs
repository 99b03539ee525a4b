//! Who is who: the authority of an installation, certificates of nodes and people, and the keys
//! that sign logs.
//!
//! # Scope
//! An authority issues X.509 certificates whose one URI name says who the holder is
//! ([`Subject`]); the TLS configurations of both sides accept nothing that another authority
//! issued; [`subject_of`] reads the name of a peer. Beside TLS, every node has three Ed25519
//! keys of its own, for its logs and for its roles as witness and mirror (C2SP tlog-checkpoint,
//! tlog-cosignature); [`PublicKeys`] and [`Trust`] carry their public halves.
//!
//! # Files
//! | folder | files |
//! |---|---|
//! | authority | `ca.pem` `ca.key` (offline, never on a node) |
//! | node, TLS | `tls.pem` `tls.key` `ca.pem` |
//! | the same | `log.key` `witness.key` `mirror.key` `vault.key` `public.toml` `trust.toml` |
//! | the same, made by the node, in `keys` of its data folder | `log+e2.key` .. `public.toml` |
//! | person | `<name>.pem` `<name>.key` `ca.pem` |
//!
//! Secret files have mode 0600, are written durably once and never overwritten.
//!
//! # Not in scope
//! Enrolment of offices (a fact in a log), revocation lists, who may do what (`node`), notes and
//! signatures (`evidence`), the vault's use of its root key (`vault`).
//!
//! # Modules
//! * [`name`]: domains, office codes, roles, subjects and their URI.
//! * [`certificate`]: reads a peer's subject from its certificate.
//! * [`authority`]: makes an authority, issues certificates.
//! * [`tls`]: credentials and rustls configurations.
//! * [`keys`]: a node's signing keys and their public halves.
//! * [`LogKeys`]: the key of each epoch of a node's logs.
//! * [`trust`]: the public keys every node of an installation starts from.
//! * [`error`]: what can go wrong.

pub mod authority;
pub mod certificate;
pub mod error;
mod files;
pub mod keys;
mod log_keys;
pub mod name;
pub mod tls;
pub mod trust;

pub use authority::{Authority, Issued, Validity};
pub use certificate::{fingerprint, subject_of};
pub use error::IdentityError;
pub use keys::{NodeKeys, PublicKeys};
pub use log_keys::{LogKeys, log_key_epochs, log_key_file};
pub use name::{Role, Subject};
pub use tls::{Credentials, client_config, server_config, server_name};
pub use trust::{CentreKeys, Trust};
