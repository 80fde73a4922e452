//! Similar sentences with CUDA: vectors go up through pooled pinned buffers, a kernel in PTX compares, scores come back.
//!
//! Needs a driver and nothing else: the driver compiles the kernel. Without one it says so, with status 3.

use std::process::ExitCode;
use std::time::Duration;

use gpu_similarity::{DIMENSIONS, Failure, SENTENCES, Search, all_vectors, bytes, floats, run};
use larder::cuda::{Argument, Buffers, CudaLease, CudaPool, Kernel, Memory, Stream};
use larder::device::DeviceError;

const VECTORS: u64 = (SENTENCES * DIMENSIONS * 4) as u64;
const QUESTION: u64 = (DIMENSIONS * 4) as u64;
const SCORES: u64 = (SENTENCES * 4) as u64;
const THREADS: u32 = 128;
const SOON: Duration = Duration::from_secs(60);

struct Gpu {
    stream: Stream,
    cosine: Kernel,
    pool: CudaPool,
    vectors: CudaLease,
}

impl Gpu {
    fn new() -> Result<Self, Failure> {
        // All of it together stays below this.
        let gpu = larder::cuda::open("gpu:0", 0)?.limit_mb(64).build()?;
        let stream = gpu.backend().stream()?;
        let cosine = gpu.backend().kernel(include_str!("../cosine.ptx"), "cosine")?;
        let pool = gpu.pool("similarity").build()?;
        let vectors = pool.acquire(VECTORS, Memory::Device, &stream)?;
        pool.upload(&stream, &vectors, &bytes(&all_vectors()))?;
        Ok(Self { stream, cosine, pool, vectors })
    }
}

impl Search for Gpu {
    fn scores(&self, question: &[f32]) -> Result<Vec<f32>, Failure> {
        let stream = &self.stream;
        // Both go back to the pool at the end of this function, and to the next question behind this one's work.
        let asked = self.pool.acquire(QUESTION, Memory::Device, stream)?;
        let scores = self.pool.acquire(SCORES, Memory::Device, stream)?;
        self.pool.upload(stream, &asked, &bytes(question))?;
        let count = SENTENCES as u32;
        let arguments = [
            Argument::Buffer(&asked),
            Argument::Buffer(&self.vectors),
            Argument::Buffer(&scores),
            Argument::U32(count),
            Argument::U32(DIMENSIONS as u32),
        ];
        // SAFETY: the kernel takes three addresses and two numbers, reads as many numbers of the first two as these say, and writes one of
        // the third for each sentence; all three were acquired for this stream.
        unsafe { self.cosine.launch(stream, [count.div_ceil(THREADS), 1, 1], [THREADS, 1, 1], &arguments) }?;
        let read = self.pool.read_back(stream, &scores, SCORES)?;
        Ok(read.read(SOON, floats)?)
    }

    fn describe(&self) -> String {
        let device = self.pool.device();
        format!(
            "on {} (CUDA {})\n{}",
            device.info().name,
            device.backend().driver().version(),
            self.pool.stats()
        )
    }
}

fn main() -> ExitCode {
    match Gpu::new() {
        Ok(gpu) => run(Box::new(gpu)),
        Err(failure) if matches!(failure.downcast_ref(), Some(DeviceError::Unavailable { .. })) => {
            eprintln!("nothing to compute on: {failure}");
            ExitCode::from(3)
        }
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
