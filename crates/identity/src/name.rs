//! Domains, office codes, roles and the URI names that certificates carry.
//!
//! `adal://<domain>/node/<office lower>` and
//! `adal://<domain>/person/<office lower>/<uuid>/<role>`, written in exactly one way: no port,
//! query, escape, capital or trailing slash, so that equal subjects have equal bytes.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::error::IdentityError;

/// Longest domain in bytes: with the longest office label it stays a DNS name (253).
const MAX_DOMAIN: usize = 200;

/// What a person does in an office; decides which commands the node accepts from him.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Records contacts, appeals, receptions, measures.
    Clerk,
    /// Head of an office: decides and approves.
    Chief,
    /// Runs the machine; sees no sealed text.
    Operator,
    /// Officer of the national department.
    National,
    /// Reads and checks, changes nothing.
    Auditor,
}

impl Role {
    /// Every role, in the order of the enum.
    pub const ALL: [Role; 5] =
        [Role::Clerk, Role::Chief, Role::Operator, Role::National, Role::Auditor];

    /// The role's word in a certificate.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Clerk => "clerk",
            Role::Chief => "chief",
            Role::Operator => "operator",
            Role::National => "national",
            Role::Auditor => "auditor",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Role, IdentityError> {
        Role::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(IdentityError::BadUri { why: "unknown role" })
    }
}

/// Whom a certificate belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The machine of an office.
    Node {
        /// Office code in capitals, such as `KZ-75`.
        office: String,
    },
    /// A person, by pseudonym.
    Person {
        /// Code of the office the person works in.
        office: String,
        /// The person's pseudonym; the name behind it is in no certificate and no log.
        id: Uuid,
        /// What the person does there.
        role: Role,
    },
}

impl Subject {
    /// Code of the subject's office, in capitals.
    pub fn office(&self) -> &str {
        match self {
            Subject::Node { office } | Subject::Person { office, .. } => office,
        }
    }

    /// The subject's URI name in this domain.
    pub fn uri(&self, domain: &str) -> String {
        match self {
            Subject::Node { office } => {
                format!("adal://{domain}/node/{}", office.to_ascii_lowercase())
            }
            Subject::Person { office, id, role } => {
                let office = office.to_ascii_lowercase();
                format!("adal://{domain}/person/{office}/{}/{role}", id.as_hyphenated())
            }
        }
    }

    /// Reads a URI name; it must be exactly what [`Subject::uri`] writes.
    ///
    /// # Errors
    /// [`IdentityError::ForeignDomain`] and [`IdentityError::BadUri`].
    pub fn from_uri(uri: &str, domain: &str) -> Result<Subject, IdentityError> {
        let bad = |why| IdentityError::BadUri { why };
        let rest = uri.strip_prefix("adal://").ok_or(bad("not adal://"))?;
        let (found, path) = rest.split_once('/').ok_or(bad("no path"))?;
        if found != domain {
            return Err(IdentityError::ForeignDomain { expected: domain.to_owned() });
        }
        let subject = match path.split('/').collect::<Vec<_>>()[..] {
            ["node", office] => Subject::Node { office: office_of_label(office)? },
            ["person", office, id, role] => Subject::Person {
                office: office_of_label(office)?,
                id: Uuid::try_parse(id).map_err(|_| bad("the person's id is no UUID"))?,
                role: role.parse()?,
            },
            _ => return Err(bad("neither node nor person")),
        };
        match subject.uri(domain) == uri {
            true => Ok(subject),
            false => Err(bad("not written in the one form")),
        }
    }
}

/// The label of an office in names and URIs: `KZ-75` is `kz-75`.
///
/// # Errors
/// [`IdentityError::BadOffice`]: codes are two capitals, or those with `-` and 1 to 3 of
/// `A-Z 0-9` (ISO 3166-2).
pub fn office_label(office: &str) -> Result<String, IdentityError> {
    let capital = |b: &u8| b.is_ascii_uppercase();
    let good = match office.as_bytes() {
        [a, b] => capital(a) && capital(b),
        [a, b, b'-', rest @ ..] => {
            let part = |b: &u8| capital(b) || b.is_ascii_digit();
            capital(a) && capital(b) && (1..=3).contains(&rest.len()) && rest.iter().all(part)
        }
        _ => false,
    };
    match good {
        true => Ok(office.to_ascii_lowercase()),
        false => Err(IdentityError::BadOffice { office: office.to_owned() }),
    }
}

fn office_of_label(label: &str) -> Result<String, IdentityError> {
    let office = label.to_ascii_uppercase();
    office_label(&office).map_err(|_| IdentityError::BadUri { why: "no office code" })?;
    Ok(office)
}

