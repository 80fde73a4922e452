//! What is there when a log is opened: the frames of all files, one after the other.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};

use super::files::{Kind, file_in, ids};
use super::frames::{self, End, Frame, MAGIC};
use super::{FILES, LEAST, Log, MOST, Place, Segment, State, Unlisted, Writer};

/// A record that was found.
#[derive(Clone, Copy)]
struct Found {
    place: Place,
    label: Unlisted,
}

/// What the frames say.
#[derive(Default)]
struct Told {
    records: HashMap<u64, Found>,
    next: u64,
}

impl Log {
    /// Opens what is in this folder, which is the caller's alone; its files may take so many bytes.
    pub(crate) fn open(folder: &Path, most: u64) -> io::Result<Self> {
        let segment = (most / FILES).clamp(LEAST, MOST);
        let mut told = Told::default();
        let mut segments = BTreeMap::new();
        let mut state = State::default();
        let labels = ids(folder, Kind::Labels)?;
        for (at, &id) in labels.iter().enumerate() {
            if at > 0 && labels[at - 1] + 1 != id {
                told.forget(folder, &labels[..at])?;
            }
            let is_last = at + 1 == labels.len();
            let Some((segment, file)) = told.read(folder, id, is_last)? else {
                // Something that went may be among what cannot be read.
                told.forget(folder, &labels[..=at])?;
                segments
                    .values_mut()
                    .for_each(|segment: &mut Segment| (segment.records, segment.room) = (0, 0));
                let labels = if is_last { 0 } else { fs::metadata(file_in(folder, id, Kind::Labels))?.len() };
                segments.insert(id, Segment { labels, ..Segment::default() });
                continue;
            };
            if let Some(file) = file {
                state.files.insert(id, file);
            }
            segments.insert(id, segment);
        }
        for id in ids(folder, Kind::Records)? {
            if !segments.contains_key(&id) {
                fs::remove_file(file_in(folder, id, Kind::Records))?;
            }
        }
        for id in ids(folder, Kind::Spare)? {
            fs::remove_file(file_in(folder, id, Kind::Spare))?;
        }
        for (&number, found) in &told.records {
            let segment = segments.entry(found.place.segment).or_default();
            segment.live += u64::from(found.place.length);
            state.places.insert(number, found.place);
            state.unlisted.push(found.label);
        }
        state.unlisted.sort_unstable_by_key(|label| label.number);
        let bytes = segments.values().map(|segment| segment.room + segment.labels).sum();
        let log = Self {
            folder: folder.to_owned(),
            most,
            segment,
            state: RwLock::new(state),
            writer: Mutex::new(Self::writer_of(folder, segments, told.next)?),
            bytes: AtomicU64::new(bytes),
        };
        let mut writer = log.writer();
        let (id, records) = (writer.active().0, Arc::clone(&writer.records));
        log.write_state().files.insert(id, records);
        log.drop_dead(&mut writer);
        drop(writer);
        Ok(log)
    }

    /// Goes on in the last files, or in the first.
    fn writer_of(folder: &Path, mut segments: BTreeMap<u32, Segment>, next: u64) -> io::Result<Writer> {
        let id = segments.last_key_value().map_or(0, |(&id, _)| id);
        let active = segments.entry(id).or_default();
        let open = |kind, len| {
            let mut options = File::options();
            let mut file = options
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(file_in(folder, id, kind))?;
            file.set_len(len)?;
            file.seek(SeekFrom::End(0))?;
            Ok::<_, io::Error>(Arc::new(file))
        };
        let (records, labels) = (open(Kind::Records, active.records)?, open(Kind::Labels, active.labels)?);
        if active.labels == 0 {
            (&*labels).write_all(&MAGIC)?;
            active.labels = MAGIC.len() as u64;
        }
        let unsynced = vec![Arc::clone(&records), Arc::clone(&labels)];
        Ok(Writer { segments, records, labels, spares: Vec::new(), unsynced, next, broken: false })
    }

