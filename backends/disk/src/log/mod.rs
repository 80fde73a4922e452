//! The records of one cache in files that are only ever appended to.
//!
//! ```text
//! 7.records   records, one behind the other
//! 7.labels    frames: which record came and where it lies, which went
//! 8.records   the next of both, when that one was long enough; only the last are written
//! 5.spare     records that are gone, to be written over
//! ```
//!
//! Records are written before the frames that name them, so what is named is there. When files take too much, what still
//! lives in the one with the least is written anew at the end, and the file goes. Its labels stay as long as there
//! are records in older files: the frames of what went from those may be among them. So labels have no gaps in their
//! numbers, and where one is, or a frame is damaged, something that went might come back: everything older is gone then.
//!
//! A file of records whose records are all gone becomes that of the next ones: writing over what is there costs a fraction of
//! making room on a disk and in the system's memory. So frames have a mark of their records, by which what is there from
//! before is told apart.
//!
//! A write is in the system's hands when it returns, and outlives the process; [`Log::sync`] has it outlive the machine.
//!
//! Not here: what records are, which directory that is and whose.

mod cleaning;
mod files;
mod frames;
mod opening;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::hash::{BuildHasherDefault, Hasher};
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use larder_runtime::StoreWrite;

use files::{Kind, file_in, read_at, write_at};
pub(crate) use frames::again;
use frames::{Frame, MAGIC};

/// Files of a cache, about: each is open while it is there.
const FILES: u64 = 40;
/// Bytes of one at the least, and at the most.
const LEAST: u64 = if cfg!(test) { 4 << 10 } else { 1 << 20 };
const MOST: u64 = 1 << 30;

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    segment: u32,
    offset: u32,
    length: u32,
    mark: u32,
}

/// By the numbers of records, which come one after the other: a hash of them need not be hard to guess.
type Places = HashMap<u64, Place, BuildHasherDefault<Spread>>;

#[derive(Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ mixed >> 32;
    }
}

/// What it takes in memory to know where a record lies, about.
pub(crate) const PLACE_BYTES: u64 = 48;

/// A record that was there when the log was opened and was not listed yet.
#[derive(Clone, Copy, Debug)]
struct Unlisted {
    number: u64,
    segment: u32,
    /// Of the label, in its file.
    offset: u32,
    length: u32,
}

/// What readers look at.
#[derive(Debug, Default)]
struct State {
    places: Places,
    /// Those with records.
    files: HashMap<u32, Arc<File>>,
    /// In the order of their numbers.
    unlisted: Vec<Unlisted>,
    /// The file of labels that was listed last.
    listing: Option<(u32, Arc<Vec<u8>>)>,
}

/// Two files.
#[derive(Debug, Default)]
struct Segment {
    /// Bytes of the one with records that are written; 0 where that is gone.
    records: u64,
    /// Bytes of all of that: of one that was there before, more may not be written over yet.
    room: u64,
    /// Of records that are still there.
    live: u64,
    /// Bytes of the one with labels.
    labels: u64,
}

/// What the writer has in hand.
#[derive(Debug)]
struct Writer {
    segments: BTreeMap<u32, Segment>,
    /// The last, which are written.
    records: Arc<File>,
    labels: Arc<File>,
    /// Files to be written over, and their bytes.
    spares: Vec<(u32, u64)>,
    /// Written since the last [`Log::sync`].
    unsynced: Vec<Arc<File>>,
    /// Above the numbers of all records.
    next: u64,
    /// A write failed, and what it left is still there.
    broken: bool,
}

/// The records of one cache.
#[derive(Debug)]
pub(crate) struct Log {
    folder: PathBuf,
    /// So many bytes may all files take.
    most: u64,
    /// So many may the records of one file take, about.
    segment: u64,
    state: RwLock<State>,
    /// Locked before `state`.
    writer: Mutex<Writer>,
    /// That all files take.
    bytes: AtomicU64,
}

