//! The section `source`: where the documents come from.

use std::path::Path;

use super::code;
use super::fields::Fields;
use super::problems::{error, warning};
use super::reader::Reader;
use super::{Location, Source, url};
use crate::source::{Verify, problem_with_url};

/// Builds the source; paths are relative to the folder of the config.
pub(super) fn build(reader: &mut Reader<'_>, fields: &Fields, folder: &Path) -> Source {
    let (location, as_written) = match (fields.text("url"), fields.text("path")) {
        (Some(text), _) => {
            let problem = match problem_with_url(&text.value) {
                _ if !text.resolved => None,
                Some(problem) => {
                    let message = format!("the repository's `url` cannot be used: {problem}");
                    Some(error(&code::BAD_URL, message))
                }
                None if url::is_exposed(&text.value) => {
                    let message =
                        "the repository, and the token for it, cross the network unencrypted";
                    Some(warning(&code::PLAIN_HTTP, message).help("use https or ssh"))
                }
                None => None,
            };
            if let Some(problem) = problem {
                reader.problems.add(&fields.place_of("url"), problem);
            }
            (Location::Url(text.value.clone()), text.written.clone())
        }
        (None, Some(text)) => (Location::Path(folder.join(&text.value)), text.written.clone()),
        (None, None) => (Location::Path(folder.to_path_buf()), folder.display().to_string()),
    };
    Source {
        location,
        as_written,
        branch: fields.text("branch").map(|text| text.value.clone()),
        poll: fields.duration("poll"),
        verify: fields.fields("verify").and_then(|verify| verification(verify, folder)),
    }
}

fn verification(fields: &Fields, folder: &Path) -> Option<Verify> {
    let file = |key| fields.text(key).map(|text| folder.join(&text.value));
    file("ssh_allowed_signers")
        .map(Verify::SshAllowedSigners)
        .or_else(|| file("gpg_keyring").map(Verify::GpgKeyring))
}
