use super::*;
use crate::certificate::subject_of;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const DOMAIN: &str = "adal.example";
/// 2026-01-01.
const NOW: i64 = 1_767_225_600;
const ID: Uuid = Uuid::from_u128(0x0190_163d_8694_739b_aea5_966c_26f8_ad91);

fn authority(dir: &Path) -> Authority {
    Authority::create(DOMAIN, dir, Validity::authority(NOW)).unwrap()
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

#[test]
fn an_authority_comes_back_and_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let made = authority(dir.path());
    let read = Authority::load(dir.path()).unwrap();
    assert_eq!((read.domain(), read.certificate_pem()), (DOMAIN, made.certificate_pem()));
    let meta = fs::metadata(dir.path().join(CA_KEY)).unwrap();
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    let again = Authority::create(DOMAIN, dir.path(), Validity::authority(NOW));
    assert!(matches!(again, Err(IdentityError::Exists { .. })));
    assert_eq!(format!("{made:?}"), "Authority { domain: \"adal.example\", .. }");
    let issued = read.issue_node("KZ", &[], Validity::node(NOW)).unwrap();
    let parent = der(made.certificate_pem());
    let (issued, parent) = (der(issued.certificate_pem()), certificate::parse(&parent).unwrap());
    assert_eq!(certificate::parse(&issued).unwrap().issuer(), parent.subject());
}

#[test]
fn certificates_name_their_holder() {
    let dir = tempfile::tempdir().unwrap();
    let authority = authority(dir.path());
    let hosts = ["10.1.2.3".into(), "node.kz-75.gov.example".into(), "localhost".into()];
    let node = authority.issue_node("KZ-75", &hosts, Validity::node(NOW)).unwrap();
    let cert = der(node.certificate_pem());
    assert_eq!(subject_of(&cert, DOMAIN).unwrap(), Subject::Node { office: "KZ-75".into() });
    assert!(matches!(subject_of(&cert, "other"), Err(IdentityError::ForeignDomain { .. })));
    let parsed = certificate::parse(&cert).unwrap();
    let names = &parsed.subject_alternative_name().unwrap().unwrap().value.general_names;
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    assert_eq!(
        names,
        [
            "DNSName(kz-75.adal.example)",
            "DNSName(localhost)",
            "IPAddress(7f:00:00:01)",
            "IPAddress(0a:01:02:03)",
            "DNSName(node.kz-75.gov.example)",
            "URI(adal://adal.example/node/kz-75)",
        ]
    );
    assert_eq!(parsed.validity().not_before.timestamp(), NOW - 86_400);
    assert_eq!(parsed.validity().not_after.timestamp(), NOW + 3 * 365 * 86_400);
    assert!(!parsed.is_ca());

    let person = authority.issue_person("KZ", Role::National, ID, Validity::person(NOW)).unwrap();
    let cert = der(person.certificate_pem());
    let subject = Subject::Person { office: "KZ".into(), id: ID, role: Role::National };
    assert_eq!((&subject_of(&cert, DOMAIN).unwrap(), person.subject()), (&subject, &subject));
    let parsed = certificate::parse(&cert).unwrap();
    let usage = parsed.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth);
    assert_eq!(parsed.subject().to_string(), format!("O=adal, CN={ID}"));
}

#[test]
fn bad_requests_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let authority = authority(dir.path());
    let valid = Validity::node(NOW);
    assert!(authority.issue_node("kz-75", &[], valid).is_err());
    for host in ["", "Host", "a b", "*.example", "1.2.3.4:80", "https://x"] {
        let result = authority.issue_node("KZ-75", &[host.to_owned()], valid);
        assert!(matches!(result, Err(IdentityError::BadHost { .. })), "{host:?}");
    }
    let nobody = authority.issue_person("KZ-75", Role::Clerk, Uuid::nil(), valid);
    assert!(matches!(nobody, Err(IdentityError::BadPerson { .. })));
    for (from, until) in [(-1, 5), (5, 5), (6, 5), (0, i64::MAX)] {
        let result = authority.issue_node("KZ-75", &[], Validity { from, until });
        assert!(matches!(result, Err(IdentityError::BadValidity)), "{from} {until}");
    }
    let other = dir.path().join("other");
    for domain in ["", "Adal", "a/b"] {
        assert!(Authority::create(domain, &other, valid).is_err(), "{domain:?}");
    }
}

