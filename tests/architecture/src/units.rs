//! Hardening of the systemd units: what a service may not lose unnoticed.

use crate::report::{Finding, Rule};
use crate::tree::TextFile;

/// A unit that gives its process more than it needs.
pub const HARDENING: Rule = Rule {
    name: "unit-hardening",
    says: "A service unit keeps every line of the hardening list.",
    remedy: "Restore the line; `systemd-analyze security` shows what its loss means.",
};

/// Lines that every `.service` file has. A value may be longer than given here.
const LINES: [&str; 24] = [
    "Type=",
    "Restart=always",
    "KillSignal=SIGTERM",
    "TimeoutStopSec=",
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectClock=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectProc=invisible",
    "RestrictAddressFamilies=AF_INET AF_INET6",
    "RestrictNamespaces=yes",
    "RestrictSUIDSGID=yes",
    "RestrictRealtime=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "SystemCallFilter=@system-service",
    "CapabilityBoundingSet=",
    "UMask=0077",
];

/// Findings for one unit file.
pub fn check(file: &TextFile) -> Vec<Finding> {
    let has = |line: &str| file.text.lines().any(|l| l.trim().starts_with(line));
    let lost = LINES.iter().filter(|line| !has(line));
    let mut findings: Vec<Finding> =
        lost.map(|line| Finding::new(HARDENING, &file.path, format!("lacks `{line}`"))).collect();
    let own_user = has("DynamicUser=yes") || has("User=");
    if !own_user || file.text.lines().any(|l| l.trim() == "User=root") {
        findings.push(Finding::new(HARDENING, &file.path, "runs as root"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(text: String) -> Vec<String> {
        let file = TextFile { path: "deploy/x.service".into(), text };
        check(&file).into_iter().map(|f| f.what).collect()
    }

    #[test]
    fn every_line_is_missed() {
        let whole = format!("{}\nDynamicUser=yes\n", LINES.join("\n"));
        assert!(unit(whole.clone()).is_empty());
        for line in LINES {
            let without: Vec<&str> = whole.lines().filter(|l| *l != line).collect();
            assert_eq!(unit(without.join("\n")), [format!("lacks `{line}`")]);
        }
    }

    #[test]
    fn root_is_found() {
        let lines = LINES.join("\n");
        assert_eq!(unit(lines.clone()), ["runs as root"]);
        assert_eq!(unit(format!("{lines}\nUser=root")), ["runs as root"]);
        assert_eq!(unit(format!("{lines}\n# ProtectHome=no\nUser=adal")), Vec::<String>::new());
    }
}
