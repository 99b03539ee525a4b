//! `adal policy`: whose signatures make a head of a log worth believing.

use clap::{Args, Subcommand};
use wire::pb::evidence::v1 as pb;

use crate::connect::Way;
use crate::errors::Outcome;
use crate::output::{Cell, Output};

/// Commands about policies.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// The policy of a log, as the file that checkers read
    Show(ShowArgs),
}

/// Of which log.
#[derive(Debug, Args)]
#[command(after_help = "The file is a C2SP tlog-policy: a line for each key of the log, a line \
                        for each witness, and the groups that make the quorum. What a node says \
                        of itself proves nothing: compare it with that of another office, and \
                        keep your own copy for `adal receipt verify` and `adal evidence \
                        verify`.\n\nExamples:\n  \
                        adal --as operator policy show --log kz-75 > kz-75.policy\n  \
                        adal --as operator policy show --log kz/all --json")]
pub struct ShowArgs {
    /// Name of the log [default: that of the office's own work].
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    log: String,
}

/// Carries out one of them.
///
/// # Errors
/// The node refused or could not be reached.
pub async fn run(command: &PolicyCommand, way: &Way, output: Output) -> Outcome {
    let PolicyCommand::Show(args) = command;
    let mut client = way.evidence().await?;
    let request = pb::GetPolicyRequest { log: args.log.clone() };
    let answer = client.get_policy(request).await?.into_inner();
    if output.is_json() {
        let row = vec![("log", Cell::text(&answer.log)), ("policy", Cell::text(&answer.policy))];
        return output.one(&row);
    }
    output.line(answer.policy.trim_end_matches('\n'))
}
