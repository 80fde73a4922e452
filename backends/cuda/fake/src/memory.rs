//! Blocks of memory: where they are, what is in them, who touched them, and the judgement of each touch.

use std::collections::BTreeMap;

use crate::clock::Clock;

/// What is in memory that nobody wrote.
const UNWRITTEN: u8 = 0xa5;
/// What is in pinned memory that was freed.
const FREED: u8 = 0xdd;
/// Between blocks there is nothing.
const GAP: u64 = 4096;

/// Whose memory a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// Of a device, at once.
    Device(usize),
    /// Of a device, through a pool of the driver's.
    Pool(u64),
    Host,
}

#[derive(Clone, Copy, Debug)]
struct Touch {
    stream: u64,
    step: u64,
    writes: bool,
}

#[derive(Debug)]
struct Block {
    bytes: u64,
    home: Home,
    /// There from the first write or read on.
    data: Vec<u8>,
    touches: Vec<Touch>,
    freed: bool,
}

/// Blocks that a kernel was given, while it runs.
#[derive(Debug)]
pub(crate) struct Borrowed(Vec<(u64, Vec<u8>)>);

impl Borrowed {
    /// Four bytes at an address.
    ///
    /// # Errors
    ///
    /// Where no argument leads there, or the address is no multiple of four.
    pub(crate) fn four(&mut self, address: u64) -> Result<&mut [u8; 4], String> {
        let wrong =
            || format!("a kernel touches {address:#x}: no argument leads there, or four bytes do not lie so");
        let here = self
            .0
            .iter_mut()
            .find(|(start, data)| address.checked_sub(*start).is_some_and(|at| at < data.len() as u64));
        let (start, data) = here.ok_or_else(wrong)?;
        let at = (address - *start) as usize;
        let four = data.get_mut(at..at + 4).filter(|_| address.is_multiple_of(4));
        four.and_then(|four| four.try_into().ok()).ok_or_else(wrong)
    }
}

/// All memory; kernels read and write it by addresses.
#[derive(Debug, Default)]
pub struct Memory {
    blocks: BTreeMap<u64, Block>,
    next: u64,
    pinned: u64,
    live: usize,
}

impl Memory {
    /// A block at an address that no block ever had, or where the host has it.
    pub(crate) fn add(&mut self, bytes: u64, home: Home) -> u64 {
        let mut data = Vec::new();
        let address = if home == Home::Host {
            data = vec![UNWRITTEN; bytes as usize];
            self.pinned += bytes;
            data.as_ptr() as u64
        } else {
            self.next = self.next.max(0x0003_0000_0000_0000);
            let address = self.next;
            self.next = (address + bytes + GAP).next_multiple_of(GAP);
            address
        };
        self.live += 1;
        self.blocks.insert(address, Block { bytes, home, data, touches: Vec::new(), freed: false });
        address
    }

    pub(crate) fn pinned(&self) -> u64 {
        self.pinned
    }

    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// Where a live block that starts there is, and its bytes.
    pub(crate) fn find(&self, address: u64) -> Option<(Home, u64)> {
        self.blocks.get(&address).filter(|block| !block.freed).map(|block| (block.home, block.bytes))
    }

    /// Where a block is that starts there, freed or not, and its bytes.
    pub(crate) fn owner(&self, address: u64) -> Option<(Home, u64)> {
        self.blocks.get(&address).map(|block| (block.home, block.bytes))
    }

    fn around(&mut self, address: u64) -> Option<(u64, &mut Block)> {
        let (start, block) = self.blocks.range_mut(..=address).next_back()?;
        (address < start + block.bytes.max(1)).then_some((*start, block))
    }

