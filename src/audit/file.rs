//! The history file: JSON lines beside the state. Losing it costs nothing, and no line of it that
//! cannot be read stops anything.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use super::Event;

/// How many events are kept.
const KEPT: usize = 500;

/// How many more lines the file may have before it is written anew.
const SLACK: usize = 100;

/// The history file of one target, whether it exists or not.
#[derive(Clone, Debug)]
pub(crate) struct HistoryFile(pub(crate) PathBuf);

impl HistoryFile {
    /// The last events, oldest first; none where there is no file. Lines that are no event are
    /// skipped: a crash leaves half of one.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn read(&self) -> io::Result<Vec<Event>> {
        let bytes = match fs::read(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read?,
        };
        let lines = bytes.split(|byte| *byte == b'\n');
        let mut events: Vec<Event> =
            lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
        events.drain(..events.len().saturating_sub(KEPT));
        Ok(events)
    }

    /// How long the file is; another process may have written to it.
    pub(super) fn length(&self) -> u64 {
        fs::metadata(&self.0).map_or(0, |file| file.len())
    }

    /// Appends an event.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn append(&self, event: &Event) -> io::Result<()> {
        if let Some(folder) = self.0.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = private().read(true).append(true).open(&self.0)?;
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        // Half a line that a crash left does not spoil the next one.
        if !ends_a_line(&mut file)? {
            line.insert(0, b'\n');
        }
        file.write_all(&line)
    }

    /// Writes a file anew that has become too long: a new file beside it, and a rename.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub(super) fn shorten(&self) -> io::Result<()> {
        let lines = fs::read(&self.0)?.iter().filter(|byte| **byte == b'\n').count();
        if lines <= KEPT + SLACK {
            return Ok(());
        }
        let new = self.0.with_extension("new");
        let mut file = private().write(true).truncate(true).open(&new)?;
        let mut text = Vec::new();
        for event in self.read()? {
            serde_json::to_writer(&mut text, &event)?;
            text.push(b'\n');
        }
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, &self.0)
    }
}

/// Only its owner may read the file: names are private.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn ends_a_line(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::EventKind;

    fn event(number: usize) -> Event {
        Event {
            time: jiff::Timestamp::UNIX_EPOCH,
            event: EventKind::Suspended,
            target: number.to_string(),
            commit: None,
            type_name: None,
            connection: None,
            fields: Vec::new(),
            result: None,
            why: None,
            cause: "suspension".to_owned(),
            by: None,
        }
    }

    #[test]
    fn the_last_events_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = HistoryFile(folder.path().join("deeper").join("a.history.jsonl"));
        assert_eq!(file.read().unwrap(), []);
        for number in 0..=KEPT + SLACK {
            file.append(&event(number)).unwrap();
        }
        file.shorten().unwrap();
        let text = fs::read_to_string(&file.0).unwrap();
        assert_eq!(text.lines().count(), KEPT);
        let events = file.read().unwrap();
        assert_eq!(events.first().unwrap().target, (SLACK + 1).to_string());
        assert_eq!(events.last().unwrap().target, (KEPT + SLACK).to_string());
        file.shorten().unwrap();
        assert_eq!(fs::read_to_string(&file.0).unwrap(), text);
        assert_eq!(fs::read_dir(file.0.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn half_a_line_is_skipped_and_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = HistoryFile(folder.path().join("a.history.jsonl"));
        file.append(&event(1)).unwrap();
        let whole = fs::read(&file.0).unwrap();
        fs::write(&file.0, [&whole[..], &whole[..20]].concat()).unwrap();
        assert_eq!(file.read().unwrap(), [event(1)]);
        file.append(&event(2)).unwrap();
        assert_eq!(file.read().unwrap(), [event(1), event(2)]);
    }
}
