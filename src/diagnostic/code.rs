//! The stable codes of diagnostics: what each means, why it comes up, and what to do.
//!
//! A code is a promise: scripts filter on it and people search for it, so an id is never given a
//! second meaning. `docs/reference/diagnostics.md` is generated from this table.

/// One kind of problem.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// The stable id, `AG` and three digits.
    pub id: &'static str,
    /// The problem in a few words.
    pub title: &'static str,
    /// When it comes up.
    pub cause: &'static str,
    /// The cure.
    pub cure: &'static str,
}

impl Code {
    /// The cure, as the clause that stands behind `help:`.
    pub(super) fn help(&self) -> String {
        let clause = self.cure.strip_suffix('.').unwrap_or(self.cure);
        let (first, rest) = clause.split_at(1);
        first.to_lowercase() + rest
    }
}

macro_rules! codes {
    ($($group:literal { $($constant:ident $id:literal $title:literal, $cause:literal, $cure:literal;)* })*) => {
        $($(
            #[doc = $title]
            pub const $constant: Code =
                Code { id: $id, title: $title, cause: $cause, cure: $cure };
        )*)*

        /// Every code, in the order of the ids, with the heading of its group.
        static ALL: &[(&str, &[&Code])] = &[$(($group, &[$(&$constant),*])),*];
    };
}

