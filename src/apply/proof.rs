//! Whether secrets that git does not declare may be sent back as live shows them (rule 5). A server
//! that once showed secrets in clear may show cipher text today, so this very pass has to prove it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Job;
use crate::desired::DesiredConnection;
use crate::live::LiveConnection;
use crate::plan::compare::{same_in_constant_time, shown_text};
use crate::plan::view::LiveView;
use crate::record::Owned;
use crate::secret::{Fingerprint, FingerprintKey};

/// The findings of this pass about secrets: by type and pointer, whether one that git
/// declares reads back equal now.
#[derive(Debug, Default)]
pub(crate) struct Proofs(tokio::sync::Mutex<BTreeMap<(&'static str, String), bool>>);

/// The proven secrets of one connection.
pub(super) struct Proof<'a> {
    key: &'a FingerprintKey,
    /// The fields that a secret of the type proves to be shown in clear.
    readable: BTreeSet<String>,
    /// The values that may be sent back while live shows them.
    known: BTreeMap<String, Fingerprint>,
}

impl<'a> Proof<'a> {
    /// Finds out what a PUT of this connection needs to know.
    pub(super) async fn of(
        job: &'a Job<'_>,
        desired: &DesiredConnection,
        view: &LiveView<'_>,
        owned: Option<&Owned>,
    ) -> Self {
        let own_type = desired.connection_type;
        let mut readable = BTreeSet::new();
        for secret in own_type.secrets() {
            let path = format!("/{}", secret.name);
            let is_written = desired.field(&path).is_some() && !desired.ignores(&path);
            let is_shown = shown_text(view.shown_by_get(&path)).is_some();
            if !is_written && is_shown && job.is_proven(own_type.name, &path).await {
                readable.insert(path);
            }
        }
        let known = owned.map(Owned::known_secrets).unwrap_or_default();
        Self { key: job.rules.keys.key, readable, known }
    }

    /// Whether a shown value is proven to be the secret itself.
    pub(super) fn has(&self, path: &str, shown: &Value) -> bool {
        self.readable.contains(path) || self.knows(path, shown)
    }

    /// The fingerprints to keep of what is shown now.
    pub(super) fn shown(&self, live: &LiveConnection) -> BTreeMap<String, Fingerprint> {
        let mut shown = self.known.clone();
        for path in &self.readable {
            let value = live.body().get(path.trim_start_matches('/'));
            if let Some(value) = value.filter(|value| !self.knows(path, value)) {
                shown.insert(path.clone(), self.key.of(path, value));
            }
        }
        shown
    }

    fn knows(&self, path: &str, value: &Value) -> bool {
        self.known.get(path).is_some_and(|known| self.key.matches(known, path, value))
    }
}

impl Job<'_> {
    /// Whether a secret of that type which git declares reads back equal now. It is looked for once
    /// in a run.
    pub(super) async fn is_proven(&self, type_name: &'static str, path: &str) -> bool {
        let mut proofs = self.proofs.0.lock().await;
        if let Some(known) = proofs.get(&(type_name, path.to_owned())) {
            return *known;
        }
        let is_proven = self.reads_back_equal(type_name, path).await;
        proofs.insert((type_name, path.to_owned()), is_proven);
        is_proven
    }

    async fn reads_back_equal(&self, type_name: &str, path: &str) -> bool {
        let witnesses = self.desired.values().filter_map(|desired| {
            let field = desired.field(path).filter(|_| !desired.ignores(path))?;
            let wanted = field.value()?.as_str().filter(|wanted| !wanted.is_empty())?;
            let live = self.observed.live.connections.get(&desired.name)?;
            (live.type_name == type_name).then_some((&live.name, wanted))
        });
        // A few are enough: what one does not prove, a hundred hardly would.
        for (name, wanted) in witnesses.take(3) {
            let read = self.observed.singles.get(name).cloned();
            let own = match read {
                Some(own) => Some(own),
                None => super::send::read(self, name).await.ok().flatten(),
            };
            let shown = own.as_ref().and_then(|own| crate::pointer::look_up(own.body(), path));
            if shown_text(shown).is_some_and(|shown| same_in_constant_time(shown, wanted)) {
                return true;
            }
        }
        false
    }
}
