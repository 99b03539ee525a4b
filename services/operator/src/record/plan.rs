//! `adal record measure` and `adal record activity`: planned work.

use clap::{Args, Subcommand};
use domain::Code;
use domain::ids::DirectiveId;
use domain::image::{HoldActivity, PlanActivity};
use domain::measure::{CancelMeasure, HoldMeasure, Participants, PlanMeasure};
use jiff::civil::Date;
use uuid::Uuid;

use super::{Common, Undertaking};
use crate::input;

/// Steps of a preventive measure.
#[derive(Debug, Subcommand)]
pub enum MeasureCommand {
    /// Plan a measure
    Plan(PlanMeasureArgs),
    /// It was held
    Hold(HoldMeasureArgs),
    /// It will not be held
    Cancel(CancelArgs),
}

/// A planned measure.
#[derive(Debug, Args)]
#[command(after_help = "Example: adal record measure plan --kind lecture --audience judges --due \
                        2026-12-01")]
pub struct PlanMeasureArgs {
    /// Kind: a code of `measure_kind`.
    #[arg(long, value_parser = input::code)]
    kind: Code,
    /// For whom: a code of `audience`.
    #[arg(long, value_parser = input::code)]
    audience: Code,
    /// Day by which it is to be held.
    #[arg(long, value_parser = input::day, value_name = "DAY")]
    due: Date,
    /// The directive that asks for it.
    #[arg(long, value_parser = input::id, value_name = "UUID")]
    directive: Option<Uuid>,
    /// Id of the measure [default: a new one].
    #[arg(long, value_parser = input::id, value_name = "UUID")]
    id: Option<Uuid>,
    #[command(flatten)]
    common: Common,
}

/// A measure that was held.
#[derive(Debug, Args)]
#[command(after_help = "Example: adal record measure hold --id UUID --minutes 90 --participants \
                        judges=12,civil_servants=30")]
pub struct HoldMeasureArgs {
    /// Id of the measure.
    #[arg(long, value_parser = input::id, value_name = "UUID")]
    id: Uuid,
    /// Participants: codes of `participant_class` with their number.
    #[arg(long, value_parser = input::code_and_number::<u32>, value_delimiter = ',',
          required = true, value_name = "CODE=N,..")]
    participants: Vec<(Code, u32)>,
    /// Duration in minutes.
    #[arg(long)]
    minutes: u32,
    #[command(flatten)]
    common: Common,
}

/// A measure that will not be held.
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// Id of the measure.
    #[arg(long, value_parser = input::id, value_name = "UUID")]
    id: Uuid,
    /// Why: a code of `cancel_reason`.
    #[arg(long, value_parser = input::code)]
    reason: Code,
    #[command(flatten)]
    common: Common,
}

/// Steps of an activity.
#[derive(Debug, Subcommand)]
pub enum ActivityCommand {
    /// Plan an activity
    Plan(PlanActivityArgs),
    /// It was held
    Hold(HoldActivityArgs),
}

/// A planned activity.
#[derive(Debug, Args)]
#[command(after_help = "Example: adal record activity plan --audience society --kind interview \
                        --channel television --target-reach 50000 --due 2026-12-20")]
pub struct PlanActivityArgs {
    /// For whom: a code of `activity_audience`.
    #[arg(long, value_parser = input::code)]
    audience: Code,
    /// Kind: a code of `activity_kind`.
    #[arg(long, value_parser = input::code)]
    kind: Code,
    /// Where: a code of `activity_channel`.
    #[arg(long, value_parser = input::code)]
    channel: Code,
    /// Language: a code of `language`.
    #[arg(long, value_parser = input::code, default_value = "kk")]
    language: Code,
    /// How many people it should reach.
    #[arg(long, value_name = "N")]
    target_reach: u32,
    /// Day by which it is to be held.
    #[arg(long, value_parser = input::day, value_name = "DAY")]
    due: Date,
    /// Id of the activity [default: a new one].
    #[arg(long, value_parser = input::id, value_name = "UUID")]
    id: Option<Uuid>,
    #[command(flatten)]
    common: Common,
}

/// An activity that was held.
#[derive(Debug, Args)]
pub struct HoldActivityArgs {
    /// Id of the activity.
    #[arg(long, value_parser = input::id, value_name = "UUID")]
    id: Uuid,
    /// How many people it reached.
    #[arg(long, value_name = "N")]
    reach: u32,
    #[command(flatten)]
    common: Common,
}

impl MeasureCommand {
    /// The request of this command line, and its common options.
    pub(super) fn undertaking(&self) -> (Undertaking, &Common) {
        match self {
            Self::Plan(args) => {
                let request = PlanMeasure {
                    kind: args.kind.clone(),
                    audience: args.audience.clone(),
                    due: args.due,
                    directive: args.directive.map(DirectiveId::new),
                };
                (Undertaking::begin(args.id, request), &args.common)
            }
            Self::Hold(args) => {
                let participants = args.participants.iter();
                let participants = participants
                    .map(|(class, count)| Participants { class: class.clone(), count: *count })
                    .collect();
                let request = HoldMeasure { participants, minutes: args.minutes };
                (Undertaking::on(args.id, request), &args.common)
            }
            Self::Cancel(args) => {
                let request = CancelMeasure { reason: args.reason.clone() };
                (Undertaking::on(args.id, request), &args.common)
            }
        }
    }
}

impl ActivityCommand {
    /// The request of this command line, and its common options.
    pub(super) fn undertaking(&self) -> (Undertaking, &Common) {
        match self {
            Self::Plan(args) => {
                let request = PlanActivity {
                    audience: args.audience.clone(),
                    kind: args.kind.clone(),
                    channel: args.channel.clone(),
                    language: args.language.clone(),
                    target_reach: args.target_reach,
                    due: args.due,
                };
                (Undertaking::begin(args.id, request), &args.common)
            }
            Self::Hold(args) => {
                (Undertaking::on(args.id, HoldActivity { reach: args.reach }), &args.common)
            }
        }
    }
}
