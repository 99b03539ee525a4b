//! A network namespace with two ways out of it: one for the link, which can be made slow and lossy,
//! and one for whoever watches. Needs root, `ip`, `tc` (iproute2) and `nft` (nftables).

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::site::Site;

/// Port of a node in a namespace.
const PORT: u16 = 7_440;

/// A namespace; it is removed with this value, and its ways with it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    /// The link's end here.
    link: String,
    /// The other way's end here.
    watch: String,
    /// First two octets of its addresses are 10.231.
    net: u8,
    host: u8,
}

impl Namespace {
    /// Makes a namespace with addresses that differ by `number` (0 to 15) within this process.
    ///
    /// # Errors
    /// No root rights, a tool that is missing, names or addresses that are taken.
    pub fn create(number: u8) -> Result<Namespace> {
        let pid = std::process::id();
        let net = u8::try_from(pid % 200)?;
        let (name, host) = (format!("adal-{pid}-{number}"), number * 16);
        let (link, watch) = (format!("adl{pid}x{number}"), format!("adc{pid}x{number}"));
        run(&["ip", "netns", "add", &name])?;
        let namespace = Namespace { name, link, watch, net, host };
        for (way, inside, last) in
            [(&namespace.link, "uplink", host), (&namespace.watch, "watch", host + 4)]
        {
            let (here, there) = (namespace.address(last + 1), namespace.address(last + 2));
            let peer = ["type", "veth", "peer", "name", inside, "netns", &namespace.name];
            run(&[&["ip", "link", "add", way], &peer[..]].concat())?;
            run(&["ip", "addr", "add", &format!("{here}/30"), "dev", way])?;
            run(&["ip", "link", "set", "dev", way, "up"])?;
            namespace.run(&["ip", "addr", "add", &format!("{there}/30"), "dev", inside])?;
            namespace.run(&["ip", "link", "set", "dev", inside, "up"])?;
        }
        namespace.run(&["ip", "link", "set", "dev", "lo", "up"])?;
        Ok(namespace)
    }

    /// Whether namespaces can be made here; else why not.
    pub fn possible() -> std::result::Result<(), String> {
        for tool in ["ip", "tc", "nft"] {
            if Command::new(tool).arg("-V").output().is_err() && tool != "nft" {
                return Err(format!("{tool} is not installed (iproute2)"));
            }
        }
        if Command::new("nft").arg("--version").output().is_err() {
            return Err("nft is not installed (nftables)".to_owned());
        }
        let probe = format!("adal-{}-probe", std::process::id());
        let made = run(&["ip", "netns", "add", &probe]);
        made.and_then(|()| run(&["ip", "netns", "delete", &probe]))
            .map_err(|error| format!("{error:#}"))
    }

    fn address(&self, last: u8) -> IpAddr {
        Ipv4Addr::new(10, 231, self.net, last).into()
    }

    /// A node in it.
    pub fn site(&self) -> Site {
        Site {
            namespace: Some(self.name.clone()),
            listen: (Ipv4Addr::UNSPECIFIED, PORT).into(),
            reach: (self.address(self.host + 6), PORT).into(),
            linked: (self.address(self.host + 2), PORT).into(),
            door: self.address(self.host + 1),
        }
    }

    fn run(&self, line: &[&str]) -> Result<()> {
        run(&[&["ip", "netns", "exec", &self.name], line].concat())
    }

    /// Limits the link to so many kilobits a second in each direction (`tc tbf`), with a queue of
    /// 10 kB before it, as a modem has.
    pub fn rate(&self, kbit: u32) -> Result<()> {
        let rate = format!("{kbit}kbit");
        let shape = ["root", "tbf", "rate", &rate, "burst", "3200", "limit", "10000"];
        run(&[&["tc", "qdisc", "replace", "dev", &self.link], &shape[..]].concat())?;
        self.run(&[&["tc", "qdisc", "replace", "dev", "uplink"], &shape[..]].concat())
    }

    /// Loses so many of a hundred packets of the link, in each direction (`nft numgen`).
    pub fn lose(&self, percent: u8) -> Result<()> {
        let some = format!("numgen random mod 100 < {percent}");
        let which = if percent < 100 { some.as_str() } else { "" };
        let chain = |hook: &str, way: &str| {
            let place = format!("type filter hook {hook} priority 0;");
            format!("chain {hook} {{ {place} {way} \"uplink\" {which} drop; }}")
        };
        let (input, output) = (chain("input", "iifname"), chain("output", "oifname"));
        let rules = format!("table inet adal {{\n{input}\n{output}\n}}");
        self.run(&["nft", &rules])
    }

    /// Loses nothing any more.
    pub fn lose_nothing(&self) -> Result<()> {
        self.run(&["nft", "delete table inet adal"])
    }

    /// Takes the link's interface down, or up again.
    pub fn plug(&self, up: bool) -> Result<()> {
        self.run(&["ip", "link", "set", "dev", "uplink", if up { "up" } else { "down" }])
    }

    /// Bytes on the link so far, Ethernet frames as the kernel counts them: from the node, to it.
    pub fn traffic(&self) -> Result<(u64, u64)> {
        let read = |which: &str| {
            let path = format!("/sys/class/net/{}/statistics/{which}_bytes", self.link);
            let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
            anyhow::Ok(text.trim().parse()?)
        };
        Ok((read("rx")?, read("tx")?))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The kernel removes what is in a namespace some time after it: the ways go first.
        let _ = run(&["ip", "link", "delete", "dev", &self.link]);
        let _ = run(&["ip", "link", "delete", "dev", &self.watch]);
        let _ = run(&["ip", "netns", "delete", &self.name]);
    }
}

fn run(line: &[&str]) -> Result<()> {
    let (program, rest) = line.split_first().context("a program")?;
    let ended = Command::new(program).args(rest).output();
    let ended = ended.with_context(|| format!("run {program}"))?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "{} failed: {}", line.join(" "), said.trim());
    Ok(())
}
