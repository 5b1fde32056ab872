//! Settings that only Apinizer's console knows: neither of the vendor's documents has a field for
//! them.

/// The settings of a type that only the console knows, in words.
pub(crate) fn console_only(type_name: &str) -> Option<&'static str> {
    Some(match type_name {
        "email" => "settings of SSL",
        "ldap" => "a timeout",
        "syslog" => "a circuit breaker, the queue, framing and timeouts",
        "webhook" => "a circuit breaker, TLS, batching and timeouts",
        "activeMq" | "elasticsearch" | "graylog" | "kafka" | "logback" | "rabbitMq" => {
            "a circuit breaker, where logs are sent to the connection"
        }
        _ => return None,
    })
}
