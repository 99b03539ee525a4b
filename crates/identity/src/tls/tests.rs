use super::*;
use crate::authority::{Authority, Validity};
use crate::name::Role;
use std::io;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use uuid::Uuid;

const DOMAIN: &str = "adal.example";
const ID: Uuid = Uuid::from_u128(7);

/// Certificates are checked against the real clock, so they must be issued by it.
#[allow(clippy::disallowed_methods)]
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_secs() as i64
}

struct World {
    dir: TempDir,
    ours: Authority,
    theirs: Authority,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let make = |name| {
            Authority::create(DOMAIN, &dir.path().join(name), Validity::authority(now())).unwrap()
        };
        let (ours, theirs) = (make("ours"), make("theirs"));
        World { dir, ours, theirs }
    }

    fn node(&self, authority: &Authority, office: &str, validity: Validity) -> Credentials {
        let dir = self.dir.path().join(Uuid::now_v7().to_string());
        authority.issue_node(office, &[], validity).unwrap().write_node(&dir).unwrap();
        Credentials::node(&dir).unwrap()
    }

    fn person(&self, authority: &Authority) -> Credentials {
        let dir = self.dir.path().join(Uuid::now_v7().to_string());
        let validity = Validity::person(now());
        let issued = authority.issue_person("KZ-75", Role::Clerk, ID, validity).unwrap();
        issued.write_person(&dir, "clerk").unwrap();
        Credentials::person(&dir, "clerk").unwrap()
    }

    fn centre(&self) -> Credentials {
        self.node(&self.ours, "KZ", Validity::node(now()))
    }
}

/// What the server learnt of the client, after both sides sent and received a byte. (In TLS 1.3 a
/// client learns only by reading that the server refused its certificate.)
async fn handshake(
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    name: &str,
) -> (io::Result<Subject>, io::Result<()>) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let serve = async {
        let mut stream = TlsAcceptor::from(server).accept(far).await?;
        let (_, session) = stream.get_ref();
        assert_eq!(session.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
        assert_eq!(session.alpn_protocol(), Some(ALPN));
        let leaf = session.peer_certificates().unwrap()[0].clone();
        stream.write_all(b"s").await?;
        stream.flush().await?;
        stream.read_u8().await?;
        Ok(subject_of(&leaf, DOMAIN).unwrap())
    };
    let name = server_name(name).unwrap();
    let dial = async {
        let mut stream = TlsConnector::from(client).connect(name, near).await?;
        stream.write_all(b"c").await?;
        stream.flush().await?;
        stream.read_u8().await?;
        Ok(())
    };
    tokio::join!(serve, dial)
}

fn refused<T: std::fmt::Debug>(result: io::Result<T>, part: &str) {
    let text = format!("{:?}", result.unwrap_err());
    assert!(text.contains(part), "{text}");
}

#[tokio::test]
async fn nodes_and_people_of_one_authority_meet() {
    let world = World::new();
    let server = server_config(&world.centre()).unwrap();
    let region = world.node(&world.ours, "KZ-75", Validity::node(now()));
    let clerk = world.person(&world.ours);
    assert_eq!(region.subject(DOMAIN).unwrap(), Subject::Node { office: "KZ-75".into() });
    for client in [&region, &clerk] {
        for name in ["kz.adal.example", "localhost", "127.0.0.1"] {
            let config = client_config(client).unwrap();
            let (served, dialled) = handshake(server.clone(), config, name).await;
            assert_eq!(served.unwrap(), client.subject(DOMAIN).unwrap());
            dialled.unwrap();
        }
    }
}

#[tokio::test]
async fn another_authority_is_refused_by_both_sides() {
    let world = World::new();
    let ours = world.centre();
    // Same domain, same names, same office: only the signature differs.
    let theirs = world.node(&world.theirs, "KZ", Validity::node(now()));
    let their_clerk = world.person(&world.theirs);

    // A stranger who trusts our authority but was certified by another one.
    for stranger in [&theirs, &their_clerk] {
        let stranger = Credentials {
            path: stranger.path.clone(),
            chain: stranger.chain.clone(),
            key: stranger.key.clone_key(),
            authorities: ours.authorities.clone(),
        };
        let client = client_config(&stranger).unwrap();
        let server = server_config(&ours).unwrap();
        let (served, dialled) = handshake(server, client, "kz.adal.example").await;
        refused(served, "BadSignature");
        assert!(dialled.is_err());
    }

    // A server of another authority.
    let server = server_config(&theirs).unwrap();
    let client = client_config(&ours).unwrap();
    let (served, dialled) = handshake(server, client, "kz.adal.example").await;
    refused(dialled, "BadSignature");
    assert!(served.is_err());
}

#[tokio::test]
async fn a_client_without_certificate_is_refused() {
    let world = World::new();
    let ours = world.centre();
    let mut anonymous = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(ours.roots().unwrap())
        .with_no_client_auth();
    anonymous.alpn_protocols = vec![ALPN.to_vec()];
    let server = server_config(&ours).unwrap();
    let (served, dialled) = handshake(server, Arc::new(anonymous), "kz.adal.example").await;
    refused(served, "NoCertificatesPresented");
    refused(dialled, "CertificateRequired");
}

#[tokio::test]
async fn a_wrong_name_a_person_as_server_and_old_certificates_are_refused() {
    let world = World::new();
    let centre = world.centre();
    let region = world.node(&world.ours, "KZ-75", Validity::node(now()));
    let server = server_config(&region).unwrap();
    let client = client_config(&centre).unwrap();
    let (_, dialled) = handshake(server, client.clone(), "kz.adal.example").await;
    refused(dialled, "NotValidForName");

    let clerk = server_config(&world.person(&world.ours)).unwrap();
    let (_, dialled) = handshake(clerk, client, "kz.adal.example").await;
    assert!(dialled.is_err());

    let old = Validity { from: now() - 2000, until: now() - 1000 };
    let old = client_config(&world.node(&world.ours, "KZ-75", old)).unwrap();
    let server = server_config(&centre).unwrap();
    let (served, _) = handshake(server, old, "kz.adal.example").await;
    refused(served, "Expired");
}

#[test]
fn errors_name_the_file() {
    let world = World::new();
    let dir = world.dir.path().join("node");
    let issued = world.ours.issue_node("KZ", &[], Validity::node(now())).unwrap();
    issued.write_node(&dir).unwrap();
    let other = world.ours.issue_node("KZ", &[], Validity::node(now())).unwrap();
    std::fs::write(dir.join(TLS_KEY), other.key_pem()).unwrap();
    let mixed = Credentials::node(&dir).unwrap();
    for error in [server_config(&mixed).err(), client_config(&mixed).err()] {
        let text = error.unwrap().to_string();
        assert!(text.contains(TLS_CERT), "{text}");
    }
    assert!(!format!("{mixed:?}").contains("key"), "{mixed:?}");
    for (file, what) in [(TLS_KEY, "private key"), (TLS_CERT, "certificate")] {
        std::fs::write(dir.join(file), "nothing").unwrap();
        let text = Credentials::node(&dir).unwrap_err().to_string();
        assert!(text.contains(file) && text.contains(what), "{text}");
        std::fs::remove_file(dir.join(file)).unwrap();
        let text = Credentials::node(&dir).unwrap_err().to_string();
        assert!(text.contains(file), "{text}");
        std::fs::write(dir.join(file), other.certificate_pem()).unwrap();
    }
    assert!(server_name("not a name").is_err());
}
