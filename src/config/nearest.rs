//! The known word that a mistyped one was most likely meant to be.

/// The nearest of some words, if one is near enough to be suggested.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let folded = plain(word);
    known
        .map(|candidate| (strsim::damerau_levenshtein(&folded, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(4) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Without what people write differently: case, `-` and `_`.
fn plain(word: &str) -> String {
    word.chars().take(80).filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn suggests_only_what_is_near() {
        let known = || ["max_deletes", "resync", "token", "url"].into_iter();
        assert_eq!(nearest("maxDeletes", known()), Some("max_deletes"));
        assert_eq!(nearest("tokne", known()), Some("token"));
        assert_eq!(nearest("uri", known()), Some("url"));
        assert_eq!(nearest("colour", known()), None);
    }
}
