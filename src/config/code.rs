//! The stable codes of what can be wrong with a config, one table for messages and documents.

use crate::diagnostic::code::Code;

macro_rules! codes {
    ($($name:ident $id:literal $title:literal, $cause:literal, $cure:literal;)+) => {
        $(
            #[doc = $cause]
            pub const $name: Code = Code { id: $id, title: $title, cause: $cause, cure: $cure };
        )+
        /// Every code of config files, in order.
        pub const ALL: &[Code] = &[$($name),+];
    };
}

codes! {
    UNREADABLE "AG600" "config cannot be read",
        "The config file cannot be read.",
        "Check the path, its permissions, and that the file is UTF-8 and under 1 MiB.";
    SYNTAX "AG601" "config is not valid YAML",
        "The config file is not well-formed YAML.",
        "Mend the marked place; indentation is made of spaces, never of tabs.";
    UNKNOWN_KEY "AG602" "unknown key of the config",
        "A key is not one of the config's.",
        "Write the nearest known key, or look the keys up with `explain config`.";
    DUPLICATE_KEY "AG603" "key given twice",
        "A mapping has the same key twice.",
        "Keep one of the two.";
    MISSING_KEY "AG604" "key is missing",
        "A key that has to be there is not.",
        "Add the key.";
    WRONG_KIND "AG605" "value of the wrong kind",
        "A value is of the wrong kind: a list where a text belongs, say.",
        "Write the kind of value that the message names.";
    BAD_VALUE "AG606" "value not allowed",
        "A value is not one of those allowed.",
        "Write one of the allowed values.";
    LITERAL_SECRET "AG607" "literal secret in the config",
        "A secret key holds text instead of a reference.",
        "Put the secret into the environment and write `${env:NAME}`; then change the secret, \
         since the file may have been seen.";
    BAD_REFERENCE "AG608" "reference without meaning",
        "A reference is malformed, or of a kind that has no meaning here.",
        "In a config only `${env:NAME}` is a reference; `$${` writes a literal `${`.";
    UNSET "AG609" "variable is not set",
        "A reference names a variable that is not set, or a file that cannot be read.",
        "Set the variable, or `NAME_FILE` to the path of a file that holds the value.";
    BAD_URL "AG610" "URL cannot be used",
        "A URL cannot be used.",
        "Write an http or https URL without user info, query or fragment.";
    PLAIN_HTTP "AG611" "unencrypted HTTP",
        "Credentials would cross the network unencrypted.",
        "Use https, with `ca_file` where the certificate is of a private authority.";
    DUPLICATE_TARGET "AG612" "two targets of one name",
        "Two targets have the same name.",
        "Give each target a name of its own.";
    SAME_PROJECT "AG613" "two targets of one project",
        "Two targets have the same URL and project.",
        "Merge them: they would undo each other's changes.";
    OUTSIDE "AG614" "path outside of the repository",
        "A path leads out of the repository.",
        "Write it relative to the root of the repository, without `..`.";
    CONTRADICTION "AG615" "keys exclude each other",
        "Two keys exclude each other.",
        "Keep one of the two.";
    BAD_NAME "AG616" "name cannot be used",
        "A name cannot be used.",
        "Write a name without control characters and outer spaces.";
    NUMBER_AS_WRITTEN "AG618" "number that is written otherwise",
        "A var is a number whose text has another form: texts that use `1.10` get `1.1`.",
        "Quote it if it is a text, a version say; else write the number that the message shows.";
    BAD_RULE "AG619" "rule cannot be used",
        "The expression of a rule cannot be compiled, or asks for something that rules do not see.",
        "Mend the marked part; `explain rules` shows what an expression can see.";
}

#[cfg(test)]
mod tests {
    #[test]
    fn codes_are_in_order_and_differ() {
        assert!(super::ALL.windows(2).all(|pair| pair[0].id < pair[1].id));
    }
}
