//! A run of the smallest size, all phases: does it measure what it says, and leave nothing behind?

#![allow(clippy::unwrap_used, reason = "in a test, what cannot be read is a failure")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn bench(dir: &Path, options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_adal-bench"));
    command.args(["--rounds", "1", "--scale", "0.01", "--dir"]).arg(dir).args(options);
    command.output().unwrap()
}

#[test]
fn a_small_run_gives_every_figure() {
    let dir = tempfile::tempdir().unwrap();
    let (json, svg) = (dir.path().join("out/figures.json"), dir.path().join("out/plot.svg"));
    let paths = [json.to_str().unwrap(), svg.to_str().unwrap()];
    let within = dir.path().join("disk");
    let output = bench(&within, &["--records", "3000", "--json", paths[0], "--svg", paths[1]]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains(" at /"), "{text}");
    let all: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let figures = all["figures"].as_array().unwrap();
    let id = |figure: &Value| figure["id"].as_str().unwrap().to_owned();
    let ids: BTreeSet<String> = figures.iter().map(id).collect();
    assert_eq!(ids.len(), figures.len(), "an id is used twice");
    for figure in figures {
        let value = figure["value"].as_f64().unwrap();
        assert!(value.is_finite() && value > 0.0, "{figure}");
    }
    for producers in [1, 16, 64, 256] {
        for contender in ["front alone", "bare file", "plain sled", "journal"] {
            let ratio = format!("producers/{producers}/{contender}/ratio");
            assert!(ids.contains(&ratio), "{ratio} is missing");
        }
    }
    for id in [
        "groups/256/journal/ratio",
        "bulk/1000/journal, no commands/ratio",
        "bulk/1000/journal, mirror/cpu",
        "mirror/disk_bytes",
        "large/3000/disk/both",
        "large/3000/rss/import",
        "large/3000/start/killed/commit",
        "large/3000/start/no_index/commit",
        "large/3000/read/range",
        "large/3000/check/per_core",
        "flat/cpu",
    ] {
        assert!(ids.contains(id), "{id} is missing");
    }
    let reached: Vec<u64> =
        all["steps"].as_array().unwrap().iter().map(|s| s["reached"].as_u64().unwrap()).collect();
    assert_eq!(reached, [1000, 2000, 3000]);
    assert!(fs::read_to_string(svg).unwrap().contains("records in the journal"));
    assert_eq!(fs::read_dir(within).unwrap().count(), 0, "something was left behind");
}

#[test]
fn too_little_room_is_told_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let output = bench(dir.path(), &["--only", "check", "--records", "1000000000000"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && text.contains("GB are free"), "{text}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_small_run_of_evidence_gives_every_figure() {
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("figures.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_adal-bench"));
    command.args(["evidence", "--entries", "1300", "--json"]).arg(&json);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let figures: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let figures = figures.as_array().unwrap();
    let ids: BTreeSet<&str> = figures.iter().map(|f| f["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), figures.len(), "an id is used twice");
    for figure in figures {
        assert!(figure["value"].as_f64().unwrap() > 0.0, "{figure}");
    }
    for id in [
        "hash",
        "append",
        "sign",
        "inclusion/verify",
        "consistency/prove",
        "mirror",
        "copy",
        "witness/step",
        "receipt/verify",
        "size/slip",
        "size/copy",
    ] {
        assert!(ids.contains(format!("evidence/{id}").as_str()), "{id} is missing");
    }
}