impl Log {
    fn read_state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_state(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The record of that number.
    pub(crate) fn read(&self, number: u64) -> io::Result<Option<Vec<u8>>> {
        let mut known = None;
        loop {
            let (file, place) = {
                let state = self.read_state();
                let Some(place) = state.places.get(&number).copied() else { return Ok(None) };
                let Some(file) = state.files.get(&place.segment) else { return Ok(None) };
                (Arc::clone(file), place)
            };
            if known.replace(place) == Some(place) {
                return Ok(None);
            }
            let record = read_at(&file, place.offset.into(), place.length as usize)?;
            if record.as_ref().is_some_and(|record| mark_of(record) == place.mark) {
                return Ok(record);
            }
            // Damaged, or moved meanwhile.
        }
    }

    /// Does all of this in its order. When it fails nothing more is done until it was [mended](Self::mend).
    pub(crate) fn write(&self, batch: &[StoreWrite<'_>]) -> io::Result<()> {
        let mut writer = self.writer();
        if writer.broken {
            return Err(io::ErrorKind::Other.into());
        }
        writer.broken = true;
        self.write_all(&mut writer, batch)?;
        writer.broken = false;
        Ok(())
    }

    fn write_all(&self, writer: &mut Writer, batch: &[StoreWrite<'_>]) -> io::Result<()> {
        let bytes = |change: &StoreWrite<'_>| match change {
            StoreWrite::Put { label, record, .. } => frames::put_bytes(label.len()) + record.len(),
            _ => frames::short_bytes(),
        };
        self.make_room(writer, batch.iter().map(bytes).sum::<usize>() as u64)?;
        let mut at = 0;
        while at < batch.len() {
            if matches!(batch[at], StoreWrite::Clear) {
                self.clear(writer)?;
                at += 1;
                continue;
            }
            let some = batch[at..].iter().take_while(|change| !matches!(change, StoreWrite::Clear)).count();
            self.append(writer, &batch[at..at + some])?;
            at += some;
        }
        Ok(())
    }

    /// Writes changes of single records at the end.
    fn append(&self, writer: &mut Writer, changes: &[StoreWrite<'_>]) -> io::Result<()> {
        if writer.active().1.records >= self.segment {
            self.roll(writer)?;
        }
        let (id, active) = writer.active();
        let start = active.records;
        let (mut records, mut written, mut labels) = (Vec::new(), 0, Vec::new());
        let mut places = Vec::new();
        for change in changes {
            match *change {
                StoreWrite::Put { number, label, record } => {
                    let too_long = |_| io::Error::from(io::ErrorKind::FileTooLarge);
                    let offset = u32::try_from(start + written).map_err(too_long)?;
                    let length = u32::try_from(record.len()).map_err(too_long)?;
                    let mark = mark_of(record);
                    records.push(IoSlice::new(record));
                    written += u64::from(length);
                    Frame::Put { number, offset, length, mark, label }.write(&mut labels);
                    places.push((number, Some(Place { segment: id, offset, length, mark })));
                }
                StoreWrite::Remove { number } => {
                    Frame::Remove { number }.write(&mut labels);
                    places.push((number, None));
                }
                // Of a later runtime, which comes with a later one of these.
                _ => {}
            }
        }
        write_at(&writer.records, &mut records, start)?;
        (&*writer.labels).write_all(&labels)?;
        self.grow(writer, written, labels.len() as u64);
        let mut state = self.write_state();
        for (number, place) in places {
            writer.next = writer.next.max(number.saturating_add(1));
            let before = match place {
                Some(place) => state.places.insert(number, place),
                None => state.places.remove(&number),
            };
            for (place, comes) in
                before.map(|place| (place, false)).into_iter().chain(place.map(|place| (place, true)))
            {
                let Some(segment) = writer.segments.get_mut(&place.segment) else { continue };
                let bytes = u64::from(place.length);
                segment.live = if comes { segment.live + bytes } else { segment.live.saturating_sub(bytes) };
            }
        }
        drop(state);
        self.drop_dead(writer);
        Ok(())
    }

    /// The last files have so many bytes more.
    fn grow(&self, writer: &mut Writer, records: u64, labels: u64) {
        let (_, active) = writer.active();
        active.records += records;
        active.labels += labels;
        let longer = active.records.saturating_sub(active.room);
        active.room += longer;
        self.bytes.fetch_add(longer + labels, Ordering::Relaxed);
        for file in [Arc::clone(&writer.records), Arc::clone(&writer.labels)] {
            if !writer.unsynced.iter().any(|known| Arc::ptr_eq(known, &file)) {
                writer.unsynced.push(file);
            }
        }
    }

    /// Goes on in new files. The old ones end before there are others: what ends otherwise is damaged.
    fn roll(&self, writer: &mut Writer) -> io::Result<()> {
        let (id, _) = writer.active();
        let next = id.checked_add(1).ok_or(io::ErrorKind::FileTooLarge)?;
        let mut sealed = Vec::new();
        Frame::Sealed.write(&mut sealed);
        (&*writer.labels).write_all(&sealed)?;
        let (records, labels, room) = self.create(writer, next)?;
        self.grow(writer, 0, sealed.len() as u64);
        self.write_state().files.insert(next, Arc::clone(&records));
        writer.segments.insert(next, Segment { room, ..Segment::default() });
        (writer.records, writer.labels) = (records, labels);
        self.grow(writer, 0, MAGIC.len() as u64);
        Ok(())
    }

    /// New files of that number, and the bytes of the one with records; what a failure left there goes.
    fn create(&self, writer: &mut Writer, id: u32) -> io::Result<(Arc<File>, Arc<File>, u64)> {
        let make = |kind, empty| {
            File::options().read(true).write(true).create(true).truncate(empty).open(file_in(
                &self.folder,
                id,
                kind,
            ))
        };
        let spare = writer.spares.pop().filter(|(spare, bytes)| {
            let moved = fs::rename(
                file_in(&self.folder, *spare, Kind::Spare),
                file_in(&self.folder, id, Kind::Records),
            );
            if moved.is_err() {
                self.bytes.fetch_sub(*bytes, Ordering::Relaxed);
            }
            moved.is_ok()
        });
        let room = spare.map_or(0, |(_, bytes)| bytes);
        let both = || {
            let (records, labels) = (make(Kind::Records, spare.is_none())?, make(Kind::Labels, true)?);
            (&labels).write_all(&MAGIC)?;
            Ok((Arc::new(records), Arc::new(labels), room))
        };
        both().inspect_err(|_| {
            for kind in [Kind::Records, Kind::Labels] {
                let _ = fs::remove_file(file_in(&self.folder, id, kind));
            }
            self.bytes.fetch_sub(room, Ordering::Relaxed);
        })
    }

    /// Everything goes. The frame that says so is written before any file is removed.
    fn clear(&self, writer: &mut Writer) -> io::Result<()> {
        self.roll(writer)?;
        let mut frame = Vec::new();
        Frame::Clear { number: writer.next }.write(&mut frame);
        (&*writer.labels).write_all(&frame)?;
        self.grow(writer, 0, frame.len() as u64);
        let mut state = self.write_state();
        state.places = Places::default();
        (state.unlisted, state.listing) = (Vec::new(), None);
        drop(state);
        writer.segments.values_mut().for_each(|segment| segment.live = 0);
        self.drop_dead(writer);
        self.drop_spares(writer);
        Ok(())
    }

    /// Takes back what a write left that failed.
    pub(crate) fn mend(&self) -> io::Result<()> {
        let mut writer = self.writer();
        if writer.broken {
            let (_, &mut Segment { labels, .. }) = writer.active();
            writer.labels.set_len(labels)?;
            // What is behind its records is written over; on a full disk it is not to take room meanwhile.
            let (_, active) = writer.active();
            let (records, room) = (active.records, active.room);
            active.room = records;
            writer.records.set_len(records)?;
            self.bytes.fetch_sub(room - records, Ordering::Relaxed);
            (&*writer.labels).seek(SeekFrom::Start(labels))?;
            writer.broken = false;
        }
        Ok(())
    }

    /// What was written outlives the machine, too.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let mut writer = self.writer();
        for file in &writer.unsynced {
            file.sync_data()?;
        }
        files::sync_folder(&self.folder)?;
        writer.unsynced.clear();
        Ok(())
    }

    /// Bytes that its files take.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Above the numbers of all records.
    pub(crate) fn next(&self) -> u64 {
        self.writer().next
    }

    /// The numbers of all records.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.read_state().places.keys().copied().collect()
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Tells a record from what was in its place before: its header has a checksum of all of it.
fn mark_of(record: &[u8]) -> u32 {
    crc32fast::hash(&record[..record.len().min(larder_codec::HEADER)])
}

impl Writer {
    /// The files that are written.
    fn active(&mut self) -> (u32, &mut Segment) {
        let Some((&id, segment)) = self.segments.iter_mut().next_back() else {
            unreachable!("there is always one")
        };
        (id, segment)
    }
}

#[cfg(test)]
mod tests;
