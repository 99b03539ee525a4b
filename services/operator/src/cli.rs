//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::connect::{DEFAULT_NODE, Way};
use crate::output::Output;
use crate::{
    directive, evidence, generate, import, journal, logs, office, pki, policy, query, receipt,
    record, sync, vault, views,
};

/// The operator's tool of Adal.
#[derive(Debug, Parser)]
#[command(
    name = "adal",
    version,
    about = "Looks at, checks and enters the records of an office",
    after_help = "Exit status: 0 done, 1 the answer is bad (damage, refused evidence, too many \
                  rejected rows), 2 a wrong command line, file or value, 3 a node not reached \
                  or refusing.\n\n\
                  Examples:\n  \
                  adal --people people --as operator sync status\n  \
                  adal query appeals --state registered --from 2026-11-01\n  \
                  ADAL_AS=clerk adal record contact --channel call --topic other\n  \
                  adal journal check && echo intact"
)]
pub struct Cli {
    /// What every command has.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Address of the node.
    #[arg(
        long,
        global = true,
        env = "ADAL_NODE",
        value_name = "HOST:PORT",
        default_value = DEFAULT_NODE,
        help_heading = "Node and person"
    )]
    pub node: String,
    /// Name that the node's certificate must carry [default: <office>.<domain> of the person].
    #[arg(
        long,
        global = true,
        env = "ADAL_SERVER_NAME",
        value_name = "NAME",
        help_heading = "Node and person"
    )]
    pub server_name: Option<String>,
    /// Folder with <name>.pem, <name>.key and ca.pem.
    #[arg(
        long,
        global = true,
        env = "ADAL_PEOPLE",
        value_name = "DIR",
        default_value = "people",
        help_heading = "Node and person"
    )]
    pub people: PathBuf,
    /// Name of the person's files [default: the only one in the folder].
    #[arg(
        long = "as",
        global = true,
        env = "ADAL_AS",
        value_name = "NAME",
        help_heading = "Node and person"
    )]
    pub person: Option<String>,
    /// One JSON object a line instead of tables; remarks are left out.
    #[arg(long, global = true, help_heading = "Node and person")]
    pub json: bool,
}

impl Global {
    /// The way to the node.
    #[must_use]
    pub fn way(&self) -> Way {
        Way {
            node: self.node.clone(),
            server_name: self.server_name.clone(),
            people: self.people.clone(),
            person: self.person.clone(),
        }
    }

    /// Where and how output goes.
    #[must_use]
    pub fn output(&self) -> Output {
        Output::new(self.json)
    }
}

/// The families of commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The stored records as a whole: check, figures, backup, restore
    #[command(subcommand)]
    Journal(journal::JournalCommand),
    /// Logs of the node: list, read
    #[command(subcommand)]
    Log(logs::LogCommand),
    /// Evidence that strangers can check: export, verify, compare
    #[command(subcommand)]
    Evidence(evidence::EvidenceCommand),
    /// Slips and receipts: issue, show, verify
    #[command(subcommand)]
    Receipt(receipt::ReceiptCommand),
    /// Whose signatures count
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// State of replication
    #[command(subcommand)]
    Sync(sync::SyncCommand),
    /// Tables folded from the logs
    #[command(subcommand)]
    Query(query::QueryCommand),
    /// Enter a fact, or read a sealed part back
    #[command(subcommand)]
    Record(record::RecordCommand),
    /// Directives: issue, follow, execute
    #[command(subcommand)]
    Directive(directive::DirectiveCommand),
    /// Offices of the country
    #[command(subcommand)]
    Office(office::OfficeCommand),
    /// A development authority: certificates and keys in files
    #[command(subcommand)]
    Pki(pki::PkiCommand),
    /// Keys of sealed parts that were lost with a server
    #[command(subcommand)]
    Vault(vault::VaultCommand),
    /// Import rows of a foreign register
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Enter made-up working days, for demonstrations and load
    Generate(generate::GenerateArgs),
    /// Tables of the node
    #[command(subcommand)]
    Views(views::ViewsCommand),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_and_after() {
        let before = Cli::parse_from(["adal", "--node", "a:1", "sync", "status"]);
        let after = Cli::parse_from(["adal", "sync", "status", "--node", "a:1", "--json"]);
        assert_eq!((before.global.node.as_str(), before.global.json), ("a:1", false));
        assert_eq!((after.global.node.as_str(), after.global.json), ("a:1", true));
    }

    #[test]
    fn usual_lines_parse() {
        for line in [
            "adal pki init --domain adal.example --dir pki",
            "adal pki issue node --dir pki --office KZ --name kz.adal.example --out kz-keys",
            "adal pki issue node --dir pki --office KZ-75 --out kz-75-keys --host 10.0.0.1",
            "adal pki issue person --dir pki --office KZ-75 --role clerk --out people",
            "adal office enrol --code KZ-75 --zone Asia/Almaty --public public.toml --name-en A \
             --name-kk B --name-ru C",
            "adal record contact --channel call --topic other",
            "adal sync status",
            "adal sync explain KZ-75 --evidence kept --json",
            "adal evidence compare their-head",
            "adal evidence export --log kz-75 --epoch 1 --out bundle --tiles --leaves 0-9",
            "adal evidence export --log kz-75 --out bundle --from-checkpoint their-head",
            "adal evidence verify bundle --policy kz-75.policy --json",
            "adal receipt issue kz-75:1:42 --slip --svg slip.svg",
            "adal receipt issue --number KZ-75-2026-510900-8 --no-opening --out r.tlog-proof",
            "adal receipt show r.tlog-proof",
            "adal receipt verify r.tlog-proof --policy kz-75.policy --leaf leaf",
            "adal policy show --log kz/all",
            "adal query contacts --office KZ-75",
            "adal journal check kz-75",
            "adal journal check --offline data",
            "adal journal stat",
            "adal journal backup --out /media/monday",
            "adal journal restore --from /media/monday --to data/journal --epoch 3",
        ] {
            Cli::try_parse_from(line.split_whitespace()).unwrap();
        }
    }
}
