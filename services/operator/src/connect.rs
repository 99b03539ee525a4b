//! The way to a node: address, the person's certificate, the name to expect.

use std::fs;
use std::path::{Path, PathBuf};

use domain::OfficeCode;
use identity::{Role, Subject};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tonic::transport::Channel;
use wire::client::Target;
use wire::pb::command::v1::command_service_client::CommandServiceClient;
use wire::pb::evidence::v1::evidence_service_client::EvidenceServiceClient;
use wire::pb::operator::v1::operator_service_client::OperatorServiceClient;
use wire::pb::query::v1::query_service_client::QueryServiceClient;

use crate::errors::{Failure, Outcome};

/// Where a node listens unless said otherwise: the default of a node's configuration file.
pub const DEFAULT_NODE: &str = "127.0.0.1:7475";
/// Largest answer accepted: a page of 1,000 rows, or a record with its proof.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// How to reach a node, as the person said it.
#[derive(Clone, Debug)]
pub struct Way {
    /// `host:port`.
    pub node: String,
    /// The name that the node's certificate must carry; `None`: follows from the person's.
    pub server_name: Option<String>,
    /// Folder with `<name>.pem`, `<name>.key` and `ca.pem`.
    pub people: PathBuf,
    /// Name of the person's files; `None`: the only one in the folder.
    pub person: Option<String>,
}

/// Who a person's certificate says the holder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Domain of the installation.
    pub domain: String,
    /// Code of the person's office.
    pub office: OfficeCode,
    /// What the person does there.
    pub role: Role,
}

impl Person {
    /// The name that the node of the person's office shows.
    #[must_use]
    pub fn server_name(&self) -> String {
        format!("{}.{}", self.office.lower(), self.domain)
    }
}

impl Way {
    /// Everything that dialling needs, read from the person's files.
    ///
    /// # Errors
    /// A file is missing or is not what it should be; the certificate is not a person's.
    pub fn target(&self) -> Outcome<(Target, Person)> {
        let name = self.person_name()?;
        let file = |end: &str| self.people.join(format!("{name}.{end}"));
        let certificate = read(&file("pem"))?;
        let person = person(&certificate, &file("pem"))?;
        let server_name = self.server_name.clone().unwrap_or_else(|| person.server_name());
        let target = Target {
            address: self.node.clone(),
            server_name,
            authority: read(&self.people.join("ca.pem"))?,
            certificate,
            key: read(&file("key"))?,
        };
        Ok((target, person))
    }

    fn person_name(&self) -> Outcome<String> {
        if let Some(name) = &self.person {
            return Ok(name.clone());
        }
        let names = names(&self.people)?;
        match &names[..] {
            [one] => Ok(one.clone()),
            [] => Err(Failure::usage(format!(
                "{} holds no person's certificate: name the folder with --people, or issue one \
                 with `adal pki issue person`",
                self.people.display()
            ))),
            _ => Err(Failure::usage(format!(
                "{} holds certificates of several people: choose one with --as ({})",
                self.people.display(),
                names.join(", ")
            ))),
        }
    }

    /// Connects now, so that a wrong address or certificate shows at once.
    ///
    /// # Errors
    /// As [`Way::target`]; the node cannot be reached.
    pub async fn connect(&self) -> Outcome<Channel> {
        Ok(self.target()?.0.connect().await?)
    }

    /// The commands of the node.
    ///
    /// # Errors
    /// As [`Way::connect`].
    pub async fn commands(&self) -> Outcome<CommandServiceClient<Channel>> {
        Ok(CommandServiceClient::new(self.connect().await?))
    }

    /// The tables of the node.
    ///
    /// # Errors
    /// As [`Way::connect`].
    pub async fn queries(&self) -> Outcome<QueryServiceClient<Channel>> {
        let client = QueryServiceClient::new(self.connect().await?);
        Ok(client.max_decoding_message_size(ANSWER_BYTES))
    }

    /// The operator's view of the node.
    ///
    /// # Errors
    /// As [`Way::connect`].
    pub async fn operator(&self) -> Outcome<OperatorServiceClient<Channel>> {
        let client = OperatorServiceClient::new(self.connect().await?);
        Ok(client.max_decoding_message_size(ANSWER_BYTES))
    }