#[test]
fn files_are_written_once_and_never_mix_authorities() {
    let dir = tempfile::tempdir().unwrap();
    let first = authority(&dir.path().join("a"));
    let second = authority(&dir.path().join("b"));
    let keys = dir.path().join("keys");
    let node = first.issue_node("KZ-75", &[], Validity::node(NOW)).unwrap();
    node.write_node(&keys).unwrap();
    let mode = fs::metadata(keys.join(TLS_KEY)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(matches!(node.write_node(&keys), Err(IdentityError::Exists { .. })));
    let clerk = first.issue_person("KZ-75", Role::Clerk, ID, Validity::person(NOW)).unwrap();
    clerk.write_person(&keys, "clerk").unwrap();
    for name in ["", "ca", "vault", "../x", "Clerk", "a.b"] {
        let result = clerk.write_person(&keys, name);
        assert!(matches!(result, Err(IdentityError::BadPerson { .. })), "{name:?}");
    }
    let other = second.issue_person("KZ-75", Role::Chief, ID, Validity::person(NOW)).unwrap();
    let error = other.write_person(&keys, "chief").unwrap_err();
    assert!(matches!(&error, IdentityError::Exists { path } if path.ends_with(CA_CERT)), "{error}");
    assert!(!keys.join("chief.key").exists());
}

#[test]
fn files_that_do_not_belong_together_are_no_authority() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    authority(&a);
    let node = authority(&b).issue_node("KZ", &[], Validity::node(NOW)).unwrap();
    fs::copy(a.join(CA_KEY), b.join(CA_KEY)).unwrap();
    let error = Authority::load(&b).unwrap_err().to_string();
    assert!(error.contains(CA_CERT) && error.contains("another certificate"), "{error}");
    fs::write(b.join(CA_CERT), node.certificate_pem()).unwrap();
    fs::write(b.join(CA_KEY), node.key_pem()).unwrap();
    let error = Authority::load(&b).unwrap_err().to_string();
    assert!(error.contains("adal pki init"), "{error}");
    fs::write(b.join(CA_KEY), "no key").unwrap();
    let error = Authority::load(&b).unwrap_err().to_string();
    assert!(error.contains(CA_KEY) && error.contains("private key"), "{error}");
}

/// `subject_of` on certificates that this authority would not issue.
#[test]
fn other_certificates_have_no_subject() {
    let key = KeyPair::generate().unwrap();
    let with = |names: Vec<SanType>| {
        let mut params = params("x", Validity::node(NOW)).unwrap();
        params.subject_alt_names = names;
        params.self_signed(&key).unwrap().der().clone()
    };
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let node = "adal://adal.example/node/kz-75";
    let none = with(vec![SanType::DnsName(DOMAIN.try_into().unwrap())]);
    let two = with(vec![uri(node), uri(node)]);
    let other = with(vec![uri("https://adal.example/node/kz-75")]);
    let found = |cert: &CertificateDer<'_>| subject_of(cert, DOMAIN).unwrap_err();
    assert!(matches!(found(&none), IdentityError::NotOneUri { found: 0 }));
    assert!(matches!(found(&with(vec![])), IdentityError::NotOneUri { found: 0 }));
    assert!(matches!(found(&two), IdentityError::NotOneUri { found: 2 }));
    assert!(matches!(found(&other), IdentityError::BadUri { .. }));
    let good = with(vec![uri(node)]);
    assert!(subject_of(&good, DOMAIN).is_ok());
    let trailing = [&good[..], b"x"].concat();
    for bad in [&good[1..], &trailing[..], b""] {
        assert!(matches!(subject_of(bad, DOMAIN), Err(IdentityError::NotACertificate)));
    }
}
