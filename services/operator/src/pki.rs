//! `adal pki`: a development authority in files. See `identity` for what they hold.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use identity::keys::{LOG_KEY, MIRROR_KEY, PUBLIC_KEYS, VAULT_KEY, WITNESS_KEY};
use identity::trust::TRUST;
use identity::{Authority, LogKeys, NodeKeys, PublicKeys, Role, Trust, Validity};
use uuid::Uuid;
use vault::{RecoveryPublic, RecoverySecret};

use crate::errors::{Failure, Outcome};
use crate::input;
use crate::output::{Cell, Output, Row, hex};

/// Code of the centre.
const CENTRE: &str = "KZ";
/// Folder of the centre's signing keys inside the authority's, until they are handed out.
const CENTRE_KEYS: &str = "centre";

/// Files of the national recovery key: its secret half, and the half that every node has.
const RECOVERY_KEY: &str = "recovery.key";
const RECOVERY_PUBLIC: &str = "recovery.pub";

/// Commands of the authority.
#[derive(Debug, Subcommand)]
pub enum PkiCommand {
    /// Make an authority, the centre's signing keys, trust.toml and the recovery key
    Init(InitArgs),
    /// Make the recovery key of an authority that has none
    RecoveryKey(RecoveryKeyArgs),
    /// Issue a certificate
    #[command(subcommand)]
    Issue(IssueCommand),
    /// Show the authority, the centre's public keys, or a certificate
    Show(ShowArgs),
}

/// The authority to make.
#[derive(Debug, Args)]
#[command(after_help = "DIR/ca.key can name anybody as anything, DIR/recovery.key opens every \
                        sealed text of the country: keep both offline.\n\n\
                        Example: adal pki init --domain adal.example --dir pki")]
pub struct InitArgs {
    /// Domain of the installation: lower-case DNS labels, never changed afterwards.
    #[arg(long, default_value = "adal.example")]
    domain: String,
    /// Folder of the authority.
    #[arg(long, default_value = "pki")]
    dir: PathBuf,
}

/// Whose recovery key.
#[derive(Debug, Args)]
#[command(
    after_help = "DIR/recovery.key opens every sealed text of the country: keep it offline. \
                        DIR/recovery.pub belongs into the folder of keys of every node, of the \
                        regions before the centre's; nodes read it when they start.\n\n\
                        Example: adal pki recovery-key --dir pki"
)]
pub struct RecoveryKeyArgs {
    /// Folder of the authority.
    #[arg(long, default_value = "pki")]
    dir: PathBuf,
}

/// What to issue.
#[derive(Debug, Subcommand)]
pub enum IssueCommand {
    /// A node's whole folder of secrets, with trust.toml and public.toml
    Node(NodeArgs),
    /// A person's certificate and key
    Person(PersonArgs),
}

/// The node.
#[derive(Debug, Args)]
#[command(after_help = "Example: adal pki issue node --dir pki --office KZ-75 --out kz-75-keys \
                        --host 192.0.2.75\n\nThe certificate is always good for \
                        <office>.<domain>, localhost and 127.0.0.1.")]
pub struct NodeArgs {
    /// Folder of the authority.
    #[arg(long, default_value = "pki")]
    dir: PathBuf,
    /// Code of the office; KZ is the centre.
    #[arg(long, value_parser = input::office)]
    office: domain::OfficeCode,
    /// Folder to write.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// For a server that takes the place of one whose keys are lost: the epoch in which the office
    /// goes on, one more than the highest that the centre has of its log (`adal log list`).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=9_999))]
    epoch: Option<u32>,
    /// Further DNS names or IP addresses under which the node is dialled.
    #[arg(long = "host", alias = "name", value_name = "NAME", num_args = 1..)]
    hosts: Vec<String>,
}

/// The person.
#[derive(Debug, Args)]
#[command(after_help = "Example: adal pki issue person --dir pki --office KZ-75 --role clerk \
                        --out people\n\nThe certificate holds a pseudonym, never a name. Roles: \
                        clerk, chief, operator, national, auditor.")]
