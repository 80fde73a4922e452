//! What waits to be written, in its order: records that come and numbers that go.
//!
//! A number that goes stays until it is written, whatever fails in between: a record must not come back. A record that
//! goes before its turn came is never written.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

/// So many bytes are written at once, about.
const BATCH_BYTES: usize = 1 << 20;
/// So many changes.
const BATCH: usize = 512;
/// So many numbers that have to go are remembered while nothing can be written; with more, everything has to.
const OWED: usize = 1 << 16;

/// A record that waits.
#[derive(Clone, Debug)]
pub(super) struct Put {
    pub(super) number: u64,
    pub(super) hash: u32,
    pub(super) label: Arc<Vec<u8>>,
    pub(super) record: Arc<Vec<u8>>,
    /// What it takes in the store.
    pub(super) bytes: u64,
    /// It was taken back while it is being written.
    pub(super) gone: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Put(Put),
    Remove(u64),
    Clear,
}

/// A place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Of a record, if it still waits when its turn comes.
    Put(u64),
    Remove(u64),
    Clear,
}

#[derive(Debug, Default)]
struct State {
    turns: VecDeque<Turn>,
    /// Records that wait, or are being written, by number.
    waiting: HashMap<u64, Put>,
    /// All below have been taken to be written, or were never here.
    taken: u64,
    bytes: u64,
    /// Changes that were put here, and that are done with.
    put: u64,
    done: u64,
    /// Nothing comes in any more.
    closed: bool,
}

/// What waits, and what of it was written.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
}

impl Queue {
    /// Has a record wait; says whether somebody has to be told that there is something.
    ///
    /// # Errors
    ///
    /// So much waits already, or nothing comes in any more.
    pub(super) fn put(&self, put: Put, most: u64) -> Result<bool, Put> {
        let mut state = self.state.lock();
        if state.closed || state.bytes.saturating_add(put.bytes) > most {
            return Err(put);
        }
        state.bytes += put.bytes;
        let number = put.number;
        state.waiting.insert(number, put);
        Ok(state.push(Turn::Put(number)))
    }

    /// Has a record go; says whether somebody has to be told.
    pub(super) fn remove(&self, number: u64) -> bool {
        let mut state = self.state.lock();
        if number >= state.taken
            && let Some(put) = state.waiting.remove(&number)
        {
            state.bytes -= put.bytes;
            return false;
        }
        if let Some(put) = state.waiting.get_mut(&number) {
            // It is being written: nobody finds it any more.
            put.gone = true;
        }
        state.push(Turn::Remove(number))
    }

    /// Has everything go: what waits is not written.
    pub(super) fn clear(&self) {
        let mut state = self.state.lock();
        let (taken, mut freed) = (state.taken, 0);
        // What is being written goes all the same, once it is.
        state.waiting.retain(|&number, put| {
            put.gone = true;
            freed += if number < taken { 0 } else { put.bytes };
            number < taken
        });
        state.bytes -= freed;
        state.done += state.turns.len() as u64;
        state.turns.clear();
        state.push(Turn::Clear);
    }

    /// The bytes of a record that waits.
    pub(super) fn find(&self, number: u64) -> Option<Arc<Vec<u8>>> {
        let state = self.state.lock();
        state.waiting.get(&number).filter(|put| !put.gone).map(|put| Arc::clone(&put.record))
    }

    /// Takes what is to be written next; empty where nothing waits.
    pub(super) fn take(&self) -> Vec<Change> {
        let mut state = self.state.lock();
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while bytes < BATCH_BYTES && batch.len() < BATCH {
            let Some(turn) = state.turns.front().copied() else { break };
            match turn {
                Turn::Put(number) => {
                    state.taken = state.taken.max(number + 1);
                    match state.waiting.get(&number) {
                        Some(put) => {
                            bytes += put.label.len() + put.record.len();
                            batch.push(Change::Put(put.clone()));
                        }
                        None => state.done += 1,
                    }
                }
                Turn::Remove(number) => batch.push(Change::Remove(number)),
                // Written alone.
                Turn::Clear if batch.is_empty() => {
                    state.turns.pop_front();
                    return vec![Change::Clear];
                }
                Turn::Clear => break,
            }
            state.turns.pop_front();
        }
        batch
    }

    /// What was taken is done with.
    pub(super) fn finish(&self, batch: &[Change]) {
        let mut state = self.state.lock();
        let mut freed = 0;
        for change in batch {
            if let Change::Put(put) = change {
                state.waiting.remove(&put.number);
                freed += put.bytes;
            }
        }
        state.bytes -= freed;
        state.done += batch.len() as u64;
    }

