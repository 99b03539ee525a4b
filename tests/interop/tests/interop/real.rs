//! The bundle of an office that really ran: a centre and three offices in processes of their own,
//! records of several kinds, exported with `adal evidence export` and `adal receipt issue`.

mod office;

use anyhow::{Result, ensure};

use crate::judge::{Judge, judged};
use crate::matrix::Matrix;
use crate::tampering::all;

/// Every so many kinds of tampering are tried in the short run.
const SHORT: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn a_real_offices_bundle_passes_and_tampering_is_refused() -> Result<()> {
    let judges = [&Judge::ALL[..], &[Judge::Adal]].concat();
    check(&judges, SHORT).await
}

/// All kinds, by all judges: those that pip installs too.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "all kinds of tampering, with packages of PyPI: make interop"]
async fn every_tampering_with_a_real_offices_bundle_is_refused() -> Result<()> {
    let judges = [&Judge::ALL[..], &[Judge::Adal, Judge::Packages]].concat();
    check(&judges, 1).await
}

async fn check(judges: &[Judge], step: usize) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let honest = office::exported(dir.path()).await?;
    for judge in judges {
        let verdict = judged(*judge, &honest.bundle, &honest.policy);
        ensure!(verdict.accepted(), "{}: {:#?}", judge.name(), verdict.refused);
    }
    let kinds: Vec<_> = all(&honest.keys).into_iter().step_by(step).collect();
    if honest.keys.peers.is_empty() {
        println!("left out: what is done to peers, for this office's policy lists none");
    }
    let matrix = Matrix::run(&honest, &kinds, judges);
    println!("{matrix}");
    matrix.assert_refused();
    Ok(())
}