    /// Notes that a step of a stream touches so many bytes from an address on; what is wrong with that.
    pub(crate) fn touch(
        &mut self,
        address: u64,
        bytes: u64,
        writes: bool,
        (stream, step): (u64, u64),
        before: &Clock,
    ) -> Result<(), String> {
        let Some((start, block)) = self.around(address) else {
            return Err(format!("stream {stream} is given {address:#x}, where nothing is"));
        };
        if block.freed {
            return Err(format!("stream {stream} is given {start:#x}, which was freed"));
        }
        if address + bytes > start + block.bytes {
            return Err(format!(
                "stream {stream} is given {bytes} bytes of {start:#x}, which has {}",
                block.bytes
            ));
        }
        let is_unordered = |touch: &&Touch| {
            (writes || touch.writes) && touch.stream != stream && before.of(touch.stream) < touch.step
        };
        let other = block.touches.iter().find(is_unordered).copied();
        block.touches.retain(|touch| !(writes || touch.stream == stream && !touch.writes));
        block.touches.push(Touch { stream, step, writes });
        match other {
            Some(other) => Err(format!(
                "step {step} of stream {stream} and step {} of stream {} touch {start:#x} in no order",
                other.step, other.stream
            )),
            None => Ok(()),
        }
    }

    /// What keeps a block from being freed by somebody who knows so much to be done.
    pub(crate) fn in_use(&self, address: u64, known: &Clock) -> Option<String> {
        let block = self.blocks.get(&address)?;
        let touch = block.touches.iter().find(|touch| known.of(touch.stream) < touch.step)?;
        Some(format!(
            "{address:#x} is freed while step {} of stream {} may touch it",
            touch.step, touch.stream
        ))
    }

    /// From now on nobody may touch a block; its bytes may be given back later.
    pub(crate) fn bury(&mut self, address: u64) {
        if let Some(block) = self.blocks.get_mut(&address).filter(|block| !block.freed) {
            block.freed = true;
            self.live -= 1;
            if block.home == Home::Host {
                self.pinned -= block.bytes;
                // Still there, so that a host that goes on reading finds this, and not somebody else's memory.
                block.data.fill(FREED);
            }
        }
    }

    /// What a device's block held is gone.
    pub(crate) fn forget(&mut self, address: u64) {
        if let Some(block) = self.blocks.get_mut(&address).filter(|block| block.home != Home::Host) {
            block.data = Vec::new();
        }
    }

    /// Takes out what lies in the blocks that start at these addresses. One may be freed by then, behind the kernel.
    pub(crate) fn borrow(&mut self, addresses: &[u64]) -> Borrowed {
        let mut borrowed: Vec<(u64, Vec<u8>)> = Vec::new();
        for address in addresses {
            let Some((_, bytes)) = self.owner(*address) else { continue };
            if borrowed.iter().all(|(taken, _)| taken != address) {
                self.slice(*address, bytes);
                let data = self.blocks.get_mut(address).map(|block| std::mem::take(&mut block.data));
                borrowed.push((*address, data.unwrap_or_default()));
            }
        }
        Borrowed(borrowed)
    }

    pub(crate) fn take_back(&mut self, borrowed: Borrowed) {
        for (address, data) in borrowed.0 {
            if let Some(block) = self.blocks.get_mut(&address) {
                block.data = data;
            }
        }
    }

    /// Copies bytes out.
    ///
    /// # Panics
    ///
    /// Where there are not so many.
    #[must_use]
    pub fn read(&mut self, address: u64, bytes: u64) -> Vec<u8> {
        let at = self.slice(address, bytes);
        at.to_vec()
    }

    /// Copies bytes in.
    ///
    /// # Panics
    ///
    /// Where there is not that much room.
    pub fn write(&mut self, address: u64, bytes: &[u8]) {
        self.slice(address, bytes.len() as u64).copy_from_slice(bytes);
    }

    pub(crate) fn fill(&mut self, address: u64, value: u8, bytes: u64) {
        self.slice(address, bytes).fill(value);
    }

    fn slice(&mut self, address: u64, bytes: u64) -> &mut [u8] {
        let Some((start, block)) = self.around(address) else { panic!("nothing is at {address:#x}") };
        if block.data.is_empty() {
            block.data = vec![UNWRITTEN; block.bytes as usize];
        }
        let from = (address - start) as usize;
        &mut block.data[from..from + bytes as usize]
    }
}
