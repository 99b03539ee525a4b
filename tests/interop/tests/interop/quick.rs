//! Bundles made by `evidence`'s pure functions.

use crate::forge::{Honest, honest};
use crate::judge::{Judge, judged};
use crate::matrix::Matrix;
use crate::tampering::{Scene, all, epochs};

#[test]
fn an_honest_bundle_passes_every_checker() {
    let honest = honest();
    for judge in Judge::ALL {
        let verdict = judged(judge, &honest.bundle, &honest.policy);
        assert!(verdict.accepted(), "{}: {:#?}", judge.name(), verdict.refused);
    }
}

#[test]
fn a_second_epoch_that_says_where_the_first_ended_passes() {
    let Honest { bundle, keys, policy } = honest();
    let mut scene = Scene { bundle, keys: &keys };
    let (size, root) = scene.end();
    epochs::next(&mut scene, size, &root, true);
    // `ct-merkle` is shown one tree and takes every head for one of it.
    for judge in [Judge::Go, Judge::Python, Judge::Ours] {
        let verdict = judged(judge, &scene.bundle, &policy);
        assert!(verdict.accepted(), "{}: {:#?}", judge.name(), verdict.refused);
    }
}

#[test]
fn every_tampering_is_refused_by_every_checker() {
    let honest = honest();
    let matrix = Matrix::run(&honest, &all(&honest.keys), &Judge::ALL);
    println!("{matrix}");
    matrix.assert_refused();
}

/// The limit of the evidence, stated as a test: with every key on one side and the slip gone,
/// nothing is left that could betray a suppressed complaint.
#[test]
fn without_its_slip_a_suppressed_complaint_is_invisible() {
    let Honest { bundle, keys, policy } = honest();
    let kind = all(&keys).into_iter().find(|kind| kind.name.starts_with("complaint suppressed"));
    let mut scene = Scene { bundle, keys: &keys };
    for path in (kind.unwrap().done)(&mut scene) {
        scene.bundle.take(&path);
    }
    for judge in Judge::ALL {
        let verdict = judged(judge, &scene.bundle, &policy);
        assert!(verdict.accepted(), "{}: {:#?}", judge.name(), verdict.refused);
    }
}
