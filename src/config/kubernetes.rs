//! The section `kubernetes`: how replicas in a cluster share the targets.

use std::path::Path;

use super::fields::Fields;
use super::problems::error;
use super::read::Reader;
use super::{Kubernetes, Target, url};
use crate::diagnostic::code;
use crate::host::is_this_machine;

/// How many of the longest call have to fit into a lease: one that has just started, and one for
/// the renewals that may fail meanwhile.
const CALLS_PER_LEASE: u32 = 2;

/// Builds the section, if it is there.
pub(super) fn build(
    reader: &mut Reader<'_>,
    root: &Fields,
    targets: &[Target],
    folder: &Path,
) -> Option<Kubernetes> {
    let fields = root.fields("kubernetes")?;
    let lease = fields.duration("lease");
    if let Some(target) =
        targets.iter().find(|target| lease < target.manager.timeout * CALLS_PER_LEASE)
    {
        let message = format!(
            "the `lease` is shorter than {CALLS_PER_LEASE} times the `timeout` of the target `{}`",
            target.name
        );
        let problem = error(&code::CONFIG_BAD_VALUE, message).help(
            "a write has to be over before another replica may begin one: lengthen `lease`, or \
             shorten `timeout`",
        );
        reader.problems.add(&fields.place_of("lease"), problem);
    }
    let api = fields.text("api").map(|text| text.value.trim_end_matches('/').to_owned());
    if let Some(api) = &api
        && !may_carry_a_token(api)
    {
        let message = "the `api` of Kubernetes is not an https URL without user info";
        let problem = error(&code::CONFIG_BAD_URL, message)
            .help("http is allowed only to this machine, where `kubectl proxy` listens");
        reader.problems.add(&fields.place_of("api"), problem);
    }
    Some(Kubernetes {
        lease,
        state_in_secret: fields.word("state") == Some(&"secret"),
        namespace: fields.text("namespace").map(|text| text.value.clone()),
        service_account: folder.join(&fields.text("service_account")?.value),
        api,
    })
}

/// Whether the token of the service account may be sent there.
fn may_carry_a_token(api: &str) -> bool {
    let Ok(parsed) = ::url::Url::parse(api) else { return false };
    let is_here = parsed.host().is_some_and(|host| is_this_machine(&host));
    let scheme = parsed.scheme();
    !url::has_user_info(api) && (scheme == "https" || (scheme == "http" && is_here))
}
