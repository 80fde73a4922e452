//! How room comes back: files without records go, and what still lives in others is written anew.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use larder_runtime::StoreWrite;

use super::files::{Kind, file_in, read_at};
use super::frames::{self, Frame};
use super::{Log, Place, Writer};

/// Labels of which the records are gone may take one part in so many, before the oldest records make way.
const STALE: u64 = 16;
/// So many files are kept to be written over; one lies there anyway while records are moved.
const SPARES: usize = 1;
/// What hardly makes room is not written anew: of a file, one part in so many has to be gone.
const GONE: u64 = 16;

impl Log {
    /// Makes room for so many bytes. Where that is not possible they have to go without.
    pub(super) fn make_room(&self, writer: &mut Writer, bytes: u64) -> io::Result<()> {
        // One file is to be written over, one is being, and what lives in one is there twice for a moment.
        let most = self.most.saturating_sub(3 * self.segment);
        while self.used(writer).saturating_add(bytes) > most {
            let Some(victim) = self.victim(writer) else { return Ok(()) };
            self.move_live(writer, victim)?;
        }
        Ok(())
    }

    /// Bytes that are written, and not to be written over.
    fn used(&self, writer: &mut Writer) -> u64 {
        let spares: u64 = writer.spares.iter().map(|(_, bytes)| bytes).sum();
        let (_, active) = writer.active();
        self.bytes() - spares - (active.room - active.records)
    }

    /// Removes the files that were kept to be written over.
    pub(super) fn drop_spares(&self, writer: &mut Writer) {
        for (id, bytes) in writer.spares.drain(..) {
            let _ = fs::remove_file(file_in(&self.folder, id, Kind::Spare));
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// The file with records that is to go next.
    fn victim(&self, writer: &Writer) -> Option<u32> {
        let last = writer.segments.last_key_value().map(|(&id, _)| id)?;
        let mut old = writer.segments.iter().filter(|(id, segment)| **id < last && segment.records > 0);
        let stale: u64 = writer
            .segments
            .values()
            .filter(|segment| segment.records == 0)
            .map(|segment| segment.labels)
            .sum();
        if stale > self.most / STALE {
            return old.next().map(|(&id, _)| id);
        }
        let (&id, segment) = old.min_by_key(|(_, segment)| segment.live * 1024 / segment.records)?;
        (segment.live <= segment.records - segment.records / GONE).then_some(id)
    }

    /// Writes what lives in a file anew, and removes the file.
    fn move_live(&self, writer: &mut Writer, victim: u32) -> io::Result<()> {
        let labels = fs::read(file_in(&self.folder, victim, Kind::Labels))?;
        let mut live = Vec::new();
        {
            let state = self.read_state();
            // What does not come of a damaged file is lost, and nothing else.
            frames::read(&labels, &mut |frame, _| {
                if let Frame::Put { number, offset, length, mark, label } = frame
                    && state.places.get(&number) == Some(&Place { segment: victim, offset, length, mark })
                {
                    live.push((number, offset, length, label));
                }
            });
        }
        let file = self.read_state().files.get(&victim).map(Arc::clone);
        for some in live.chunks(64) {
            let mut records = Vec::new();
            for &(number, offset, length, label) in some {
                // What the disk does not give back is lost; else nothing could be written any more.
                let record = file
                    .as_ref()
                    .and_then(|file| read_at(file, offset.into(), length as usize).ok().flatten());
                records.extend(record.map(|record| (number, label, record)));
            }
            let fresh: Vec<StoreWrite<'_>> = records
                .iter()
                .map(|(number, label, record)| StoreWrite::Put { number: *number, label, record })
                .collect();
            self.append(writer, &fresh)?;
        }
        if let Some(segment) = writer.segments.get_mut(&victim).filter(|segment| segment.live > 0) {
            // What could not be read is lost. Readers wait while all places are looked at, so only then.
            self.write_state().places.retain(|_, place| place.segment != victim);
            segment.live = 0;
        }
        self.drop_dead(writer);
        Ok(())
    }

    /// Removes files that are of no use any more. What cannot be removed is tried again by who opens it next.
    pub(super) fn drop_dead(&self, writer: &mut Writer) {
        let Some(last) = writer.segments.last_key_value().map(|(&id, _)| id) else { return };
        let mut freed = 0;
        let Writer { segments, spares, .. } = writer;
        for (&id, segment) in segments {
            if id < last && segment.live == 0 && segment.records > 0 {
                let (file, spare) =
                    (file_in(&self.folder, id, Kind::Records), file_in(&self.folder, id, Kind::Spare));
                segment.records = 0;
                let room = std::mem::take(&mut segment.room);
                // Whoever still reads there finds other records, which are not the one.
                if spares.len() < SPARES && fs::rename(&file, spare).is_ok() {
                    spares.push((id, room));
                } else {
                    let _ = fs::remove_file(file);
                    freed += room;
                }
                self.write_state().files.remove(&id);
            }
        }
        // Labels that nobody has listed yet are still wanted.
        if self.read_state().unlisted.is_empty() {
            while let Some(first) = writer.segments.first_entry() {
                if *first.key() == last || first.get().records > 0 {
                    break;
                }
                let (id, segment) = first.remove_entry();
                // There may be an empty one.
                let _ = fs::remove_file(file_in(&self.folder, id, Kind::Records));
                let _ = fs::remove_file(file_in(&self.folder, id, Kind::Labels));
                self.write_state().files.remove(&id);
                freed += segment.labels;
            }
        }
        self.bytes.fetch_sub(freed, Ordering::Relaxed);
    }
}
