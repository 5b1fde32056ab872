//! The parts that the clients of many targets share: a host is asked for no more at once than the
//! largest `concurrency` of its targets, and connections and trust are kept once.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::settings::{ClientError, ClientSettings, http_client};

/// The HTTP clients by what they are made from, and the hosts by host and port.
#[derive(Default)]
pub(crate) struct Shared {
    http: Mutex<HashMap<Way, reqwest::Client>>,
    hosts: Mutex<HashMap<String, Host>>,
}

/// The settings that an HTTP client is made from.
#[derive(PartialEq, Eq, Hash)]
struct Way {
    is_plain: bool,
    timeout: Duration,
    ca_file: Option<PathBuf>,
    /// The URL of the proxy, which may hold a password.
    proxy: Option<String>,
}

/// The places for calls to one host.
struct Host {
    places: Arc<Semaphore>,
    count: usize,
}

impl Shared {
    /// The HTTP client of a target, whose certificates are read the first time.
    pub(super) fn http(
        &self,
        settings: &ClientSettings,
        is_plain: bool,
    ) -> Result<reqwest::Client, ClientError> {
        let way = Way {
            is_plain,
            timeout: settings.timeout,
            ca_file: settings.ca_file.clone(),
            proxy: settings.proxy.as_ref().map(|proxy| proxy.url().to_string()),
        };
        let mut known = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(http) = known.get(&way) {
            return Ok(http.clone());
        }
        let http = http_client(settings, is_plain)?;
        known.insert(way, http.clone());
        Ok(http)
    }

    /// The places of a host, at least so many as a target of it may take.
    pub(super) fn places(&self, host: &str, count: usize) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let none = || Host { places: Arc::new(Semaphore::new(0)), count: 0 };
        let known = hosts.entry(host.to_owned()).or_insert_with(none);
        if count > known.count {
            known.places.add_permits(count - known.count);
            known.count = count;
        }
        Arc::clone(&known.places)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
