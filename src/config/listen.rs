//! Where the daemon listens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Reads an address to listen on; `none` is nowhere.
///
/// # Errors
/// How to write it instead.
pub fn parse_listen(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "none" {
        return Ok(None);
    }
    let address = match text.strip_prefix("localhost:") {
        Some(port) => port.parse().ok().map(|port| (IpAddr::V4(Ipv4Addr::LOCALHOST), port).into()),
        None => text.parse().ok(),
    };
    address.map(Some).ok_or_else(|| {
        "write an address and a port, as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::1]:8080`, \
         or `none`"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::parse_listen;

    #[test]
    fn addresses_and_none() {
        assert_eq!(parse_listen("none"), Ok(None));
        for (text, address) in
            [("localhost:80", "127.0.0.1:80"), ("0.0.0.0:1", "0.0.0.0:1"), ("[::1]:0", "[::1]:0")]
        {
            assert_eq!(parse_listen(text), Ok(Some(address.parse().unwrap())), "{text}");
        }
        for text in ["", "8080", "127.0.0.1", "localhost", "host:80", "127.0.0.1:70000"] {
            assert!(parse_listen(text).is_err(), "{text}");
        }
    }
}
