//! `adal generate`: made-up working days of one office, entered at its node.

use std::time::Duration;

use clap::Args;
use domain::{Role, Timestamp, Zone};
use futures_util::future::try_join_all;
use generator::{Play, Step};
use indicatif::ProgressBar;
use jiff::ToSpan;
use jiff::civil::Date;
use tokio::time::Instant;
use tonic::transport::Channel;
use wire::CommandMeta;
use wire::pb::command::v1::Command;
use wire::pb::command::v1::command_service_client::CommandServiceClient;

use crate::connect::Way;
use crate::errors::{Failure, Outcome};
use crate::input;
use crate::output::{Cell, Output};
use crate::send::{facts, persist};

/// What to play.
#[derive(Debug, Args)]
#[command(
    after_help = "The office is that of the certificates. Names and texts are composed from \
                        word lists; a second run with the same seed, days and people adds \
                        nothing. Steps that would lie in the future are left out.\n\n\
                        Example: adal --people kz-75/people generate --seed 7 --days 30"
)]
pub struct GenerateArgs {
    /// The same seed gives the same days.
    #[arg(long, default_value_t = 2026)]
    seed: u64,
    /// Calendar days to play.
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=3_660))]
    days: u32,
    /// First day [default: so that the last one is today].
    #[arg(long, value_parser = input::day, value_name = "DAY")]
    from: Option<Date>,
    /// Zone of the office.
    #[arg(long, value_parser = input::zone, default_value = "Asia/Almaty")]
    zone: Zone,
    /// Name of the clerk's files [default: --as, else clerk].
    #[arg(long)]
    clerk: Option<String>,
    /// Name of the chief's files.
    #[arg(long, default_value = "chief")]
    chief: String,
    /// Commands under way at once.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// How long the node may stay away: 90s, 10m, 2h.
    #[arg(long, value_name = "SPAN", value_parser = input::span, default_value = "10m")]
    patience: Duration,
}

/// Both people's connections.
#[derive(Clone)]
struct Desk {
    clerk: CommandServiceClient<Channel>,
    chief: CommandServiceClient<Channel>,
}

/// Counts of what was entered.
#[derive(Clone, Copy, Debug, Default)]
struct Entered {
    commands: u64,
    replayed: u64,
    facts: u64,
}

/// Carries it out.
///
/// # Errors
/// The node refused, or stayed away for longer than the patience.
pub async fn run(args: &GenerateArgs, way: &Way, output: Output) -> Outcome {
    let clerk = args.clerk.clone().or(way.person.clone()).unwrap_or_else(|| "clerk".to_owned());
    let clerk = Way { person: Some(clerk), ..way.clone() };
    let chief = Way { person: Some(args.chief.clone()), ..way.clone() };
    let office = clerk.target()?.1.office;
    if chief.target()?.1.office != office {
        return Err(Failure::usage("the clerk and the chief are people of different offices"));
    }
    let desk = Desk { clerk: clerk.commands().await?, chief: chief.commands().await? };
    let now = input::now();
    let from = first_day(args, now)?;
    let play = Play::in_zone(args.seed, vec![office], from, args.days, &args.zone);
    let lanes = lanes(play, now, usize::from(args.concurrency));
    let steps: usize = lanes.iter().map(Vec::len).sum();
    let bar = if output.is_json() { ProgressBar::hidden() } else { ProgressBar::new(steps as u64) };
    let begun = Instant::now();
    let work = lanes.into_iter().map(|lane| enter(desk.clone(), lane, args.patience, &bar));
    let done = try_join_all(work).await?;
    bar.finish_and_clear();
    let sum = |count: fn(&Entered) -> u64| done.iter().map(count).sum::<u64>();
    let (facts, seconds) = (sum(|e| e.facts), begun.elapsed().as_secs_f64());
    let rate = if seconds > 0.0 { facts as f64 / seconds } else { 0.0 };
    let round = |value: f64| (value * 10.0).round() / 10.0;
    output.one(&vec![
        ("commands", Cell::number(sum(|e| e.commands))),
        ("replayed", Cell::number(sum(|e| e.replayed))),
        ("facts", Cell::number(facts)),
        ("seconds", Cell::decimal(round(seconds))),
        ("facts_per_second", Cell::decimal(round(rate))),
    ])
}

fn first_day(args: &GenerateArgs, now: Timestamp) -> Outcome<Date> {
    if let Some(from) = args.from {
        return Ok(from);
    }
    let today = args.zone.date_of(now).ok_or_else(|| Failure::usage("the clock shows no date"))?;
    today
        .checked_sub((i64::from(args.days) - 1).days())
        .map_err(|error| Failure::wrong("find the first day", &error))
}

/// The steps up to now, so divided that those of one stream stay in their order.
fn lanes(play: Play, now: Timestamp, count: usize) -> Vec<Vec<Step>> {
    let mut lanes: Vec<Vec<Step>> = vec![Vec::new(); count];
    for step in play.filter(|step| step.occurred_at <= now) {
        let lane = usize::from(step.stream.as_bytes()[15]) % count;
        lanes[lane].push(step);
    }
    lanes
}

async fn enter(
    mut desk: Desk,
    steps: Vec<Step>,
    patience: Duration,
    bar: &ProgressBar,
) -> Outcome<Entered> {
    let mut entered = Entered::default();
    for step in steps {
        let client = match step.role {
            Role::Chief => &mut desk.chief,
            _ => &mut desk.clerk,
        };
        let receipt = persist(client, &command(&step)?, patience).await?;
        entered.commands += 1;
        entered.replayed += u64::from(receipt.replayed);
        entered.facts += facts(&receipt);
        bar.inc(1);
    }
    Ok(entered)
}

fn command(step: &Step) -> Outcome<Command> {
    let meta = CommandMeta {
        command_id: step.command,
        stream: step.stream,
        expected_version: step.expected_version,
        occurred_at: Some(step.occurred_at),
        zone: None,
        causation: None,
        correlation: None,
    };
    wire::encode_command(&meta, &step.request)
        .ok_or_else(|| Failure::usage(format!("no command carries {}", step.request.name())))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn steps_of_a_stream_keep_their_order_and_none_lies_ahead() {
        let from = jiff::civil::date(2026, 2, 2);
        let play = || Play::new(7, vec!["KZ-75".parse().unwrap()], from, 30);
        let zone = Zone::new("Asia/Almaty").unwrap();
        let now = zone.at(jiff::civil::date(2026, 2, 20), 12, 0).unwrap();
        let lanes = lanes(play(), now, 8);
        let all = lanes.iter().flatten().count();
        assert!(all > 0 && all < play().count());
        for lane in &lanes {
            let mut versions = HashMap::new();
            for step in lane {
                assert!(step.occurred_at <= now);
                let before = versions.insert(step.stream, step.expected_version);
                assert!(before.is_none_or(|before| before < step.expected_version));
                assert!(command(step).is_ok());
            }
        }
    }
}
