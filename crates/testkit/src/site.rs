//! Where a node runs and how it is reached: loopback, or a network namespace of its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Result;
use tokio::net::TcpListener;

/// Where a node runs and how it is reached.
#[derive(Clone, Debug)]
pub struct Site {
    /// Network namespace of its process; `None`: that of this one.
    pub namespace: Option<String>,
    /// Where its services listen.
    pub listen: SocketAddr,
    /// Where people of this process reach them.
    pub reach: SocketAddr,
    /// Where the centre's services are reached by links.
    pub linked: SocketAddr,
    /// Address of this process at which the node dials its link.
    pub door: IpAddr,
}

impl Site {
    /// On loopback, on a port that is free at this moment. It is taken once and kept over restarts,
    /// as others know it.
    pub async fn loopback() -> Result<Site> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?;
        let (namespace, door) = (None, Ipv4Addr::LOCALHOST.into());
        Ok(Site { namespace, listen: free, reach: free, linked: free, door })
    }
}