/// Checks a domain: lower-case DNS labels, at most 200 bytes.
///
/// # Errors
/// [`IdentityError::BadDomain`].
pub fn check_domain(domain: &str) -> Result<(), IdentityError> {
    match domain.len() <= MAX_DOMAIN && is_dns_name(domain) {
        true => Ok(()),
        false => Err(IdentityError::BadDomain { domain: domain.to_owned() }),
    }
}

/// Lower-case letters, digits and inner hyphens in labels of 1 to 63 bytes, 253 in all.
pub(crate) fn is_dns_name(name: &str) -> bool {
    let part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(part)
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DOMAIN: &str = "adal.example";
    const ID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

    fn person() -> Subject {
        Subject::Person { office: "KZ-75".into(), id: ID.parse().unwrap(), role: Role::Clerk }
    }

    #[test]
    fn uris_are_as_documented() {
        let node = Subject::Node { office: "KZ-75".into() };
        assert_eq!(node.uri(DOMAIN), "adal://adal.example/node/kz-75");
        assert_eq!(person().uri(DOMAIN), format!("adal://adal.example/person/kz-75/{ID}/clerk"));
        assert_eq!(person().office(), "KZ-75");
    }

    #[test]
    fn only_the_one_form_is_read() {
        let id_upper = ID.to_uppercase();
        let id_plain = ID.replace('-', "");
        for uri in [
            "",
            "adal://adal.example",
            "adal://adal.example/",
            "adal://adal.example/node",
            "adal://adal.example/node/",
            "adal://adal.example/node/KZ-75",
            "adal://adal.example/node/kz-75/",
            "adal://adal.example/node/kz-75?x",
            "adal://adal.example/node/kz_75",
            "adal://adal.example/node/kz-7575",
            "adal://adal.example:1/node/kz-75",
            "adal://adal.example/Node/kz-75",
            "adal://adal.example/node/kz%2d75",
            "adal://other.example/node/kz-75",
            "adal://adal.example.evil/node/kz-75",
            "http://adal.example/node/kz-75",
            &format!("adal://adal.example/person/kz-75/{ID}"),
            &format!("adal://adal.example/person/kz-75/{ID}/king"),
            &format!("adal://adal.example/person/kz-75/{ID}/Clerk"),
            &format!("adal://adal.example/person/kz-75/{ID}/clerk/more"),
            &format!("adal://adal.example/person/kz-75/{id_upper}/clerk"),
            &format!("adal://adal.example/person/kz-75/{id_plain}/clerk"),
            &format!("adal://adal.example/person/kz-75/{{{ID}}}/clerk"),
        ] {
            assert!(Subject::from_uri(uri, DOMAIN).is_err(), "{uri}");
        }
        let foreign = Subject::from_uri("adal://other.example/node/kz", DOMAIN).unwrap_err();
        assert!(matches!(foreign, IdentityError::ForeignDomain { .. }), "{foreign}");
    }

    #[test]
    fn codes_and_domains_are_checked() {
        for office in ["KZ", "KZ-75", "KZ-1", "KZ-ALA"] {
            assert_eq!(office_label(office).unwrap(), office.to_lowercase());
        }
        for office in ["", "K", "kz", "KZ-", "KZ75", "KZ-75A1", "KZ-a", "KZ-75/x", "ҚЗ"] {
            assert!(office_label(office).is_err(), "{office}");
        }
        let long = ["a"; 110].join(".");
        for domain in ["", "Adal.example", "a..b", "-a.b", "a-.b", "a_b", "a/b", "a b", &long] {
            assert!(check_domain(domain).is_err(), "{domain}");
        }
        assert!(check_domain("adal.example").is_ok() && check_domain("adal").is_ok());
    }

    proptest! {
        #[test]
        fn every_subject_comes_back(
            office in "[A-Z]{2}(-[A-Z0-9]{1,3})?",
            id in any::<u128>(),
            role in prop::sample::select(&Role::ALL[..]),
        ) {
            let person =
                Subject::Person { office: office.clone(), id: Uuid::from_u128(id), role };
            for subject in [person, Subject::Node { office }] {
                let uri = subject.uri(DOMAIN);
                prop_assert_eq!(Subject::from_uri(&uri, DOMAIN).unwrap(), subject);
            }
        }

        #[test]
        fn whatever_is_read_is_written_the_same(uri in "adal://adal\\.example/[a-z0-9/-]{0,60}") {
            if let Ok(subject) = Subject::from_uri(&uri, DOMAIN) {
                prop_assert_eq!(subject.uri(DOMAIN), uri);
            }
        }
    }
}
