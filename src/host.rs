//! Which hosts are this machine: what is sent there never leaves it.

use url::Host;

/// The names of this machine beside `localhost` and all that is below it.
const NAMES: [&str; 3] = ["localhost.localdomain", "ip6-localhost", "ip6-loopback"];

/// Whether a host is this machine. The unspecified address is: the system connects it to loopback.
pub(crate) fn is_this_machine(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_lowercase();
            name == "localhost" || name.ends_with(".localhost") || NAMES.contains(&name.as_str())
        }
        Host::Ipv4(address) => address.is_loopback() || address.is_unspecified(),
        Host::Ipv6(address) => {
            let address = address.to_canonical();
            address.is_loopback() || address.is_unspecified()
        }
    }
}
