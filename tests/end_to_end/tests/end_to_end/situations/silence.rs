//! Silence is an alarm after its time, by office, on both sides and everywhere, and ends by itself.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use testkit::Settings;
use testkit::country::Country;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::call::link;
use crate::support::tool::Tool;
use crate::support::{land_with, quick, until};

/// Alarms after three seconds.
fn alert() -> Settings {
    let Settings { top, tables } = quick();
    let tables = format!("{tables}silence_alarm_ms = 3000\n");
    let port = "[telemetry]\nprometheus = \"127.0.0.1:0\"\n";
    Settings { top, tables: tables.replace("[telemetry]\n", port) }
}

/// What a node serves to whoever asks in plain HTTP.
pub async fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let ask = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// The alarm about `peer` is, or is not, in the status, in the tool and in the metrics.
async fn shows(country: &Country, (office, peer): (&str, &str), words: Option<&str>) -> Result<()> {
    let process = match office {
        "KZ" => country.coordinator.as_ref(),
        office => country.region(office)?.process.as_ref(),
    };
    let address = process.context("it runs")?.address("prometheus")?;
    let operator = Tool::of(country, office, "operator")?;
    until("the alarm is as it should be", async || {
        let alarm = link(country, office, peer).await?.alarm;
        match words {
            Some(words) => {
                ensure!(alarm.starts_with(&format!("{peer} {words}")), "{office}: {alarm}")
            }
            None => ensure!(alarm.is_empty(), "{office}: {alarm}"),
        }
        let status = operator.run(&["sync", "status"]).await?;
        let is_said = status.err.contains(&format!("ALARM {peer}: {peer} "));
        ensure!(is_said == words.is_some(), "{}", status.err);
        let value = u8::from(words.is_some());
        let metrics = get(address, "/metrics").await?;
        let shown = metrics.lines().any(|line| {
            line.starts_with("adal_replication_silence_alarm{")
                && line.contains(&format!("office=\"{peer}\""))
                && line.ends_with(&format!(" {value}"))
        });
        ensure!(shown, "{metrics}");
        Ok(())
    })
    .await
}

/// The alarm was said once in the log of `office`, and once that it is over, if it is.
async fn logged(country: &Country, office: &str, (begun, over): (usize, usize)) -> Result<()> {
    until("the log says it once", async || {
        let log = country.installation.folder(office).join("stderr.log");
        let log = std::fs::read_to_string(log)?;
        let count = |text: &str| log.lines().filter(|line| line.contains(text)).count();
        let said = (count("ALARM: an office is silent"), count("heard again: the alarm is over"));
        ensure!(said == (begun, over), "{office}: {said:?} in\n{log}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_an_alarm_on_both_sides_and_ends_by_itself() -> Result<()> {
    let mut settings = alert();
    settings.tables = settings.tables.replace("log = \"warn\"", "log = \"info\"");
    let mut land = land_with(&["KZ-75"], settings).await?;
    let country = &mut land.country;
    country.prepare_region("KZ-71").await?;
    country.enrol("KZ-71").await?; // and never started
    country.settle().await?;
    country.kill_region("KZ-75").await?;
    shows(country, ("KZ", "KZ-75"), Some("is silent for ")).await?;
    shows(country, ("KZ", "KZ-71"), Some("was never linked, for ")).await?;
    let page = country.coordinator.as_ref().context("the centre")?.address("page")?;
    let html = get(page, "/?lang=en").await?;
    ensure!(html.contains("silent since "), "{html}");
    ensure!(html.matches("<strong class=\"poor\">ALARM</strong>").count() == 2, "{html}");
    let explained = Tool::of(country, "KZ", "operator")?.one(&["sync", "explain", "KZ-75"]).await?;
    ensure!(explained["findings"][0]["code"] == "silent", "{explained:#}");
    ensure!(explained["state"].as_str().is_some_and(|s| s.starts_with("silent since 20")));
    logged(country, "KZ", (2, 0)).await?;

    country.start_region("KZ-75").await?;
    country.start_region("KZ-71").await?;
    for office in ["KZ-75", "KZ-71"] {
        shows(country, ("KZ", office), None).await?;
        shows(country, (office, "KZ"), None).await?;
    }
    logged(country, "KZ", (2, 2)).await?;

    country.kill_coordinator().await?;
    shows(country, ("KZ-75", "KZ"), Some("is silent for ")).await?;
    logged(country, "KZ-75", (1, 0)).await?;
    country.start_coordinator().await?;
    shows(country, ("KZ-75", "KZ"), None).await?;
    logged(country, "KZ-75", (1, 1)).await
}
