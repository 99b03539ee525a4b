//! Whether an import stays as fast while the journal grows: a table, a line of text, a picture.

use std::fmt::Write as _;

use crate::import::Step;
use crate::stats::median;
use crate::table::{Aim, Report, Section, number};

/// Most lines of the table; steps are put together to fit.
const LINES: usize = 20;

/// Our reading of "stays flat from one to ten million": the last tenth is at least this share of
/// the first.
const FLAT: f64 = 0.8;

/// From this size on the aim is judged: below, the beginning is too small to be compared with.
const JUDGED: u64 = 10_000_000;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 420.0;
const MARGIN: f64 = 70.0;

/// The table and the figures.
pub fn section(steps: &[Step], report: &mut Report) -> Vec<Section> {
    let headers = ["records", "records/s", "bare file", "ratio", "cpu µs/record"];
    let mut table = Section::new("Import while the journal grows, batches of 1,000", &headers);
    for lines in steps.chunks(steps.len().div_ceil(LINES).max(1)) {
        let of = |value: &dyn Fn(&Step) -> f64| number(median(lines.iter().map(value)));
        table.row([
            number(lines.last().map_or(0, |step| step.reached) as f64),
            of(&|step| step.rate),
            of(&|step| step.bare),
            of(&|step| step.rate / step.bare),
            of(&|step| step.cpu),
        ]);
    }
    table.note(format!("records/s {}", sparkline(steps.iter().map(|step| step.rate))));
    table.note(format!("cpu       {}", sparkline(steps.iter().map(|step| step.cpu))));
    let mut figures = Section::of_figures("Last tenth of the import ÷ first tenth");
    let tenth = steps.len().div_ceil(10);
    let (first, last) = (&steps[..tenth], &steps[steps.len() - tenth..]);
    let ratio = |value: &dyn Fn(&Step) -> f64| {
        median(last.iter().map(value)) / median(first.iter().map(value))
    };
    let rate = ratio(&|step| step.rate);
    let beside = ratio(&|step| step.rate / step.bare);
    let cpu = ratio(&|step| step.cpu);
    let reached = steps.last().map_or(0, |step| step.reached);
    let flat = (reached >= JUDGED).then_some(Aim::AtLeast(FLAT));
    report.add(&mut figures, "records/s", "flat/rate", (rate, ""), flat);
    report.add(&mut figures, "ratio to the bare file", "flat/ratio", (beside, ""), None);
    report.add(&mut figures, "processor time a record", "flat/cpu", (cpu, ""), None);
    figures.note("Flat is asked for from one to ten million, without a number; 0.8 is ours.");
    vec![table, figures]
}

/// One character a value, from nothing to the largest.
pub fn sparkline(values: impl Iterator<Item = f64> + Clone) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.clone().fold(f64::MIN_POSITIVE, f64::max);
    let bar = |value: f64| BARS[((value / most * 8.0).ceil() as usize).clamp(1, 8) - 1];
    values.map(bar).collect()
}

/// Colour, title and value of a line.
type Series = (&'static str, &'static str, fn(&Step) -> f64);

/// The picture: records a second on the left axis, processor time on the right one.
pub fn svg(steps: &[Step]) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let right = WIDTH - MARGIN;
    let end = steps.last().map_or(1, |step| step.reached) as f64;
    let series: [Series; 2] = [
        ("#0b6", "records/s", |step| step.rate),
        ("#b40", "µs of processor time a record", |step| step.cpu),
    ];
    for (no, (colour, title, value)) in series.into_iter().enumerate() {
        let most = round_up(steps.iter().map(value).fold(0.0, f64::max));
        let place = |step: &Step| {
            let x = MARGIN + step.reached as f64 / end * (right - MARGIN);
            format!("{x:.1},{:.1}", height(value(step) / most))
        };
        let points = steps.iter().map(place).collect::<Vec<_>>().join(" ");
        line(&mut out, colour, &points);
        let (x, anchor) = if no == 0 { (MARGIN - 8.0, "end") } else { (right + 8.0, "start") };
        for quarter in 0..=4 {
            let share = f64::from(quarter) / 4.0;
            text(&mut out, (x, height(share) + 4.0), anchor, colour, &number(most * share));
        }
        let (x, anchor) = if no == 0 { (MARGIN, "start") } else { (right, "end") };
        text(&mut out, (x, 30.0), anchor, colour, title);
    }
    for quarter in 0..=4 {
        let share = f64::from(quarter) / 4.0;
        let (x, y) = (MARGIN + share * (right - MARGIN), height(share));
        line(&mut out, "#ccc", &format!("{MARGIN},{y:.1} {right},{y:.1}"));
        text(&mut out, (x, HEIGHT - 30.0), "middle", "#444", &number(end * share));
    }
    text(&mut out, (WIDTH / 2.0, HEIGHT - 10.0), "middle", "#444", "records in the journal");
    out + "</svg>\n"
}

fn height(share: f64) -> f64 {
    HEIGHT - MARGIN + 10.0 - share * (HEIGHT - 2.0 * MARGIN)
}

/// The next number with one digit that is not zero, so that the axis has round ends.
fn round_up(value: f64) -> f64 {
    let unit = 10_f64.powf(value.max(f64::MIN_POSITIVE).log10().floor());
    (value / unit).ceil() * unit
}

fn line(out: &mut String, colour: &str, points: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{points}\"/>"
    );
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, colour: &str, text: &str) {
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(rates: &[f64]) -> Vec<Step> {
        let step = |(no, rate): (u64, &f64)| Step {
            reached: no * 100_000,
            rate: *rate,
            cpu: 1e6 / rate,
            bare: 100_000.0,
        };
        (1..).zip(rates).map(step).collect()
    }

    #[test]
    fn a_sparkline_starts_at_nothing() {
        assert_eq!(sparkline([0.0, 1.0, 4.0, 8.0].into_iter()), "▁▁▄█");
        assert_eq!(sparkline([].into_iter()), "");
    }

    #[test]
    fn a_decline_is_told() {
        let verdict = |rates: &[f64]| {
            let mut report = Report::default();
            section(&steps(rates), &mut report);
            let figure = report.figures().iter().find(|figure| figure.id == "flat/rate");
            figure.unwrap().met
        };
        assert_eq!(verdict(&[100.0; 100]), Some(true));
        let falling: Vec<f64> = (0..100).map(|no| f64::from(200 - no)).collect();
        assert_eq!(verdict(&falling), Some(false));
        assert_eq!(verdict(&[5.0]), None);
    }

    #[test]
    fn the_table_stays_short_and_ends_with_the_last_step() {
        let sections = section(&steps(&[100.0; 100]), &mut Report::default());
        let text = sections[0].to_string();
        assert!(text.contains("10,000,000"), "{text}");
        assert!(text.lines().count() <= LINES + 8, "{text}");
    }

    #[test]
    fn the_picture_has_a_point_a_step() {
        let picture = svg(&steps(&[10.0, 30.0, 25.0]));
        let points = picture.lines().find(|line| line.contains("#0b6") && line.contains("points"));
        let points = points.unwrap().split("points=\"").nth(1).unwrap();
        assert_eq!(points.trim_end_matches("\"/>").split(' ').count(), 3);
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    }
}