    /// Takes all records out that wait: nothing can be written. What has to go stays.
    pub(super) fn give_up(&self) -> Vec<Put> {
        let mut state = self.state.lock();
        let taken = state.taken;
        let given: Vec<Put> =
            state.waiting.extract_if(|&number, _| number >= taken).map(|(_, put)| put).collect();
        let freed: u64 = given.iter().map(|put| put.bytes).sum();
        state.bytes -= freed;
        let before = state.turns.len();
        state.turns.retain(|turn| !matches!(turn, Turn::Put(_)));
        state.done += (before - state.turns.len()) as u64;
        given
    }

    /// What was taken could not be written, and has to go again before anything else happens.
    pub(super) fn owe(&self, numbers: impl IntoIterator<Item = u64>, all: bool) {
        let mut state = self.state.lock();
        for number in numbers {
            state.turns.push_front(Turn::Remove(number));
            state.put += 1;
        }
        if all || state.turns.len() > OWED {
            // A record that came later would go, too: there is none while nothing can be written.
            state.done += state.turns.len() as u64;
            state.turns.clear();
            state.push(Turn::Clear);
        }
    }

    /// What has been put here so far.
    pub(super) fn mark(&self) -> u64 {
        self.state.lock().put
    }

    /// Whether all that was put here before is done with.
    pub(super) fn is_done(&self, mark: u64) -> bool {
        self.state.lock().done >= mark
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> u64 {
        self.state.lock().bytes
    }

    /// Nothing comes in any more.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
    }
}

impl State {
    fn push(&mut self, turn: Turn) -> bool {
        let first = self.turns.is_empty();
        self.turns.push_back(turn);
        self.put += 1;
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(number: u64) -> Put {
        Put {
            number,
            hash: number as u32,
            label: Arc::default(),
            record: Arc::new(vec![7; 10]),
            bytes: 10,
            gone: false,
        }
    }

    fn numbers(batch: &[Change]) -> Vec<i64> {
        let number = |change: &Change| match change {
            Change::Put(put) => put.number as i64,
            Change::Remove(number) => -(*number as i64),
            Change::Clear => i64::MIN,
        };
        batch.iter().map(number).collect()
    }

    #[test]
    fn a_record_that_goes_before_its_turn_is_never_written() {
        let queue = Queue::default();
        for number in 1..=3 {
            queue.put(put(number), 100).unwrap();
        }
        assert!(!queue.remove(2));
        assert_eq!((numbers(&queue.take()), queue.find(2)), (vec![1, 3], None));
    }

    #[test]
    fn a_record_that_goes_while_it_is_written_goes_after() {
        let queue = Queue::default();
        queue.put(put(1), 100).unwrap();
        let batch = queue.take();
        assert!(queue.find(1).is_some());
        assert!(queue.remove(1));
        assert_eq!(queue.find(1), None);
        queue.finish(&batch);
        assert_eq!(numbers(&queue.take()), vec![-1]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let queue = Queue::default();
        queue.put(put(1), 15).unwrap();
        assert!(queue.put(put(2), 15).is_err());
        let batch = queue.take();
        assert!(queue.put(put(2), 15).is_err(), "it waits until it is written");
        queue.finish(&batch);
        assert!(queue.put(put(2), 15).is_ok());
    }

    #[test]
    fn what_has_to_go_outlives_a_failure() {
        let queue = Queue::default();
        queue.put(put(1), 100).unwrap();
        queue.remove(9);
        let batch = queue.take();
        queue.put(put(2), 100).unwrap();
        queue.finish(&batch);
        queue.owe([1, 9], false);
        assert_eq!(queue.give_up().len(), 1);
        let mark = queue.mark();
        assert!(!queue.is_done(mark));
        let batch = queue.take();
        assert_eq!(numbers(&batch), vec![-9, -1]);
        queue.finish(&batch);
        assert!(queue.is_done(mark) && queue.bytes() == 0);
    }

    #[test]
    fn what_clears_is_written_alone_and_drops_what_waits() {
        let queue = Queue::default();
        queue.put(put(1), 100).unwrap();
        queue.clear();
        queue.put(put(2), 100).unwrap();
        assert_eq!((numbers(&queue.take()), numbers(&queue.take())), (vec![i64::MIN], vec![2]));
        assert_eq!(queue.bytes(), 10);
    }
}