    /// The evidence of the node.
    ///
    /// # Errors
    /// As [`Way::connect`].
    pub async fn evidence(&self) -> Outcome<EvidenceServiceClient<Channel>> {
        let client = EvidenceServiceClient::new(self.connect().await?);
        Ok(client.max_decoding_message_size(ANSWER_BYTES))
    }
}

/// Names of the people whose certificate and key lie in a folder.
fn names(folder: &Path) -> Outcome<Vec<String>> {
    let failed = |error: std::io::Error| {
        Failure::wrong(
            format!("read the folder {} (--people, ADAL_PEOPLE)", folder.display()),
            &error,
        )
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_key = path.extension().is_some_and(|end| end == "key");
        if is_key
            && path.with_extension("pem").is_file()
            && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path)
        .map_err(|error| Failure::wrong(format!("read {}", path.display()), &error))
}

/// Who the first certificate of a PEM text belongs to. The domain is taken from the certificate
/// itself: whether the node has the same one, TLS and the node decide.
///
/// # Errors
/// It is no certificate, or no person's.
pub fn person(pem: &str, path: &Path) -> Outcome<Person> {
    let wrong = |why: &str| {
        Failure::usage(format!(
            "{} {why}: `adal pki issue person` makes a person's certificate",
            path.display()
        ))
    };
    let der = CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| wrong("holds no certificate"))?;
    let domain = domain_in(&der).ok_or_else(|| wrong("names nobody of an installation"))?;
    match identity::subject_of(&der, &domain)? {
        Subject::Person { office, role, .. } => {
            let office = office.parse().map_err(|_| wrong("names no valid office"))?;
            Ok(Person { domain, office, role })
        }
        Subject::Node { .. } => Err(wrong("is a node's, not a person's")),
    }
}

/// The domain of the `adal://` name among a certificate's bytes.
fn domain_in(der: &[u8]) -> Option<String> {
    const SCHEME: &[u8] = b"adal://";
    let at = der.windows(SCHEME.len()).position(|window| window == SCHEME)? + SCHEME.len();
    let rest = &der[at..];
    let end = rest.iter().position(|byte| *byte == b'/')?;
    std::str::from_utf8(&rest[..end]).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use identity::{Authority, Validity};
    use uuid::Uuid;

    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let validity = Validity::days(1_700_000_000, 1);
        let authority =
            Authority::create("adal.example", &dir.path().join("pki"), validity).unwrap();
        for name in names {
            authority
                .issue_person("KZ-75", Role::Clerk, Uuid::from_u128(1), validity)
                .unwrap()
                .write_person(&dir.path().join("people"), name)
                .unwrap();
        }
        dir
    }

    fn way(dir: &tempfile::TempDir, person: Option<&str>) -> Way {
        Way {
            node: DEFAULT_NODE.into(),
            server_name: None,
            people: dir.path().join("people"),
            person: person.map(str::to_owned),
        }
    }

    #[test]
    fn the_server_name_follows_from_the_certificate() {
        let dir = folder(&["clerk"]);
        let (target, person) = way(&dir, None).target().unwrap();
        assert_eq!(target.server_name, "kz-75.adal.example");
        assert_eq!((person.office.as_str(), person.role), ("KZ-75", Role::Clerk));
        let named = Way { server_name: Some("localhost".into()), ..way(&dir, Some("clerk")) };
        assert_eq!(named.target().unwrap().0.server_name, "localhost");
    }

    #[test]
    fn errors_say_what_to_do() {
        let dir = folder(&["clerk", "chief"]);
        let several = way(&dir, None).target().err().unwrap();
        assert!(several.text.contains("--as (chief, clerk)"), "{several}");
        let missing = way(&dir, Some("nobody")).target().err().unwrap();
        assert!(missing.text.contains("nobody.pem"), "{missing}");
        let none = Way { people: dir.path().join("none"), ..way(&dir, None) };
        assert!(none.target().err().unwrap().text.contains("--people"));
        let node = person("not a certificate", Path::new("x.pem")).unwrap_err();
        assert!(node.text.contains("adal pki issue person"), "{node}");
    }
}