codes! {
"Files and YAML" {
    UNREADABLE_FILE "AG001" "file cannot be read",
        "The file is listed but its content could not be had.",
        "Commit it as a plain file; in a working tree, this user has to be able to read it.";
    FILE_TOO_LARGE "AG002" "file or document is too large",
        "A file over 4 MiB or one document over 1 MiB is refused before it is parsed.",
        "Split the file; large texts such as certificates belong in their own connection.";
    NOT_UTF8 "AG003" "file is not UTF-8",
        "The bytes of the file are not UTF-8 text; it may be UTF-16, Latin-1 or no text at all.",
        "Save the file as UTF-8.";
    CONTROL_CHARACTER "AG004" "character that YAML does not allow",
        "A NUL or another control character stands in the file.",
        "Remove it, or write it as an escape (`\\u00..`) in a double-quoted text.";
    SYNTAX "AG005" "not valid YAML",
        "The text does not follow YAML's grammar at this place.",
        "Check quotes, colons and indentation at this place and on the line above.";
    TAB "AG006" "tab used for indentation",
        "YAML indents with spaces only.",
        "Replace the tab with spaces, and set the editor to do so.";
    UNCLOSED "AG007" "bracket or quote is not closed",
        "A `[`, `{` or quote is opened and the document ends, or goes on, without its other half.",
        "Close it, or put the text into quotes if the character belongs to it.";
    DUPLICATE_KEY "AG008" "key is given twice",
        "One mapping holds the same key twice, so one of the values would be lost.",
        "Remove one of the two.";
    TOO_MANY_VALUES "AG009" "too many values once aliases are expanded",
        "Aliases repeat anchored parts until the document holds an unreasonable number of values.",
        "Write the values out instead of repeating aliases of aliases.";
    TOO_DEEP "AG010" "nested more than 64 levels deep",
        "A document may nest 64 levels, and this one nests deeper.",
        "Flatten the value; no connection needs more than a few levels.";
    TAG "AG011" "tag is not supported",
        "A YAML tag such as `!Ref` or `!vault` asks for a program that this is not.",
        "Remove the tag, or put a text that begins with `!` into quotes; a value from elsewhere is \
         `${env:NAME}` or `${var:NAME}`.";
    LOSSY_NUMBER "AG012" "number that cannot be kept exactly",
        "The number does not fit a 64-bit integer or floating-point value, or is not finite.",
        "Put it into quotes if it is a text; otherwise write a number that can be kept exactly.";
    KEY_KIND "AG013" "key is not a text",
        "A key is a number, a boolean, `null`, a list or a mapping.",
        "Put the key into quotes.";
    UNKNOWN_ANCHOR "AG014" "alias without an anchor",
        "An alias `*name` refers to an anchor `&name` that the document does not have before it.",
        "Write `&name` before its first use, or quote a text that begins with `*`.";
    BAD_MERGE "AG015" "merge key without a mapping",
        "`<<` merges mappings, and its value is neither a mapping nor a list of mappings.",
        "Write `<<: *anchor`, where the anchor marks a mapping, or a list of such.";
}
"The shape of a document" {
    NOT_A_MAPPING "AG101" "document is not a mapping",
        "A document declares one connection as `key: value` pairs; this one is a text or a list.",
        "Begin with `type:` and `name:`; separate several connections by a line `---`.";
    TYPE_MISSING "AG102" "`type` is missing",
        "A document needs `type`, the kind of the connection, as a text.",
        "Add `type: email` or another of the types that `explain` lists.";
    UNKNOWN_TYPE "AG103" "unknown type of connection",
        "The value of `type` is none of the types of the API.",
        "Use one of the types that `explain` lists.";
    NAME_MISSING "AG104" "`name` is missing",
        "A document needs `name`, the name of the connection, as a text.",
        "Add `name:` with the name of one connection, in quotes if it looks like a number or a boolean.";
    BAD_NAME "AG105" "name cannot be used",
        "The name is empty, has outer spaces, a `/` or a control character, or is `.` or `..`.",
        "Choose a name without outer spaces, `/` and control characters.";
    OPTION_KIND "AG106" "wrong value inside `x-gitops`",
        "A key of `x-gitops` has a value of the wrong kind.",
        "See the help line for what it takes.";
    UNKNOWN_OPTION "AG107" "unknown key inside `x-gitops`",
        "`x-gitops` takes `protect`, `renamedFrom`, `ignore`, `suspend` and `targets`.",
        "Correct the spelling, or move the key out of `x-gitops`.";
    BAD_IGNORE "AG108" "`ignore` names what cannot be ignored",
        "An entry of `ignore` is no field name or JSON pointer, or is `type`, `name` or `x-gitops`.",
        "Name a field such as `description`, or a pointer such as `/indexLifecyclePolicy/policyName`.";
    REFERENCE_NOT_ALLOWED "AG109" "reference where none is allowed",
        "`type`, `name` and `x-gitops` decide what a document is and take no references.",
        "Write the value out.";
    UNKNOWN_TARGET "AG110" "`targets` names an unknown target",
        "An entry of `x-gitops.targets` is the name of no configured target.",
        "Correct the spelling, or add the target to the config.";
}
"Fields" {
    UNKNOWN_FIELD "AG201" "unknown field",
        "Neither of the vendor's documents has the field. It is sent as written.",
        "Correct the spelling if it is a mistake.";
    WRONG_KIND "AG202" "value of the wrong kind",
        "The field holds a text where a number belongs, a list where a text belongs, and the like.",
        "Write the value as the help line shows.";
    OUT_OF_RANGE "AG203" "number out of range",
        "The number is smaller or larger than the field takes.",
        "Use a number within the bounds.";
    NOT_ALLOWED "AG204" "value is not allowed",
        "The vendor's documents agree on the words that the field takes, and this is none of them.",
        "Use one of the listed words.";
    DISPUTED_VALUE "AG205" "value that the vendor's documents disagree about",
        "Only one of the vendor's documents knows this value, so a server may refuse it.",
        "Keep it if the server takes it.";
    REQUIRED "AG206" "required field is missing",
        "The type needs the field, always or because of the values of other fields.",
        "Add it; a secret may be declared `null`.";
    NOT_A_TEXT "AG207" "number or boolean in a field of text",
        "The field holds text. The value is sent as it is written, as a number or a boolean.",
        "Put it into quotes; it is sent as it is written.";
    SERVER_FIELD "AG208" "field that the server fills by itself",
        "The server's bookkeeping (`id`, dates, authors, revision) is never sent or compared; other fields \
         that it fills need not be declared.",
        "Leave it out, unless it is to have another value than the server's own.";
    TOO_MANY "AG209" "more problems than are listed",
        "Only the first hundred problems of a document, and the first thousand of a file, are listed.",
        "Mend those that are listed and run again.";
}
"References and secrets" {
    BAD_REFERENCE "AG301" "reference is not well formed",
        "A text holds `${...}` with an unknown scheme, a bad name or no closing brace. A name of \
         Apinizer's has letters, digits, `_` and `.` only.",
        "Correct the reference to `${env:NAME}` or `${var:NAME}`, or write `$${` for a literal `${`.";
    UNKNOWN_VAR "AG302" "unknown variable",
        "The target's `vars` have no value of that name.",
        "Add it to the target's `vars`, or correct the spelling.";
    LITERAL_SECRET "AG303" "literal secret",
        "A secret field holds text. Secrets in git stay there for ever.",
        "Move the value into the environment, refer to it as `${env:NAME}`, and change the secret.";
    HIDDEN_SECRET "AG304" "literal secret inside another value",
        "A URL, a header or a property holds a password, a token or a key.",
        "Move the secret part into the environment and refer to it as `${env:NAME}`.";
    SECRET_FROM_VAR "AG305" "secret taken from a plain variable",
        "`vars` are shown like any other value, so a secret may not come from them.",
        "Take it from the environment: `${env:NAME}`.";
    BAD_VAR_VALUE "AG306" "variable does not fit the field",
        "The value that the target gives the variable is not what the field takes.",
        "Change the variable of that target.";
    UNKNOWN_ENVIRONMENT_VARIABLE "AG307" "variable that the project does not have",
        "A text holds `${NAME}`, which Apinizer resolves from the environment variables of the project, and \
         their list has no such name. Upper and lower case differ. It is sent as it is written.",
        "Correct the name, or add the variable to the project; write `${env:NAME}` for a value from where \
         this runs.";
}
"Names over files and paths" {
    DUPLICATE_NAME "AG401" "connection is declared twice",
        "Two documents of one path have the same name; upper and lower case do not differ.",
        "Remove or rename one; an overlay belongs in a later path.";
    INCOMPLETE_PATCH "AG402" "patch for a connection that no earlier path declares",
        "The document has no `type`, so it can only be an overlay, and there is nothing below it.",
        "Correct the name, or add `type` and the required fields.";
}
"Renames" {
    RENAME_TO_SELF "AG501" "connection is renamed to itself",
        "`renamedFrom` is the connection's own name; upper and lower case do not differ.",
        "Remove `renamedFrom`.";
    RENAMED_TWICE "AG502" "two connections are renamed from one",
        "Two documents have the same `renamedFrom`, and only one can be the new name of the connection.",
        "Remove `renamedFrom` from all but one.";
    RENAME_CYCLE "AG503" "renames run in a cycle",
        "Following `renamedFrom` from this connection leads back to it, so there is no free name to begin with.",
        "Rename one of them to a third name first, in a commit of its own.";
}
"The config" {
    CONFIG_UNREADABLE "AG600" "config cannot be read",
        "The config file cannot be read.",
        "Check the path, its permissions, and that the file is UTF-8 and under 1 MiB.";
    CONFIG_SYNTAX "AG601" "config is not valid YAML",
        "The config file is not well-formed YAML.",
        "Mend the marked place; indentation is made of spaces, never of tabs.";
    CONFIG_UNKNOWN_KEY "AG602" "unknown key of the config",
        "A key is not one of the config's.",
        "Write the nearest known key, or look the keys up with `explain config`.";
    CONFIG_DUPLICATE_KEY "AG603" "key given twice",
        "A mapping has the same key twice.",
        "Keep one of the two.";
    CONFIG_MISSING_KEY "AG604" "key is missing",
        "A key that has to be there is not.",
        "Add the key; `explain config` shows what it takes.";
    CONFIG_WRONG_KIND "AG605" "value of the wrong kind",
        "A value is of the wrong kind: a list where a text belongs, say.",
        "Write a value of the kind that `explain config` shows for the key.";
    CONFIG_BAD_VALUE "AG606" "value not allowed",
        "A value is not one of those allowed.",
        "Write a value that `explain config` allows for the key.";
    CONFIG_LITERAL_SECRET "AG607" "literal secret in the config",
        "A secret key holds text instead of a reference.",
        "Put the secret into the environment and write `${env:NAME}`; then change the secret, \
         since the file may have been seen.";
    CONFIG_BAD_REFERENCE "AG608" "reference without meaning",
        "A reference is malformed, or of a kind that has no meaning here.",
        "In a config only `${env:NAME}` is a reference; `$${` writes a literal `${`.";
    CONFIG_UNSET "AG609" "variable is not set",
        "A reference names a variable that is not set, or a file that cannot be read.",
        "Set the variable, or `NAME_FILE` to the path of a file that holds the value.";
    CONFIG_BAD_URL "AG610" "URL cannot be used",
        "A URL cannot be used.",
        "Write an http or https URL without user info, query or fragment.";
    CONFIG_PLAIN_HTTP "AG611" "unencrypted HTTP",
        "Credentials would cross the network unencrypted.",
        "Use https, with `ca_file` where the certificate is of a private authority.";
    CONFIG_DUPLICATE_TARGET "AG612" "two targets of one name",
        "Two targets have the same name.",
        "Give each target a name of its own.";
    CONFIG_SAME_PROJECT "AG613" "two targets of one project",
        "Two targets have the same URL and project.",
        "Merge them into one target with the `paths` of both; two would undo each other's changes.";
    CONFIG_OUTSIDE "AG614" "path outside of the repository",
        "A path leads out of the repository.",
        "Write it relative to the root of the repository, as `connections`.";
    CONFIG_CONTRADICTION "AG615" "keys exclude each other",
        "Two keys exclude each other.",
        "Keep one of them.";
    CONFIG_BAD_NAME "AG616" "name cannot be used",
        "A name cannot be used.",
        "Choose a name that the message allows.";
    CONFIG_NUMBER_AS_WRITTEN "AG618" "number that is written otherwise",
        "A var is a number whose text has another form: texts that use `1.10` get `1.1`.",
        "Quote it if it is a text, a version say; else write the number that the message shows.";
    CONFIG_BAD_RULE "AG619" "rule cannot be used",
        "The expression of a rule cannot be compiled, or asks for something that rules do not see.",
        "Mend the marked part; `explain rules` shows what an expression can see.";
}
"Rules of the user" {
    DENIED_BY_RULE "AG701" "denied by a rule of the config",
        "A rule of the config denies a document like this one, or could not be evaluated on it.",
        "Change the document as the rule's text says, or the rule in the config.";
    WARNED_BY_RULE "AG702" "warning of a rule of the config",
        "A rule of the config warns of a document like this one, or could not be evaluated on it.",
        "Read the rule's text; the document is taken as it is.";
}
}

/// Every code, in the order of the ids.
pub fn all_codes() -> impl Iterator<Item = &'static Code> {
    groups().flat_map(|(_, codes)| codes.iter().copied())
}

/// The title of the code with an id.
pub(crate) fn title(id: &str) -> &'static str {
    all_codes().find(|code| code.id == id).map_or("it does not load", |code| code.title)
}

/// The codes by group, with the heading of each.
pub fn groups() -> impl Iterator<Item = (&'static str, &'static [&'static Code])> {
    ALL.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_in_order() {
        let ids: Vec<_> = all_codes().map(|code| code.id).collect();
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(ids, sorted);
        assert!(ids.iter().all(|id| id.len() == 5 && id.starts_with("AG")));
    }
}
