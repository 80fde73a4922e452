//! Streams, each a row of steps, and events, which stand for a place in one.

use std::collections::VecDeque;

use crate::clock::Clock;
use crate::machine::{Kernel, Launch};

/// What a stream does.
pub(crate) enum Step {
    /// The block is there, and nothing else.
    Begin,
    Copy {
        from: u64,
        to: u64,
        bytes: u64,
    },
    Fill {
        to: u64,
        value: u8,
        bytes: u64,
    },
    /// A block's bytes go back.
    Free(u64),
    /// Nothing goes on before so many steps of the other stream are done.
    Await(u64, u64),
    Run(Kernel, Launch),
}

pub(crate) struct Stream {
    pub(crate) device: usize,
    pub(crate) steps: VecDeque<Step>,
    pub(crate) given: u64,
    pub(crate) done: u64,
    /// What is before all that it is given from now on.
    pub(crate) before: Clock,
    /// Nothing more comes.
    pub(crate) destroyed: bool,
}

impl Stream {
    pub(crate) fn new(device: usize) -> Self {
        let (steps, before) = (VecDeque::new(), Clock::default());
        Self { device, steps, given: 0, done: 0, before, destroyed: false }
    }
}

pub(crate) struct Event {
    pub(crate) device: usize,
    /// Which steps of which stream it stands for, and what is before them.
    pub(crate) recorded: Option<(u64, u64, Clock)>,
}
