//! Secrets inside URLs: user info, and parameters whose names say so. JDBC URLs are no URLs by
//! any standard, so this goes by what drivers accept, and in doubt takes too much.

use std::ops::Range;

use percent_encoding::percent_decode_str;

use crate::name::words;

/// Stands for each byte of a reference, or of the `(sensitive)` that `conceal` put in a secret's place.
pub(super) const FILLER: u8 = 1;

/// A secret that was found in a text, with the name that it has there.
pub(super) type NamedRange = (Range<usize>, String);

/// The secrets in the user info of all URLs in a skeleton; `is_url`: the text is one, and no prose.
pub(super) fn user_info(skeleton: &str, is_url: bool, found: &mut Vec<NamedRange>) {
    for (at, separator) in skeleton.match_indices("://") {
        let (start, scheme) = (at + separator.len(), skeleton[..at].to_ascii_lowercase());
        let rest = &skeleton[start..];
        let is_http = is_url && (scheme.ends_with("http") || scheme.ends_with("https"));
        let password = password_of_authority(rest);
        let user = match &password {
            Some(password) => 0..password.start - 1,
            None => user_of_authority(rest),
        };
        // Over HTTP nobody names a user without a password.
        let is_token = password.is_none() && is_http || is_key(&rest[user.clone()]);
        let token = is_token.then_some((user, "token"));
        for (range, name) in token.into_iter().chain(password.map(|range| (range, "password"))) {
            found.push((start + range.start..start + range.end, name.to_owned()));
        }
    }
    if let Some(range) = password_of_oracle(skeleton) {
        found.push((range, "password".to_owned()));
    }
}

/// The user of `user@host...` and of `user:@host...`; empty where there is none.
fn user_of_authority(rest: &str) -> Range<usize> {
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let user_info = authority.rfind('@').map_or("", |at| &authority[..at]);
    let user = user_info.strip_suffix(':').unwrap_or(user_info);
    0..if user.contains(':') { 0 } else { user.len() }
}

/// The password in `user:password@host...`, which may hold characters that a standard URL
/// would have to encode.
fn password_of_authority(rest: &str) -> Option<Range<usize>> {
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let authority = without_parameters(authority);
    let colon = authority.find(':');
    if let Some(at) = authority.rfind('@') {
        let password = colon? + 1..at;
        return (password.start < password.end).then_some(password);
    }
    // `user:pass/word@host`: what follows the colon is no port, so it is a password that holds
    // a character which ended the authority above.
    let tail = authority.get(colon? + 1..)?;
    let several_hosts = tail.contains([',', ')']) || authority.starts_with('[');
    if is_port(tail) || several_hosts {
        return None;
    }
    let end = rest.rfind('@').filter(|at| *at >= authority.len())?;
    Some(colon? + 1..end)
}

/// Cuts `;user=a;password=b@c` off a `host:port`, as some JDBC URLs have it, but leaves a `;`
/// in a password alone.
fn without_parameters(authority: &str) -> &str {
    let cut = authority.match_indices(';').map(|(at, _)| at).find(|at| {
        let host = &authority[..*at];
        begins_parameter(&authority[at + 1..])
            && host.rsplit_once(':').is_none_or(|(_, port)| is_port(port))
    });
    cut.map_or(authority, |at| &authority[..at])
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || b == FILLER)
}

/// The password in `jdbc:oracle:thin:user/password@...`, also behind other characters.
fn password_of_oracle(skeleton: &str) -> Option<Range<usize>> {
    let lower = skeleton.to_ascii_lowercase();
    let driver = lower.split_once("jdbc:oracle:")?.1;
    let login = driver.split_once(':')?.1;
    let start = lower.len() - login.len();
    let at = login.rfind('@')?;
    let slash = login.get(..at)?.find('/')?;
    // `@//host/service` without a login.
    let has_login = !login.starts_with('@') && slash > 0 && slash + 1 < at;
    has_login.then_some(start + slash + 1..start + at)
}

/// The values of all parameters in a skeleton whose names say that they are secrets.
pub(super) fn parameters(skeleton: &str, found: &mut Vec<NamedRange>) {
    // A bare `key=` is as often no secret.
    let is_secret = |name: &str| !name.eq_ignore_ascii_case("key") && says_secret(name);
    secret_values(skeleton, is_secret, value_after, found);
}

/// The values behind each `=` in a skeleton before which a name of a secret stands; `value_at` finds the
/// value that begins there.
pub(super) fn secret_values(
    skeleton: &str,
    is_secret: impl Fn(&str) -> bool,
    value_at: impl Fn(&str, usize) -> Range<usize>,
    found: &mut Vec<NamedRange>,
) {
    let mut done = 0;
    for (equals, _) in skeleton.match_indices('=') {
        if equals < done {
            continue;
        }
        let Some(name) = name_before(skeleton, equals).filter(|name| is_secret(name)) else {
            continue;
        };
        let range = value_at(skeleton, equals + 1);
        done = range.end;
        let value = &skeleton[range.clone()];
        if !value.is_empty() && !is_boolean(value) {
            found.push((range, name));
        }
    }
}

