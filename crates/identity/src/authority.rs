//! The authority of an installation and the certificates that it issues.
//!
//! Keys are ECDSA P-256. The authority signs end certificates only (path length 0). A node's
//! certificate serves and dials, a person's only dials.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::certificate;
use crate::error::IdentityError;
use crate::files::{self, PUBLIC, SECRET};
use crate::name::{Role, Subject, check_domain, is_dns_name, office_label};

/// File of the authority's certificate, in its own folder and in everybody's.
pub const CA_CERT: &str = "ca.pem";
/// File of the authority's key, in its own folder only.
pub const CA_KEY: &str = "ca.key";
/// File of a node's certificate.
pub const TLS_CERT: &str = "tls.pem";
/// File of a node's TLS key.
pub const TLS_KEY: &str = "tls.key";

const DAY: i64 = 86_400;

/// From when to when a certificate is good, in seconds since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First second.
    pub from: i64,
    /// Last second.
    pub until: i64,
}

impl Validity {
    /// `days` from `now` on, and a day before it for clocks that are behind.
    pub fn days(now: i64, days: u32) -> Validity {
        Validity { from: now.saturating_sub(DAY), until: now.saturating_add(i64::from(days) * DAY) }
    }

    /// An authority's 20 years: longer than the machines it certifies.
    pub fn authority(now: i64) -> Validity {
        Validity::days(now, 20 * 365)
    }

    /// A node's three years.
    pub fn node(now: i64) -> Validity {
        Validity::days(now, 3 * 365)
    }

    /// A person's one year: people change posts.
    pub fn person(now: i64) -> Validity {
        Validity::days(now, 365)
    }

    fn apply(self, params: &mut CertificateParams) -> Result<(), IdentityError> {
        // X.509 knows the years 1950 to 9999; here 1970 on.
        const LAST: i64 = 253_402_300_799;
        if self.from < 0 || self.until <= self.from || self.until > LAST {
            return Err(IdentityError::BadValidity);
        }
        let epoch = date_time_ymd(1970, 1, 1);
        let at = |seconds: i64| epoch + Duration::from_secs(seconds.unsigned_abs());
        (params.not_before, params.not_after) = (at(self.from), at(self.until));
        Ok(())
    }
}

/// An authority with its key.
pub struct Authority {
    domain: String,
    cert_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate just issued, its key, and the authority's certificate, all in PEM.
pub struct Issued {
    subject: Subject,
    cert_pem: String,
    key_pem: Zeroizing<String>,
    ca_pem: String,
}

impl Authority {
    /// Makes a new authority for `domain`, in `dir` (made where it is missing).
    ///
    /// # Errors
    /// [`IdentityError::Exists`] where the folder already holds an authority,
    /// [`IdentityError::BadDomain`], [`IdentityError::BadValidity`], [`IdentityError::Io`],
    /// [`IdentityError::Sign`].
    pub fn create(
        domain: &str,
        dir: &Path,
        validity: Validity,
    ) -> Result<Authority, IdentityError> {
        check_domain(domain)?;
        files::make_folder(dir)?;
        files::none_exists(dir, &[CA_CERT, CA_KEY])?;
        let key = KeyPair::generate()?;
        let mut params = params(&format!("{domain} authority"), validity)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.subject_alt_names = vec![SanType::URI(authority_uri(domain).try_into()?)];
        let cert_pem = params.self_signed(&key)?.pem();
        let key_pem = Zeroizing::new(key.serialize_pem());
        files::write_new(&dir.join(CA_KEY), key_pem.as_bytes(), SECRET)?;
        files::write_new(&dir.join(CA_CERT), cert_pem.as_bytes(), PUBLIC)?;
        let issuer = Issuer::new(params, key);
        Ok(Authority { domain: domain.to_owned(), cert_pem, issuer })
    }

    /// Reads the authority of `dir`.
    ///
    /// # Errors
    /// [`IdentityError::Io`], [`IdentityError::Exposed`], [`IdentityError::NotPem`],
    /// [`IdentityError::NotAnAuthority`] (another program's, or a key of another certificate).
    pub fn load(dir: &Path) -> Result<Authority, IdentityError> {
        let (cert_path, key_path) = (dir.join(CA_CERT), dir.join(CA_KEY));
        let not_pem = |path: &Path, what| IdentityError::NotPem { path: path.to_path_buf(), what };
        let not_ours = |why| IdentityError::NotAnAuthority { path: cert_path.clone(), why };
        let cert_pem = files::read(&cert_path)?;
        let der = CertificateDer::from_pem_slice(cert_pem.as_bytes())
            .map_err(|_| not_pem(&cert_path, "certificate"))?;
        let key_pem = files::read_secret(&key_path)?;
        let key = std::str::from_utf8(&key_pem)
            .ok()
            .and_then(|pem| KeyPair::from_pem(pem).ok())
            .ok_or_else(|| not_pem(&key_path, "private key"))?;
        let parsed =
            certificate::parse(&der).map_err(|_| not_ours("its certificate does not parse"))?;
        if parsed.public_key().subject_public_key.data[..] != *key.public_key_raw() {
            return Err(not_ours("its key belongs to another certificate"));
        }
        let domain = certificate::with_one_uri(&der, |uri| {
            let domain = uri.strip_prefix("adal://").and_then(|r| r.strip_suffix("/authority"));
            domain
                .filter(|domain| check_domain(domain).is_ok())
                .map(str::to_owned)
                .ok_or(IdentityError::BadUri { why: "not an authority's" })
        })
        .map_err(|_| not_ours("its certificate was not made by `adal pki init`"))?;
        let issuer = Issuer::from_ca_cert_der(&der, key)?;
        Ok(Authority { domain, cert_pem, issuer })
    }

