//! What happens to the country: a schedule that follows from the seed.

use std::time::Duration;

use crate::chance::Chance;
use crate::machine::Speech;

/// Something that happens at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No packet passes between a region and the centre.
    Cut(String, Duration),
    /// None passes in one direction: upwards if true.
    OneWay(String, bool, Duration),
    /// All packets wait.
    Hold(String, Duration),
    /// Packets take so long.
    Slow(String, Duration, Duration),
    /// The process is killed and started again later.
    Kill(String, Duration),
    /// The power goes and comes back later. If true, nobody hears of it: the line is cut first.
    Power(String, bool, Duration),
    /// The power goes so many steps of the disk later.
    PowerAtStep(String, u64, Duration),
    /// The office is stopped and started in good order.
    Restart(String, Duration),
    /// The clock jumps so many seconds.
    Clock(String, i64),
    /// The disk is full for so long.
    Full(String, Duration),
    /// A bit on the disk flips, and is mended so much later.
    Rot(String, u64, Duration),
    /// An image of a computer is taken.
    Image(String),
    /// The image is put back; see [`Special`].
    Back(String, Special),
}

/// The rare thing that happens in a simulation, to one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Special {
    /// Nothing rare.
    None,
    /// A bit flips.
    Rot,
    /// An old image of the disk is put back as if nothing were wrong.
    RolledBack,
    /// A backup is restored: it opens the next epoch. The old key is still there.
    Restored,
    /// The same, and the keys are lost: the centre enrols new ones.
    Rekeyed,
    /// The disk is empty, the keys are there: the log begins again.
    Recreated,
    /// A copy of the computer runs beside it.
    Duplicate,
    /// The region's software is a later one.
    Later,
    /// It is an earlier one.
    Earlier,
}

impl Special {
    /// All of them.
    pub const ALL: [Special; 9] = [
        Special::None,
        Special::Rot,
        Special::RolledBack,
        Special::Restored,
        Special::Rekeyed,
        Special::Recreated,
        Special::Duplicate,
        Special::Later,
        Special::Earlier,
    ];

    /// How its frames look.
    pub fn speech(self) -> Speech {
        match self {
            Special::Later => Speech::Later,
            Special::Earlier => Speech::Earlier,
            _ => Speech::Present,
        }
    }
}

/// What a seed decides of a simulation.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Codes of the regions.
    pub regions: Vec<String>,
    /// What happens and when, in its order.
    pub faults: Vec<(Duration, Fault)>,
    /// When everything is mended.
    pub healed: Duration,
    /// The rare thing.
    pub special: Special,
    /// The region that it happens to.
    pub odd: String,
}

/// The regions of the country.
const CODES: [&str; 20] = [
    "KZ-10", "KZ-11", "KZ-15", "KZ-19", "KZ-23", "KZ-27", "KZ-31", "KZ-33", "KZ-35", "KZ-39",
    "KZ-43", "KZ-47", "KZ-55", "KZ-59", "KZ-61", "KZ-62", "KZ-63", "KZ-71", "KZ-75", "KZ-79",
];

impl Scenario {
    /// The scenario of a seed.
    pub fn of(seed: u64) -> Scenario {
        let mut chance = Chance::of(seed, "scenario");
        // A country of twenty is rare: it takes as long as seven small ones.
        let most = *chance.of_these(&[4, 4, 5, 5, 6, 7, 9, 20]);
        let count = chance.between(3.max(most / 2), most) as usize;
        let first = chance.below(CODES.len() as u64) as usize;
        let codes = CODES.iter().cycle().skip(first).take(count);
        let regions: Vec<String> = codes.map(|code| (*code).to_owned()).collect();
        let special = Special::ALL[(seed % Special::ALL.len() as u64) as usize];
        let odd = chance.of_these(&regions).to_ascii_lowercase();
        let healed = Duration::from_secs(chance.between(25, 45));
        let mut scenario = Scenario { regions, faults: Vec::new(), healed, special, odd };
        scenario.befall(&mut chance);
        scenario.rare(&mut chance);
        scenario.faults.sort_by_key(|(at, _)| *at);
        scenario
    }

    /// Ordinary faults.
    fn befall(&mut self, chance: &mut Chance) {
        let names: Vec<String> = self.regions.iter().map(|c| c.to_ascii_lowercase()).collect();
        let last = self.healed.as_millis() as u64;
        for _ in 0..chance.between(4, 4 + 2 * names.len() as u64) {
            let at = Duration::from_millis(chance.between(2_000, last));
            let region = chance.of_these(&names).clone();
            let anyone = if chance.once_in(5) { "kz".to_owned() } else { region.clone() };
            let lasts = Duration::from_millis(chance.between(100, 12_000));
            let down = Duration::from_millis(chance.between(50, 8_000));
            let fault = match chance.below(12) {
                0 => Fault::Cut(region, lasts),
                1 => Fault::OneWay(region, chance.once_in(2), lasts),
                2 => Fault::Hold(region, lasts),
                3 => Fault::Slow(region, Duration::from_millis(chance.between(50, 900)), lasts),
                4 => Fault::Kill(anyone, down),
                5 => Fault::Power(anyone, chance.once_in(2), down),
                6..=8 => Fault::PowerAtStep(anyone, chance.below(40), down),
                9 => Fault::Restart(anyone, down),
                10 => {
                    let far = chance.between(1, 90_000) as i64;
                    Fault::Clock(anyone, if chance.once_in(2) { far } else { -far })
                }
                _ => Fault::Full(anyone, lasts),
            };
            self.faults.push((at, fault));
        }
    }

    /// The rare thing.
    fn rare(&mut self, chance: &mut Chance) {
        let (odd, special) = (self.odd.clone(), self.special);
        let image = Duration::from_millis(chance.between(6_000, 14_000));
        let back = Duration::from_millis(chance.between(18_000, 22_000));
        match special {
            Special::None | Special::Later | Special::Earlier => {}
            Special::Rot => {
                let who = if chance.once_in(3) { "kz".to_owned() } else { odd };
                let lasts = Duration::from_millis(chance.between(2_000, 15_000));
                self.faults.push((back, Fault::Rot(who, chance.number(), lasts)));
            }
            _ => {
                self.faults.push((image, Fault::Image(odd.clone())));
                self.faults.push((back, Fault::Back(odd.clone(), special)));
                if chance.once_in(2) {
                    // Out of reach it writes more than was co-signed before: another history.
                    let (after, lasts) = (Duration::from_millis(1), Duration::from_secs(20));
                    self.faults.push((back + after, Fault::Cut(odd, lasts)));
                }
            }
        }
    }
}
