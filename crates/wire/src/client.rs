//! Dials a node over mutual TLS: the one way in which people's tools and offices connect.

use std::time::Duration;

use thiserror::Error;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// Time for TCP and TLS. Generous: links with round trips of 500 ms need several of them, and on a
/// line of 10 kbit/s the certificates of both sides take five seconds, behind whatever waits.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);
/// Keep-alive: a dead connection is noticed within the sum of both, idle or not. An answer may have
/// to wait for what a slow line carries before it.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEP_ALIVE_LIMIT: Duration = Duration::from_secs(60);

/// What is needed to dial: the address, the name to expect, and the caller's certificate.
#[derive(Clone)]
pub struct Target {
    /// `host:port`.
    pub address: String,
    /// The DNS name that the node's certificate must carry.
    pub server_name: String,
    /// The authority's certificate, PEM.
    pub authority: String,
    /// The caller's certificate, PEM.
    pub certificate: String,
    /// The caller's private key, PEM. Never shown.
    pub key: String,
}

/// Why a node cannot be dialled.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Address, certificate or key is malformed.
    #[error("prepare the connection to {address}")]
    Prepare {
        /// Where the call was to go.
        address: String,
        /// The library's reason.
        #[source]
        source: tonic::transport::Error,
    },
    /// Nobody answers there, or one side refuses the other's certificate.
    #[error("connect to {address} as {server_name}")]
    Connect {
        /// Where the call went.
        address: String,
        /// The name that was expected.
        server_name: String,
        /// The library's reason, with the TLS alert in its chain.
        #[source]
        source: tonic::transport::Error,
    },
}

impl Target {
    /// A channel that connects at its first call and again whenever the connection breaks.
    pub fn lazy(&self) -> Result<Channel, ConnectError> {
        Ok(self.endpoint()?.connect_lazy())
    }

    /// Connects now.
    pub async fn connect(&self) -> Result<Channel, ConnectError> {
        self.endpoint()?.connect().await.map_err(|source| ConnectError::Connect {
            address: self.address.clone(),
            server_name: self.server_name.clone(),
            source,
        })
    }

    fn endpoint(&self) -> Result<Endpoint, ConnectError> {
        let prepare = |source| ConnectError::Prepare { address: self.address.clone(), source };
        let tls = ClientTlsConfig::new()
            .domain_name(&self.server_name)
            .ca_certificate(Certificate::from_pem(&self.authority))
            .identity(Identity::from_pem(&self.certificate, &self.key));
        Ok(Endpoint::from_shared(format!("https://{}", self.address))
            .map_err(prepare)?
            .tls_config(tls)
            .map_err(prepare)?
            .connect_timeout(CONNECT_LIMIT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
            .keep_alive_timeout(KEEP_ALIVE_LIMIT)
            .keep_alive_while_idle(true))
    }
}
