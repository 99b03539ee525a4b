//! `adal-fuzz --target=NAME [libFuzzer's options] [folders of inputs]`: one fuzz target under
//! libFuzzer. `make fuzz` builds it with coverage and runs every target for a bounded time.

#![no_main]

use std::sync::OnceLock;

use fuzz_tests::Target;
use libfuzzer_sys::fuzz_target;

/// The target of this process.
static TARGET: OnceLock<Target> = OnceLock::new();

fuzz_target!(
    // libFuzzer passes over arguments that begin with two dashes.
    init: {
        let name = std::env::args().find_map(|arg| Some(arg.strip_prefix("--target=")?.to_owned()));
        match name.as_deref().and_then(fuzz_tests::find) {
            Some(target) => drop(TARGET.set(target)),
            None => panic!("name a target with --target=NAME (adal-fuzz-seeds lists them)"),
        }
    },
    |data: &[u8]| {
        if let Some(target) = TARGET.get() {
            (target.run)(data);
        }
    }
);
