//! Parsed files by the id of their content, so that a commit that changes one file among ten
//! thousand parses one file.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::file::ParsedFile;
use crate::parallel;
use crate::source::FileEntry;

/// How much the cache may hold, in bytes of documents.
const MOST: usize = 160 * 1024 * 1024;

/// Reads the content of a file.
pub(crate) type Read<'r> = dyn Fn(&FileEntry) -> Result<Vec<u8>, String> + Sync + 'r;

/// The files that were parsed, kept for the life of the process.
#[derive(Debug, Default)]
pub struct ParseCache {
    kept: Mutex<Kept>,
    parsed: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    files: HashMap<[u8; 20], (Arc<ParsedFile>, u64)>,
    weight: usize,
    /// Counts the loads, so that what the last ones did not need goes first.
    load: u64,
}

impl ParseCache {
    /// How many files were parsed so far.
    pub fn parsed(&self) -> u64 {
        self.parsed.load(Ordering::Relaxed)
    }

    /// The parsed files of these entries, in their order. What is not known yet is read and
    /// parsed, on several threads where there is much of it.
    pub(crate) fn files(&self, entries: &[&FileEntry], read: &Read<'_>) -> Vec<Arc<ParsedFile>> {
        let known: Vec<_> = {
            let mut kept = self.kept();
            kept.load += 1;
            entries.iter().map(|entry| (*entry, kept.get(&entry.blob))).collect()
        };
        parallel::map(known, |(entry, known)| {
            known.unwrap_or_else(|| {
                // The parser has no known panic; were there one, it would cost one file.
                catch_unwind(AssertUnwindSafe(|| self.parse(entry, read))).unwrap_or_else(|_| {
                    Arc::new(ParsedFile::unreadable("the parser stopped on it"))
                })
            })
        })
    }

    /// Reads and parses a file, and keeps it; a failed read says nothing of the content.
    fn parse(&self, entry: &FileEntry, read: &Read<'_>) -> Arc<ParsedFile> {
        match read(entry) {
            Ok(bytes) => {
                self.parsed.fetch_add(1, Ordering::Relaxed);
                let file = Arc::new(ParsedFile::parse(bytes));
                self.kept().put(entry.blob, &file);
                file
            }
            Err(reason) => Arc::new(ParsedFile::unreadable(&reason)),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn get(&mut self, blob: &[u8; 20]) -> Option<Arc<ParsedFile>> {
        let load = self.load;
        let (file, used) = self.files.get_mut(blob)?;
        *used = load;
        Some(Arc::clone(file))
    }

    fn put(&mut self, blob: [u8; 20], file: &Arc<ParsedFile>) {
        let weight = file.weight();
        if weight > MOST {
            return;
        }
        while self.weight + weight > MOST {
            let Some(oldest) = self.files.values().map(|(_, used)| *used).min() else { break };
            self.files.retain(|_, (_, used)| *used != oldest);
            self.weight = self.files.values().map(|(file, _)| file.weight()).sum();
        }
        if let Entry::Vacant(slot) = self.files.entry(blob) {
            slot.insert((Arc::clone(file), self.load));
            self.weight += weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u32) -> FileEntry {
        let mut blob = [0; 20];
        blob[..4].copy_from_slice(&number.to_be_bytes());
        FileEntry { path: Arc::from(format!("{number}.yaml")), blob }
    }

    #[test]
    fn parses_each_content_once() {
        let cache = ParseCache::default();
        let entries: Vec<_> = (0..200).map(entry).collect();
        let all: Vec<_> = entries.iter().collect();
        let read = |entry: &FileEntry| Ok(format!("name: {}", entry.path).into_bytes());
        let files = cache.files(&all, &read);
        assert_eq!((files.len(), cache.parsed()), (200, 200));
        assert_eq!(files[150].documents[0].fields["name"], "150.yaml");
        let more = entry(200);
        let again: Vec<_> = entries.iter().chain([&more]).collect();
        assert_eq!(cache.files(&again, &read).len(), 201);
        assert_eq!(cache.parsed(), 201);
    }

    #[test]
    fn a_failed_read_is_not_kept() {
        let cache = ParseCache::default();
        let one = entry(1);
        let failed = cache.files(&[&one], &|_| Err("no".to_owned()));
        assert_eq!(failed[0].problems[0].code, "AG001");
        assert!(cache.files(&[&one], &|_| Ok(Vec::new()))[0].problems.is_empty());
    }
}
