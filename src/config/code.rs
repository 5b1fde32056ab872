//! The stable codes of what can be wrong with a config, one table for messages and documents.

/// One code: what it means and what to do about it.
#[derive(Debug)]
pub struct Code {
    /// The code itself; it never changes its meaning.
    pub id: &'static str,
    /// What is wrong, for the list of codes.
    pub cause: &'static str,
    /// What to do, for the list of codes.
    pub cure: &'static str,
}

macro_rules! codes {
    ($($name:ident = $id:literal, $cause:literal, $cure:literal;)+) => {
        $(
            #[doc = $cause]
            pub const $name: Code = Code { id: $id, cause: $cause, cure: $cure };
        )+
        /// Every code of config files, in order.
        pub const ALL: &[Code] = &[$($name),+];
    };
}

codes! {
    UNREADABLE = "AG600", "The config file cannot be read.",
        "Check the path, its permissions, and that the file is UTF-8 and under 1 MiB.";
    SYNTAX = "AG601", "The config file is not well-formed YAML.",
        "Mend the marked place; indentation is made of spaces, never of tabs.";
    UNKNOWN_KEY = "AG602", "A key is not one of the config's.",
        "Write the nearest known key, or look the keys up with `schema config`.";
    DUPLICATE_KEY = "AG603", "A mapping has the same key twice.",
        "Keep one of the two.";
    MISSING_KEY = "AG604", "A key that has to be there is not.",
        "Add the key.";
    WRONG_KIND = "AG605", "A value is of the wrong kind: a list where a text belongs, say.",
        "Write the kind of value that the message names.";
    BAD_VALUE = "AG606", "A value is not one of those allowed.",
        "Write one of the allowed values.";
    LITERAL_SECRET = "AG607", "A secret key holds text instead of a reference.",
        "Put the secret into the environment and write `${env:NAME}`; then change the secret, \
         since the file may have been seen.";
    BAD_REFERENCE = "AG608", "A reference is malformed, or of a kind that has no meaning here.",
        "In a config only `${env:NAME}` is a reference; `$${` writes a literal `${`.";
    UNSET = "AG609", "A reference names a variable that is not set, or a file that cannot be read.",
        "Set the variable, or `NAME_FILE` to the path of a file that holds the value.";
    BAD_URL = "AG610", "A URL cannot be used.",
        "Write an http or https URL without user info, query or fragment.";
    PLAIN_HTTP = "AG611", "Credentials would cross the network unencrypted.",
        "Use https, with `ca_file` where the certificate is of a private authority.";
    DUPLICATE_TARGET = "AG612", "Two targets have the same name.",
        "Give each target a name of its own.";
    SAME_PROJECT = "AG613", "Two targets have the same URL and project.",
        "Merge them: they would undo each other's changes.";
    OUTSIDE = "AG614", "A path leads out of the repository.",
        "Write it relative to the root of the repository, without `..`.";
    CONTRADICTION = "AG615", "Two keys exclude each other.",
        "Keep one of the two.";
    BAD_NAME = "AG616", "A name cannot be used.",
        "Write a name without control characters and outer spaces.";
}

#[cfg(test)]
mod tests {
    #[test]
    fn codes_are_in_order_and_differ() {
        assert!(super::ALL.windows(2).all(|pair| pair[0].id < pair[1].id));
    }
}
