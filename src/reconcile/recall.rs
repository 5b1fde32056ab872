//! The record to start from: that of the state, or the one that the base revision stands for.

use std::panic::resume_unwind;

use tokio::task::{JoinHandle, spawn_blocking};

use super::load::load_target;
use super::{Engine, Options, remember};
use crate::config::Target;
use crate::desired;
use crate::inventory::Record;
use crate::secret::FingerprintKey;
use crate::source::Snapshot;
use crate::state::{Lock, StateFile};

/// What is remembered of a target.
pub(super) struct Recalled {
    pub(super) record: Record,
    /// What has to be said of it.
    pub(super) notice: Option<String>,
}

/// A state that is read beside the documents.
pub(super) struct Early(JoinHandle<Result<Recalled, String>>);

/// Locks the state, where it will be written, and waits for that as long as the options say.
pub(super) async fn lock(
    engine: &Engine,
    target: &Target,
    options: &Options,
) -> Result<Option<Lock>, String> {
    if options.base.is_some() || !options.writes {
        return Ok(None);
    }
    let file = engine.state_file(target);
    let lock = tokio::select! {
        lock = file.lock(options.lock_timeout, &options.holder) => lock,
        () = options.stop.cancelled() => return Err("the run is ending".to_owned()),
    };
    lock.map(Some).map_err(|e| e.to_string())
}

/// Begins to read the state, where no lock has to be waited for first.
pub(super) fn early(engine: &Engine, target: &Target, options: &Options) -> Option<Early> {
    if options.writes || options.base.is_some() {
        return None;
    }
    let file = engine.state_file(target);
    let folder = engine.config.state_dir.display().to_string();
    Some(Early(spawn_blocking(move || {
        let notice = (!file.exists()).then(|| {
            format!(
                "there is no state of this target in {folder} and no --base: deletes cannot be known"
            )
        });
        Ok(Recalled { notice, ..of_state(&file)? })
    })))
}

impl Early {
    /// Waits for it.
    pub(super) async fn recalled(self) -> Result<Recalled, String> {
        match self.0.await {
            Ok(recalled) => recalled,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err("the run is ending".to_owned()),
            },
        }
    }
}

/// Reads the state, under its lock, or the base revision. Blocks.
pub(super) fn recall(
    engine: &Engine,
    target: &Target,
    options: &Options,
    key: &FingerprintKey,
) -> Result<Recalled, String> {
    match &options.base {
        Some(base) => of_base(engine, target, options, base, key),
        None => of_state(&engine.state_file(target)),
    }
}

fn of_state(file: &StateFile) -> Result<Recalled, String> {
    let record = file.read().map_err(|error| error.to_string())?;
    Ok(Recalled { record, notice: None })
}

fn of_base(
    engine: &Engine,
    target: &Target,
    options: &Options,
    base: &Snapshot,
    key: &FingerprintKey,
) -> Result<Recalled, String> {
    let then = load_target(engine, target, base).map_err(|e| e.to_string())?;
    if then.loaded.has_errors() {
        return Err(
            "the base revision does not load whole, so what it declared is not known".to_owned()
        );
    }
    let commit = base.commit().map(|commit| commit.id.clone()).unwrap_or_default();
    let good = then.as_good_commit(engine.config_digest(target), &commit, &Record::default());
    let resolution = engine.resolution(target, options);
    let desired = desired::resolve(then.loaded.documents, &resolution);
    let notice = "compared with the base revision, without a state: rotated values of the \
                  environment are not seen";
    let record = remember::record_of_base(good, &desired, key);
    Ok(Recalled { record, notice: Some(notice.to_owned()) })
}