    /// Shows up to `most` labels in the order of their numbers, from one on; returns the number to go on with.
    pub(crate) fn labels(
        &self,
        from: u64,
        most: usize,
        show: &mut dyn FnMut(u64, &[u8]),
    ) -> io::Result<Option<u64>> {
        let (some, rest) = {
            let state = self.read_state();
            let start = state.unlisted.partition_point(|label| label.number < from);
            let end = (start + most).min(state.unlisted.len());
            (state.unlisted[start..end].to_vec(), state.unlisted.get(end).map(|label| label.number))
        };
        for label in some {
            let file = self.listed_file(label.segment)?;
            let (start, length) = (label.offset as usize, label.length as usize);
            let is_there = self.read_state().places.contains_key(&label.number);
            if let Some(bytes) = file.get(start..start + length).filter(|_| is_there) {
                show(label.number, bytes);
            }
        }
        if rest.is_none() {
            let mut writer = self.writer();
            let mut state = self.write_state();
            (state.unlisted, state.listing) = (Vec::new(), None);
            drop(state);
            self.drop_dead(&mut writer);
        }
        Ok(rest)
    }

    /// The bytes of a file of labels; neighbours are mostly in one.
    fn listed_file(&self, id: u32) -> io::Result<Arc<Vec<u8>>> {
        if let Some((known, bytes)) = &self.read_state().listing
            && *known == id
        {
            return Ok(Arc::clone(bytes));
        }
        let bytes = Arc::new(fs::read(file_in(&self.folder, id, Kind::Labels))?);
        self.write_state().listing = Some((id, Arc::clone(&bytes)));
        Ok(bytes)
    }
}

impl Told {
    /// What the files of these numbers say may be wrong: their records go, for good, before anything else is changed.
    fn forget(&mut self, folder: &Path, ids: &[u32]) -> io::Result<()> {
        self.records.clear();
        for &id in ids {
            match fs::remove_file(file_in(folder, id, Kind::Records)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads two files: how much of them holds, and the one with records. `None` where they are damaged.
    fn read(
        &mut self,
        folder: &Path,
        id: u32,
        is_last: bool,
    ) -> io::Result<Option<(Segment, Option<Arc<File>>)>> {
        let labels = fs::read(file_in(folder, id, Kind::Labels))?;
        let file = match File::open(file_in(folder, id, Kind::Records)) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let length = file.as_ref().map_or(Ok(0), |file| file.metadata().map(|metadata| metadata.len()))?;
        let (mut sealed, mut reached) = (false, 0);
        let end = frames::read(&labels, &mut |frame, behind| {
            sealed = frame == Frame::Sealed;
            match frame {
                Frame::Put { number, offset, length: bytes, mark, label } => {
                    self.next = self.next.max(number.saturating_add(1));
                    let ends = u64::from(offset) + u64::from(bytes);
                    if ends > length {
                        // Its file is gone, or shorter than it was.
                        self.records.remove(&number);
                        return;
                    }
                    reached = reached.max(ends);
                    let offset_of_label = (behind - label.len()) as u32;
                    let label =
                        Unlisted { number, segment: id, offset: offset_of_label, length: label.len() as u32 };
                    let place = Place { segment: id, offset, length: bytes, mark };
                    self.records.insert(number, Found { place, label });
                }
                Frame::Remove { number } => {
                    self.next = self.next.max(number.saturating_add(1));
                    self.records.remove(&number);
                }
                Frame::Clear { number } => {
                    self.next = self.next.max(number);
                    self.records.clear();
                }
                Frame::Sealed => {}
            }
        });
        let holds = match end {
            End::Whole if is_last || sealed => labels.len(),
            End::Torn(at) if is_last => at,
            End::Whole | End::Torn(_) | End::Damaged => return Ok(None),
        };
        let records = if is_last { reached } else { length };
        let segment = Segment { records, room: records, live: 0, labels: holds as u64 };
        Ok(Some((segment, file.map(Arc::new))))
    }
}