    /// Domain of the installation.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The authority's certificate in PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.cert_pem
    }

    /// Issues a certificate to the node of an office. It is good for the names
    /// `<office lower>.<domain>`, `localhost` and 127.0.0.1, and for every name of `hosts`
    /// (IP addresses or lower-case DNS names).
    ///
    /// # Errors
    /// [`IdentityError::BadOffice`], [`IdentityError::BadHost`], [`IdentityError::BadValidity`],
    /// [`IdentityError::Sign`].
    pub fn issue_node(
        &self,
        office: &str,
        hosts: &[String],
        validity: Validity,
    ) -> Result<Issued, IdentityError> {
        let label = office_label(office)?;
        let subject = Subject::Node { office: office.to_owned() };
        let mut params = params(&format!("{label} node"), validity)?;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let mut names = vec![
            SanType::DnsName(format!("{label}.{}", self.domain).try_into()?),
            SanType::DnsName("localhost".try_into()?),
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        ];
        for host in hosts {
            let name = host_name(host)?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.push(SanType::URI(subject.uri(&self.domain).try_into()?));
        params.subject_alt_names = names;
        self.issue(subject, params)
    }

    /// Issues a certificate to a person of an office, named by pseudonym only.
    ///
    /// # Errors
    /// [`IdentityError::BadOffice`], [`IdentityError::BadPerson`] (the nil UUID, which means
    /// nobody), [`IdentityError::BadValidity`], [`IdentityError::Sign`].
    pub fn issue_person(
        &self,
        office: &str,
        role: Role,
        id: Uuid,
        validity: Validity,
    ) -> Result<Issued, IdentityError> {
        office_label(office)?;
        if id.is_nil() {
            let rule = "the nil UUID means nobody";
            return Err(IdentityError::BadPerson { what: "the id", rule });
        }
        let subject = Subject::Person { office: office.to_owned(), id, role };
        let mut params = params(&id.to_string(), validity)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = vec![SanType::URI(subject.uri(&self.domain).try_into()?)];
        self.issue(subject, params)
    }

    fn issue(
        &self,
        subject: Subject,
        mut params: CertificateParams,
    ) -> Result<Issued, IdentityError> {
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.is_ca = IsCa::ExplicitNoCa;
        let key = KeyPair::generate()?;
        let cert: Certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            subject,
            cert_pem: cert.pem(),
            key_pem: Zeroizing::new(key.serialize_pem()),
            ca_pem: self.cert_pem.clone(),
        })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("domain", &self.domain).finish_non_exhaustive()
    }
}

impl Issued {
    /// Whom it was issued to.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The certificate in PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.cert_pem
    }

    /// The private key in PEM (PKCS #8). Secret.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// Writes `tls.pem`, `tls.key` (0600) and `ca.pem` into a node's folder.
    ///
    /// # Errors
    /// [`IdentityError::Exists`] where a certificate or key is there, or the certificate of
    /// another authority; [`IdentityError::Io`].
    pub fn write_node(&self, dir: &Path) -> Result<(), IdentityError> {
        self.write(dir, TLS_CERT, TLS_KEY)
    }

    /// Writes `<name>.pem`, `<name>.key` (0600) and `ca.pem` into a person's folder.
    ///
    /// # Errors
    /// As [`Issued::write_node`], and [`IdentityError::BadPerson`] where the name is not 1 to 64
    /// of `a-z 0-9 -` or is taken (`ca`, `tls`, `log`, `witness`, `mirror`, `vault`).
    pub fn write_person(&self, dir: &Path, name: &str) -> Result<(), IdentityError> {
        check_file_name(name)?;
        self.write(dir, &format!("{name}.pem"), &format!("{name}.key"))
    }

    fn write(&self, dir: &Path, cert: &str, key: &str) -> Result<(), IdentityError> {
        files::make_folder(dir)?;
        files::none_exists(dir, &[cert, key])?;
        let ca = dir.join(CA_CERT);
        match files::none_exists(dir, &[CA_CERT]) {
            Ok(()) => files::write_new(&ca, self.ca_pem.as_bytes(), PUBLIC)?,
            Err(IdentityError::Exists { .. }) if files::read(&ca)? == self.ca_pem => {}
            Err(error) => return Err(error),
        }
        files::write_new(&dir.join(key), self.key_pem.as_bytes(), SECRET)?;
        files::write_new(&dir.join(cert), self.cert_pem.as_bytes(), PUBLIC)
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Checks the name of a person's files.
pub(crate) fn check_file_name(name: &str) -> Result<(), IdentityError> {
    const TAKEN: [&str; 6] = ["ca", "tls", "log", "witness", "mirror", "vault"];
    let part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let good = (1..=64).contains(&name.len()) && name.bytes().all(part) && !TAKEN.contains(&name);
    let rule = "1 to 64 of a-z 0-9 -, and none of ca, tls, log, witness, mirror, vault";
    good.then_some(()).ok_or(IdentityError::BadPerson { what: "the file name", rule })
}

fn authority_uri(domain: &str) -> String {
    format!("adal://{domain}/authority")
}

fn params(common_name: &str, validity: Validity) -> Result<CertificateParams, IdentityError> {
    let mut params = CertificateParams::default();
    validity.apply(&mut params)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "adal");
    name.push(DnType::CommonName, common_name);
    params.distinguished_name = name;
    Ok(params)
}

fn host_name(host: &str) -> Result<SanType, IdentityError> {
    if let Ok(ip) = host.parse() {
        return Ok(SanType::IpAddress(ip));
    }
    match is_dns_name(host) {
        true => Ok(SanType::DnsName(host.try_into()?)),
        false => Err(IdentityError::BadHost { name: host.to_owned() }),
    }
}

#[cfg(test)]
mod tests;