pub struct PersonArgs {
    /// Folder of the authority.
    #[arg(long, default_value = "pki")]
    dir: PathBuf,
    /// Code of the person's office.
    #[arg(long, value_parser = input::office)]
    office: domain::OfficeCode,
    /// What the person does there.
    #[arg(long, value_parser = role)]
    role: Role,
    /// Name of the files [default: the role].
    #[arg(long)]
    name: Option<String>,
    /// Pseudonym [default: a new one]; the same for a person whose certificate is renewed.
    #[arg(long, value_parser = input::id)]
    id: Option<Uuid>,
    /// Folder to write.
    #[arg(long, value_name = "DIR", default_value = "people")]
    out: PathBuf,
}

/// What to show.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Folder of the authority.
    #[arg(long, default_value = "pki")]
    dir: PathBuf,
    /// A person's certificate instead.
    #[arg(long, value_name = "FILE.pem")]
    certificate: Option<PathBuf>,
}

fn role(text: &str) -> Result<Role, String> {
    let names: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).collect();
    text.parse().map_err(|_| format!("is no role; use one of: {}", names.join(", ")))
}

/// Carries out one of them.
///
/// # Errors
/// A file exists, is missing or is not what it should be.
pub fn run(command: &PkiCommand, output: Output) -> Outcome {
    let row = match command {
        PkiCommand::Init(args) => init(args)?,
        PkiCommand::RecoveryKey(args) => make_recovery_key(&args.dir)?,
        PkiCommand::Issue(IssueCommand::Node(args)) => issue_node(args)?,
        PkiCommand::Issue(IssueCommand::Person(args)) => issue_person(args)?,
        PkiCommand::Show(args) => show(args)?,
    };
    output.one(&row)
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn init(args: &InitArgs) -> Outcome<Row> {
    Authority::create(&args.domain, &args.dir, Validity::authority(now()))?;
    let keys = args.dir.join(CENTRE_KEYS);
    let public = NodeKeys::create(&keys)?.public(CENTRE)?;
    public.save(&keys.join(PUBLIC_KEYS))?;
    let trust = Trust { domain: args.domain.clone(), centre: (&public).into() };
    trust.save(&args.dir.join(TRUST))?;
    make_recovery_key(&args.dir)?;
    Ok(vec![
        ("authority", Cell::text(args.dir.display().to_string())),
        ("domain", Cell::text(&args.domain)),
        ("next", Cell::text("adal pki issue node --office KZ --out DIR")),
    ])
}

fn issue_node(args: &NodeArgs) -> Outcome<Row> {
    let authority = Authority::load(&args.dir)?;
    let trust = Trust::load(&args.dir.join(TRUST))?;
    let recovery = public_recovery_key(&args.dir.join(RECOVERY_PUBLIC))?;
    let office = args.office.as_str();
    let issued = authority.issue_node(office, &args.hosts, Validity::node(now()))?;
    if args.office.is_centre() {
        hand_out(&args.dir.join(CENTRE_KEYS), &args.out)?;
    } else {
        NodeKeys::create(&args.out)?;
    }
    let mut public = NodeKeys::load(&args.out)?.public(office)?;
    if let Some(epoch) = args.epoch.filter(|_| !args.office.is_centre()) {
        public =
            PublicKeys { epoch, log: LogKeys::load(&args.out, &args.out)?.make(epoch)?, ..public };
    }
    public.save(&args.out.join(PUBLIC_KEYS))?;
    issued.write_node(&args.out)?;
    trust.save(&args.out.join(TRUST))?;
    if let Some(recovery) = recovery {
        recovery.store(&args.out.join(RECOVERY_PUBLIC)).map_err(recovery_key)?;
    }
    Ok(vec![
        ("office", Cell::text(office)),
        ("keys", Cell::text(args.out.display().to_string())),
        ("certificate", Cell::text(issued.subject().uri(authority.domain()))),
        ("public", Cell::text(args.out.join(PUBLIC_KEYS).display().to_string())),
    ])
}

/// The public half of the recovery key; `None` only if the authority has none.
fn public_recovery_key(file: &Path) -> Outcome<Option<RecoveryPublic>> {
    let looked = file.try_exists();
    let is_there = looked.map_err(|error| {
        let doing = format!("look for {}, which every node needs", file.display());
        Failure::wrong(doing, &error)
    })?;
    is_there.then(|| RecoveryPublic::load(file)).transpose().map_err(recovery_key)
}

fn make_recovery_key(dir: &Path) -> Outcome<Row> {
    let (secret, public) = (dir.join(RECOVERY_KEY), dir.join(RECOVERY_PUBLIC));
    let recovery = RecoverySecret::generate().map_err(recovery_key)?;
    recovery.store(&secret).map_err(recovery_key)?;
    recovery.public().store(&public).map_err(recovery_key)?;
    Ok(vec![
        ("recovery_key", Cell::text(secret.display().to_string())),
        ("public", Cell::text(public.display().to_string())),
    ])
}

fn recovery_key(error: vault::VaultError) -> Failure {
    Failure::wrong("the recovery key", &error)
}

/// Moves the centre's keys to its folder: they exist once, because two machines with one signing
/// key could contradict each other.
fn hand_out(from: &Path, to: &Path) -> Outcome {
    const SECRETS: [&str; 4] = [LOG_KEY, WITNESS_KEY, MIRROR_KEY, VAULT_KEY];
    if !from.join(LOG_KEY).is_file() {
        return Err(Failure::usage(format!(
            "the centre's signing keys are not in {}: they were handed out before; use that \
             folder, they are never made twice",
            from.display()
        )));
    }
    let io = |doing: &str, path: &Path, error: &std::io::Error| {
        Failure::wrong(format!("{doing} {}", path.display()), error)
    };
    make_private(to).map_err(|error| io("make the folder", to, &error))?;
    if let Some(name) = SECRETS.iter().find(|name| to.join(name).exists()) {
        let path = to.join(name);
        return Err(Failure::usage(format!("{} exists and is not overwritten", path.display())));
    }
    for name in SECRETS {
        let (source, target) = (from.join(name), to.join(name));
        // `copy` keeps the mode 0600.
        fs::copy(&source, &target)
            .and_then(|_| fs::File::open(&target)?.sync_all())
            .map_err(|error| io("write", &target, &error))?;
    }
    for name in SECRETS {
        let source = from.join(name);
        fs::remove_file(&source).map_err(|error| io("remove", &source, &error))?;
    }
    Ok(())
}

fn make_private(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn issue_person(args: &PersonArgs) -> Outcome<Row> {
    let authority = Authority::load(&args.dir)?;
    let name = args.name.as_deref().unwrap_or(args.role.as_str());
    // Random throughout: a pseudonym that carried a time would say something of the person.
    let random = || uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    let id = args.id.unwrap_or_else(random);
    let validity = Validity::person(now());
    let issued = authority.issue_person(args.office.as_str(), args.role, id, validity)?;
    issued.write_person(&args.out, name)?;
    Ok(vec![
        ("person", Cell::text(name)),
        ("files", Cell::text(args.out.join(format!("{name}.pem")).display().to_string())),
        ("certificate", Cell::text(issued.subject().uri(authority.domain()))),
    ])
}

fn show(args: &ShowArgs) -> Outcome<Row> {
    if let Some(path) = &args.certificate {
        let pem = fs::read_to_string(path)
            .map_err(|error| Failure::wrong(format!("read {}", path.display()), &error))?;
        let person = crate::connect::person(&pem, path)?;
        return Ok(vec![
            ("domain", Cell::text(&person.domain)),
            ("office", Cell::text(person.office.as_str())),
            ("role", Cell::text(person.role.as_str())),
            ("server_name", Cell::text(person.server_name())),
        ]);
    }
    let authority = Authority::load(&args.dir)?;
    let trust = Trust::load(&args.dir.join(TRUST))?;
    let public = PublicKeys::load(&args.dir.join(CENTRE_KEYS).join(PUBLIC_KEYS))?;
    Ok(vec![
        ("domain", Cell::text(authority.domain())),
        ("centre", Cell::text(&public.office)),
        ("centre_log_key", Cell::text(hex(&trust.centre.log))),
        ("centre_witness_key", Cell::text(hex(&trust.centre.witness))),
        ("centre_mirror_key", Cell::text(hex(&trust.centre.mirror))),
    ])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn node(dir: &Path, office: &str, out: &str) -> NodeArgs {
        NodeArgs {
            dir: dir.join("pki"),
            office: office.parse().unwrap(),
            out: dir.join(out),
            epoch: None,
            hosts: vec!["192.0.2.75".into()],
        }
    }

    #[test]
    fn an_installation_from_nothing() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path();
        init(&InitArgs { domain: "adal.example".into(), dir: dir.join("pki") }).unwrap();
        issue_node(&node(dir, "KZ", "kz")).unwrap();
        issue_node(&node(dir, "KZ-75", "kz-75")).unwrap();
        for office in ["KZ", "KZ-75"] {
            let keys = dir.join(office.to_lowercase());
            for name in [LOG_KEY, WITNESS_KEY, MIRROR_KEY, VAULT_KEY, "tls.key", RECOVERY_PUBLIC] {
                let mode = fs::metadata(keys.join(name)).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{name}");
            }
            identity::Credentials::node(&keys).unwrap();
            assert_eq!(PublicKeys::load(&keys.join(PUBLIC_KEYS)).unwrap().office, office);
            assert_eq!(Trust::load(&keys.join(TRUST)).unwrap().domain, "adal.example");
        }
        // The centre's keys are those that everybody trusts, and exist once.
        let trust = Trust::load(&dir.join("kz-75").join(TRUST)).unwrap();
        let centre = NodeKeys::load(&dir.join("kz")).unwrap().public("KZ").unwrap();
        assert_eq!(trust.centre.log, centre.log);
        assert!(!dir.join("pki/centre").join(LOG_KEY).exists());
        let twice = issue_node(&node(dir, "KZ", "kz2")).unwrap_err();
        assert!(twice.text.contains("handed out before"), "{twice}");
        let again = make_recovery_key(&dir.join("pki")).unwrap_err();
        assert!(again.text.contains("recovery key"), "{again}");
        assert!(!show(&ShowArgs { dir: dir.join("pki"), certificate: None }).unwrap().is_empty());
    }

    #[test]
    fn a_recovery_key_that_cannot_be_looked_for_is_not_taken_for_none() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path();
        init(&InitArgs { domain: "adal.example".into(), dir: dir.join("pki") }).unwrap();
        let file = dir.join("pki").join(RECOVERY_PUBLIC);
        fs::remove_file(&file).unwrap();
        issue_node(&node(dir, "KZ-71", "kz-71")).unwrap();
        assert!(!dir.join("kz-71").join(RECOVERY_PUBLIC).exists());
        std::os::unix::fs::symlink(&file, &file).unwrap();
        let error = issue_node(&node(dir, "KZ-75", "kz-75")).unwrap_err();
        assert!(error.text.contains("look for") && error.text.contains(RECOVERY_PUBLIC), "{error}");
        assert!(!dir.join("kz-75").exists(), "half of the keys were made");
    }

    #[test]
    fn a_person_gets_a_pseudonym_and_the_name_of_the_role() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path();
        init(&InitArgs { domain: "adal.example".into(), dir: dir.join("pki") }).unwrap();
        let args = PersonArgs {
            dir: dir.join("pki"),
            office: "KZ-75".parse().unwrap(),
            role: Role::Clerk,
            name: None,
            id: None,
            out: dir.join("people"),
        };
        issue_person(&args).unwrap();
        let path = dir.join("people/clerk.pem");
        let person = crate::connect::person(&fs::read_to_string(&path).unwrap(), &path).unwrap();
        assert_eq!((person.office.as_str(), person.role), ("KZ-75", Role::Clerk));
        assert!(issue_person(&args).unwrap_err().text.contains("not overwritten"));
        assert!(role("king").unwrap_err().contains("auditor"));
    }
}
