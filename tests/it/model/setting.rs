//! The server and the target of one history.

use apinizer_gitops::testing::sandbox::{self};

use super::document::{BASE, OVERLAY};
use super::memory::{Adopt, MaxDeletes, Settings, Shows};
use super::steps::Random;
use crate::world::SandboxOptions as _;

pub(super) fn secrets_on_get(shows: Shows) -> sandbox::SecretsOnGet {
    match shows {
        Shows::All => sandbox::SecretsOnGet::Shown,
        Shows::Nothing => sandbox::SecretsOnGet::Masked,
        Shows::Some => sandbox::SecretsOnGet::ByGuide,
        Shows::CipherText => sandbox::SecretsOnGet::Cipher,
        Shows::FreshCipherText => sandbox::SecretsOnGet::FreshCipher,
    }
}

/// The server and the target, drawn once for a history.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(super) shows: Shows,
    pub(super) renames: bool,
    pub(super) older: bool,
    pub(super) ids: bool,
    pub(super) summary: bool,
    pub(super) unset: sandbox::Unset,
    pub(super) rewrites: bool,
    pub(super) settings: Settings,
}

impl Setting {
    /// One for histories that are not predicted.
    pub(crate) fn draw_chaotic(random: &mut Random) -> Self {
        let mut setting = Self::draw(random);
        setting.ids = true;
        setting.rewrites = random.one_in(3);
        setting.settings.isolate = false;
        setting
    }

    pub(crate) fn draw(random: &mut Random) -> Self {
        let settings = Settings {
            paths: vec![BASE, OVERLAY],
            prune: true,
            max: random.of(&[MaxDeletes::Percent(30), MaxDeletes::Count(1), MaxDeletes::Count(9)]),
            adopt: Adopt::Always,
            report: random.one_in(4),
            isolate: random.one_in(3),
            host: "one.example.com",
        };
        Self {
            shows: random.of(&[Shows::Some, Shows::All, Shows::Nothing, Shows::CipherText]),
            renames: !random.one_in(5),
            older: random.one_in(2),
            ids: !random.one_in(6),
            summary: random.one_in(5),
            unset: random.of(&[
                sandbox::Unset::Null,
                sandbox::Unset::Default,
                sandbox::Unset::LeftOut,
            ]),
            rewrites: false,
            settings,
        }
    }

    pub(super) fn server(&self) -> sandbox::Options {
        let dialect = if self.older { sandbox::Dialect::Older } else { sandbox::Dialect::Current };
        let mut options = sandbox::Options::showing(secrets_on_get(self.shows)).in_dialect(dialect);
        options.ids = if self.ids { sandbox::Ids::Everywhere } else { sandbox::Ids::Nowhere };
        options.read_unset_as(self.unset);
        if self.summary {
            options.list_summaries();
        }
        if !self.renames {
            options.profile.rename = Some(sandbox::Rename::Refused);
        }
        if self.rewrites {
            super::chaos::rewrite(&mut options);
        }
        options
    }
}
