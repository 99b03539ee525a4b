//! QR codes: of a slip's exact bytes, as SVG for paper and as text for a terminal.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode, Version};

use crate::errors::{Failure, Outcome};

/// Blank modules around the code (ISO/IEC 18004 asks for four).
const QUIET: usize = 4;
/// Millimetres of a module on paper: what the camera of a phone reads at arm's length.
const MODULE_MM: f64 = 0.5;
/// Black on white, whatever the colours of the terminal are.
const INK: &str = "\u{1b}[38;5;16;48;5;231m";
const PLAIN: &str = "\u{1b}[0m";

/// A QR code.
pub struct Code {
    version: i16,
    side: usize,
    dark: Vec<bool>,
}

impl Code {
    /// The code of these bytes, with the least redundancy: it holds the most, and paper that is
    /// handed over is not yet soiled.
    ///
    /// # Errors
    /// More than 2,953 bytes.
    pub fn of(bytes: &[u8]) -> Outcome<Self> {
        let code = QrCode::with_error_correction_level(bytes, EcLevel::L).map_err(|_| {
            Failure::usage(format!(
                "{} bytes are too many for a QR code, which holds 2953: give the file (--out), or \
                 make a slip (--slip), without opening (--no-opening)",
                bytes.len()
            ))
        })?;
        let version = match code.version() {
            Version::Normal(version) | Version::Micro(version) => version,
        };
        let side = code.width();
        let dark = code.into_colors().into_iter().map(|color| color == Color::Dark).collect();
        Ok(Self { version, side, dark })
    }

    /// Its version, 1 to 40: how dense it is.
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Columns that it takes in a terminal.
    pub fn columns(&self) -> usize {
        self.side + 2 * QUIET
    }

    /// Whether a module is dark; the quiet zone begins at 0.
    fn is_dark(&self, x: usize, y: usize) -> bool {
        let (Some(x), Some(y)) = (x.checked_sub(QUIET), y.checked_sub(QUIET)) else { return false };
        x < self.side && y < self.side && self.dark[y * self.side + x]
    }

    /// A picture of its own size, black on white.
    pub fn svg(&self) -> String {
        let side = self.columns();
        let millimetres = side as f64 * MODULE_MM;
        let mut path = String::new();
        for y in 0..side {
            let mut x = 0;
            while x < side {
                let run = (x..side).take_while(|x| self.is_dark(*x, y)).count();
                if run > 0 {
                    // Writing to a string does not fail.
                    let _ = write!(path, "M{x} {y}h{run}v1h-{run}z");
                }
                x += run.max(1);
            }
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{millimetres}mm\" \
             height=\"{millimetres}mm\" viewBox=\"0 0 {side} {side}\" \
             shape-rendering=\"crispEdges\">\n<rect width=\"{side}\" height=\"{side}\" \
             fill=\"#fff\"/>\n<path d=\"{path}\" fill=\"#000\"/>\n</svg>\n"
        )
    }

    /// Lines of half blocks, two modules each; `ink` sets the colours of a terminal.
    pub fn text(&self, ink: bool) -> String {
        let (begin, end) = if ink { (INK, PLAIN) } else { ("", "") };
        let mut lines = Vec::new();
        for y in (0..self.columns()).step_by(2) {
            let half = |x| match (self.is_dark(x, y), self.is_dark(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            };
            let line: String = (0..self.columns()).map(half).collect();
            lines.push(format!("{begin}{line}{end}"));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_pictures_show_the_same_modules() {
        let code = Code::of("slip — of 42 bytes".repeat(9).as_bytes()).unwrap();
        let side = code.columns();
        let svg = code.svg();
        let path = svg.split("d=\"").nth(1).unwrap().split('"').next().unwrap();
        let mut painted = vec![false; side * side];
        for run in path.split_terminator('z') {
            let (at, run) = run[1..].split_once('h').unwrap();
            let (x, y) = at.split_once(' ').unwrap();
            let (x, y): (usize, usize) = (x.parse().unwrap(), y.parse().unwrap());
            let run: usize = run.split_once('v').unwrap().0.parse().unwrap();
            painted[y * side + x..][..run].fill(true);
        }
        let text = code.text(false);
        for (line, row) in text.lines().enumerate() {
            assert_eq!(row.chars().count(), side);
            for (x, block) in row.chars().enumerate() {
                let lower = (line * 2 + 1 < side).then(|| painted[(line * 2 + 1) * side + x]);
                let halves = (painted[line * 2 * side + x], lower.unwrap_or(false));
                let shown = (matches!(block, '█' | '▀'), matches!(block, '█' | '▄'));
                assert_eq!(shown, halves, "{x} {line}");
            }
        }
        // The quiet zone, and a corner of the finder pattern.
        assert!((0..side).all(|x| !code.is_dark(x, QUIET - 1)) && code.is_dark(QUIET, QUIET));
        assert!(code.text(true).lines().all(|line| line.starts_with(INK)));
    }

    #[test]
    fn another_reader_reads_the_same_bytes() {
        for bytes in [30, 700, 850, 1_450, 2_200] {
            let line = "— adal.example/log/kz-75 c2lnbmF0dXJl\n";
            let text = line.repeat(bytes / line.len() + 1);
            let code = Code::of(text.as_bytes()).unwrap();
            let (scale, side) = (4, code.columns());
            let grey = |x, y| if code.is_dark(x / scale, y / scale) { 20 } else { 230 };
            let size = side * scale;
            let mut image = rqrr::PreparedImage::prepare_from_greyscale(size, size, grey);
            let grids = image.detect_grids();
            assert_eq!(grids.len(), 1, "{bytes}");
            let mut read = Vec::new();
            let meta = grids[0].decode_to(&mut read).unwrap();
            assert_eq!(read, text.as_bytes(), "{bytes}");
            assert_eq!(meta.version.0, usize::from(code.version().unsigned_abs()));
        }
    }

    #[test]
    fn what_is_too_large_is_refused_with_a_remedy() {
        assert_eq!(Code::of(&[b'x'; 2_953]).unwrap().version(), 40);
        let failure = Code::of(&[b'x'; 2_954]).err().unwrap();
        assert!(failure.text.contains("--no-opening"), "{failure}");
    }
}
