//! Progress on standard error: a bar on a terminal, one line a phase elsewhere.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of `steps` for the phase `what`.
pub fn bar(what: &'static str, steps: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        eprintln!("adal-bench: {what} ...");
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(steps);
    let template = "{prefix:12} {wide_bar} {pos}/{len} {eta} {msg:22}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_prefix(what)
}
