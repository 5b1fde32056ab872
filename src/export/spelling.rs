//! Names that people gave, spelled so that file systems and shells take them.

/// A text in upper snake case, of ASCII letters and digits: `ödeme-mails` is `ODEME_MAILS`.
pub(super) fn upper_snake(text: &str) -> String {
    words(text, true).join("_").to_ascii_uppercase()
}

/// A text as a file name without its extension: `Ödeme Mails` is `odeme-mails`. It holds nothing
/// but `a-z`, `0-9` and `-`, so it cannot lead anywhere else; it may be empty.
pub(super) fn slug(text: &str) -> String {
    /// File systems take 255 bytes; people read fewer.
    const LONGEST: usize = 100;
    let slug = words(text, false).join("-").to_ascii_lowercase();
    slug.chars().take(LONGEST).collect::<String>().trim_end_matches('-').to_owned()
}

/// The words of a text in ASCII; with `humps`, camel case is split too.
fn words(text: &str, humps: bool) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in text.chars() {
        let is_hump = humps && c.is_uppercase() && (before.is_lowercase() || before.is_numeric());
        if is_hump || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push_str(in_ascii(c));
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A letter or digit as ASCII; nothing where there is no common spelling.
fn in_ascii(c: char) -> &'static str {
    const ASCII: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    if let Some(at) = ASCII.find(c) {
        return ASCII.get(at..=at).unwrap_or_default();
    }
    match c {
        'à' | 'á' | 'â' | 'ã' | 'å' => "a",
        'À' | 'Á' | 'Â' | 'Ã' | 'Å' => "A",
        'ä' | 'æ' => "a",
        'Ä' | 'Æ' => "A",
        'ç' => "c",
        'Ç' => "C",
        'è' | 'é' | 'ê' | 'ë' => "e",
        'È' | 'É' | 'Ê' | 'Ë' => "E",
        'ğ' => "g",
        'Ğ' => "G",
        'ı' | 'ì' | 'í' | 'î' | 'ï' => "i",
        'İ' | 'Ì' | 'Í' | 'Î' | 'Ï' => "I",
        'ñ' => "n",
        'Ñ' => "N",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' => "o",
        'Ò' | 'Ó' | 'Ô' | 'Õ' | 'Ö' | 'Ø' => "O",
        'ş' | 'š' => "s",
        'Ş' | 'Š' => "S",
        'ß' => "ss",
        'ù' | 'ú' | 'û' | 'ü' => "u",
        'Ù' | 'Ú' | 'Û' | 'Ü' => "U",
        'ý' | 'ÿ' => "y",
        'ž' => "z",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_in_upper_snake_case() {
        for (text, wanted) in [
            ("orders", "ORDERS"),
            ("order-mails v2", "ORDER_MAILS_V2"),
            ("elasticPassword", "ELASTIC_PASSWORD"),
            ("JDBC_URL_PASSWORD", "JDBC_URL_PASSWORD"),
            ("İade Ödemesi", "IADE_ODEMESI"),
            ("支付", ""),
        ] {
            assert_eq!(upper_snake(text), wanted, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_slug_is_a_plain_file_name(text in ".{0,300}") {
            let slug = slug(&text);
            proptest::prop_assert!(slug.len() <= 100);
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            proptest::prop_assert!(slug.chars().all(plain), "{slug:?}");
            proptest::prop_assert!(!slug.starts_with('-') && !slug.ends_with('-'));
        }
    }
}
