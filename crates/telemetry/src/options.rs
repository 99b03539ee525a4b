//! The `[telemetry]` part of a configuration file.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// How a node tells about itself. Unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What is logged on stderr: a level (`error`, `warn`, `info`, `debug`, `trace`) or a filter
    /// such as `info,node=debug`. Default `info`.
    pub log: String,
    /// Form of the lines on stderr. Default `text`.
    pub format: Format,
    /// Address of an OTLP collector (gRPC) such as `http://127.0.0.1:4317`; absent: no export.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<String>,
    /// Where the node serves Prometheus text, such as `127.0.0.1:9475`; absent: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<SocketAddr>,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people; coloured on a terminal.
    #[default]
    Text,
    /// One JSON object a line, for machines.
    Json,
}

impl Default for Options {
    fn default() -> Options {
        Options { log: "info".to_owned(), format: Format::Text, otlp: None, prometheus: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_keys_have_defaults_and_unknown_ones_are_errors() {
        let read = |text: &str| toml::from_str::<Options>(text);
        assert_eq!(read("").unwrap(), Options::default());
        let full = "log = \"debug\"\nformat = \"json\"\notlp = \"http://127.0.0.1:4317\"\n\
            prometheus = \"127.0.0.1:9475\"\n";
        let options = read(full).unwrap();
        assert_eq!((options.log.as_str(), options.format), ("debug", Format::Json));
        assert_eq!(toml::to_string(&options).unwrap(), full);
        for bad in ["level = \"info\"", "format = \"xml\"", "prometheus = \"9475\"", "log = 1"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