/// Whether a value is a switch and no secret, whatever its name says.
pub(super) fn is_boolean(value: &str) -> bool {
    value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false")
}

/// The name that ends at an `=`, percent-decoded.
fn name_before(skeleton: &str, equals: usize) -> Option<String> {
    let before = skeleton[..equals].trim_end();
    let start = before
        .char_indices()
        .rev()
        .take_while(|(_, c)| is_name_character(*c))
        .last()
        .map(|(index, _)| index)?;
    Some(percent_decode_str(&before[start..]).decode_utf8_lossy().into_owned())
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '%')
}

fn value_after(skeleton: &str, start: usize) -> Range<usize> {
    let rest = &skeleton[start..];
    let in_parentheses = {
        let before = &skeleton[..start];
        before.matches('(').count() > before.matches(')').count()
    };
    for (open, close) in [('{', '}'), ('"', '"'), ('\'', '\'')] {
        if let Some(inside) = rest.strip_prefix(open)
            && let Some(end) = inside.find(close)
            && inside[end + 1..].chars().next().is_none_or(|c| matches!(c, '&' | ';' | ',' | ')'))
        {
            return start + 1..start + 1 + end;
        }
    }
    if rest.starts_with(['&', ';']) || in_parentheses && rest.starts_with([',', ')']) {
        return start..start;
    }
    let filled = rest.bytes().take_while(|b| *b == FILLER).count();
    if filled > 0 && rest[filled..].starts_with(['&', ';', ',', ')', '?', '#', '/', ' ']) {
        return start..start + filled;
    }
    // A raw separator may be part of the secret: only what is followed by another parameter, or
    // by nothing, ends it.
    let end = rest.char_indices().find(|(index, c)| {
        let next = &rest[index + c.len_utf8()..];
        match c {
            '&' | ';' => next.is_empty() || begins_parameter(next),
            ',' => in_parentheses && (begins_parameter(next) || begins_url(next)),
            ')' => in_parentheses,
            _ => false,
        }
    });
    start..start + end.map_or(rest.len(), |(index, _)| index)
}

/// Whether a text begins like `name=`.
fn begins_parameter(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| is_name_character(c) || c == ' ')
    })
}

fn begins_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric())
    })
}

// Names that say "secret": of headers, properties, URL parameters and unknown fields.

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
    // `PassPhrase` and `pass_word` are two words of one.
    let joined = words.last().map_or_else(String::new, |before| format!("{before}{last}"));
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
        _ => ENDINGS.iter().any(|ending| last.ends_with(ending) || joined.ends_with(ending)),
    }
}

/// Whether the name of an unknown field speaks of a secret anywhere: enough to hide its text, not enough to
/// refuse it. A key counts where the word ends the name, or says which key it is (`privateKeyPem`):
/// `keyField` and `monkey` are no secrets.
pub(super) fn speaks_of_secret(name: &str) -> bool {
    let folded: String =
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let words = words(name);
    ["password", "passwd", "pwd", "passphrase", "secret", "token", "credential"]
        .iter()
        .any(|word| folded.contains(word))
        || (2..words.len()).any(|count| says_secret(&words[..count].join("-")))
        || says_secret(name)
}

/// Whether a host or user name plainly is a key: a UUID, or a long run of letters and digits without
/// the dots of a host or the hyphens of a pod.
pub(super) fn is_key(text: &str) -> bool {
    if is_uuid(text) {
        return true;
    }
    const SHORTEST: usize = 20;
    let has = |test: fn(&char) -> bool| text.chars().any(|c| test(&c));
    let letters_and_digits = has(char::is_ascii_alphabetic) && has(char::is_ascii_digit);
    let mixed_case = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase);
    text.len() >= SHORTEST
        && letters_and_digits
        && (mixed_case || !text.contains('-'))
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=_-:".contains(&b))
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// A name for a variable: the words in upper case, joined by `_`.
pub(crate) fn variable(parts: &[&str]) -> String {
    let words: Vec<String> = parts.iter().flat_map(|part| words(part)).collect();
    if words.is_empty() { "SECRET".to_owned() } else { words.join("_").to_ascii_uppercase() }
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
            "PassPhrase",
            "ssl_pass_phrase",
            "Pass-Code",
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
        assert_eq!(variable(&["brokerURL", "支付"]), "BROKER_URL");
        assert_eq!(variable(&["--"]), "SECRET");
    }
}
