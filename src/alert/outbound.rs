//! HTTP to receivers outside.
//!
//! Receivers' addresses may hold secrets: no error tells of more than what went wrong.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Error, http};

pub use ureq::http::Method;

/// How long a receiver may take to be reached.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a receiver may take for all of a request.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A client that follows no redirection: a receiver is where it is said to be.
pub struct Outbound {
    agent: Agent,
}

/// Why a receiver did not take a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// In words, without the receiver's address.
    pub text: String,
    /// Whether another try may succeed.
    pub is_temporary: bool,
    /// Whether the receiver would not take another message now, either.
    pub is_of_receiver: bool,
}

impl Problem {
    /// One that another try would meet again.
    pub fn lasting(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_temporary: false,
            is_of_receiver: false,
        }
    }

    /// One that another try may not meet.
    pub fn temporary(text: impl Into<String>) -> Self {
        Self {
            is_temporary: true,
            ..Self::lasting(text)
        }
    }

    /// The receiver is not there, or takes nothing now.
    pub fn of_receiver(text: impl Into<String>) -> Self {
        Self {
            is_of_receiver: true,
            ..Self::temporary(text)
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Outbound {
    /// A client that trusts whom the host trusts, and goes through the proxy that the environment names.
    pub fn new() -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .user_agent(concat!("lamplighter/", env!("CARGO_PKG_VERSION")))
            .build();
        Self {
            agent: config.new_agent(),
        }
    }

    /// Sends `body`.
    ///
    /// # Errors
    /// The receiver can not be reached, or does not answer with a status from 200 to 299.
    pub fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<(), Problem> {
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(body.to_owned())
            .map_err(|_| Problem::lasting("its address is no URL"))?;
        let response: http::Response<Body> = self.agent.run(request).map_err(unreached)?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let text = format!("it answered with {status}");
        Err(match status.as_u16() {
            429 | 502..=504 => Problem::of_receiver(text),
            408 | 425 | 500..=599 => Problem::temporary(text),
            _ => Problem::lasting(text),
        })
    }
}

impl Default for Outbound {
    fn default() -> Self {
        Self::new()
    }
}

fn unreached(error: Error) -> Problem {
    match error {
        Error::BadUri(_) | Error::Http(_) => Problem::lasting("its address is no URL"),
        Error::InvalidProxyUrl => {
            Problem::lasting("the proxy that the environment names has no good address")
        }
        Error::HostNotFound => Problem::of_receiver("its host is not known"),
        Error::Timeout(_) => {
            Problem::of_receiver(format!("it did not answer within {} s", PATIENCE.as_secs()))
        }
        Error::Io(error) => Problem::of_receiver(format!("it can not be reached: {error}")),
        Error::ConnectionFailed => Problem::of_receiver("it can not be reached"),
        Error::Rustls(error) => Problem::of_receiver(format!("TLS: {error}")),
        // Nothing else is known to hold no address.
        _ => Problem::of_receiver("it does not speak HTTP as expected"),
    }
}
