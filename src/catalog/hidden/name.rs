//! Names that say "secret": of headers, properties, URL parameters and unknown fields.

/// Whether a name of a header, a property or a parameter says that its value is a secret: its
/// last word does (`ssl.key.password`, `X-Auth-Token`, `clientSecret`), so that
/// `key.serializer` and `token.endpoint.url` are not taken for one.
pub(super) fn says_secret(name: &str) -> bool {
    let mut words = words(name);
    while words.len() > 1 && words.last().is_some_and(|w| matches!(&**w, "value" | "text")) {
        words.pop();
    }
    let Some(last) = words.pop() else { return false };
    let last = last.trim_end_matches(|c: char| c.is_ascii_digit());
    const ENDINGS: &[&str] = &[
        "password",
        "passwd",
        "passphrase",
        "passcode",
        "pwd",
        "secret",
        "secrets",
        "token",
        "credential",
        "credentials",
        "authorization",
        "cookie",
        "accesskey",
        "accountkey",
        "apikey",
        "authkey",
        "privatekey",
        "secretkey",
        "sharedkey",
    ];
    // Keys that identify or distribute and open nothing.
    const HARMLESS_KEYS: &[&str] = &[
        "cache",
        "foreign",
        "idempotency",
        "message",
        "object",
        "partition",
        "primary",
        "public",
        "record",
        "routing",
        "row",
        "sort",
    ];
    match last {
        "pass" | "sig" => true,
        "key" | "keys" => words.last().is_none_or(|w| !HARMLESS_KEYS.contains(&w.as_str())),
        _ => ENDINGS.iter().any(|ending| last.ends_with(ending)),
    }
}

/// Whether the name of a field that nobody knows speaks of a secret anywhere: enough to hide its
/// text, not enough to refuse it.
pub(super) fn speaks_of_secret(name: &str) -> bool {
    let folded: String =
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    ["password", "passwd", "pwd", "passphrase", "secret", "token", "key", "credential"]
        .iter()
        .any(|word| folded.contains(word))
        || says_secret(name)
}

/// A name for a variable: the words in upper case, joined by `_`.
pub(crate) fn variable(parts: &[&str]) -> String {
    let words: Vec<String> = parts.iter().flat_map(|part| words(part)).collect();
    let name: String = words
        .join("_")
        .to_uppercase()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    let name = name.trim_matches('_');
    if name.is_empty() { "SECRET".to_owned() } else { name.to_owned() }
}

/// The words of a name in lower case: split at what is no letter or digit, and at the humps of
/// camel case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let characters: Vec<char> = name.chars().collect();
    for (index, &c) in characters.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|i| characters.get(i));
        let after = characters.get(index + 1);
        let hump = c.is_uppercase()
            && (before.is_some_and(|b| b.is_lowercase() || b.is_numeric())
                || before.is_some_and(|b| b.is_uppercase())
                    && after.is_some_and(|a| a.is_lowercase()));
        if hump || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_says_it() {
        for name in [
            "password",
            "PASSWORD",
            "ssl.keystore.password",
            "ssl.keystore.key",
            "sasl.oauthbearer.client.credentials.client.secret",
            "clientSecret",
            "X-Api-Key",
            "APIKey",
            "apikey",
            "api_key2",
            "X-Auth-Token",
            "accessKey",
            "Cookie",
            "Proxy-Authorization",
            "mail.smtp.password",
            "tokenValue",
            "pwd",
        ] {
            assert!(says_secret(name), "{name}");
        }
        for name in [
            "",
            "value",
            "key.serializer",
            "sasl.oauthbearer.token.endpoint.url",
            "passwordCharacterEncoding",
            "Idempotency-Key",
            "publicKey",
            "routingKey",
            "monkey",
            "ssl.keystore.type",
            "Content-Type",
            "bypass",
        ] {
            assert!(!says_secret(name), "{name}");
        }
    }

    #[test]
    fn variables_are_in_upper_snake_case() {
        assert_eq!(variable(&["jdbcUrl", "password"]), "JDBC_URL_PASSWORD");
        assert_eq!(variable(&["ssl.key.password"]), "SSL_KEY_PASSWORD");
        assert_eq!(variable(&["brokerURL", "ä"]), "BROKER_URL");
        assert_eq!(variable(&["--"]), "SECRET");
    }
}
