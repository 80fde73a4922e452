//! The files of a log: their names, and how they are read.

use std::fs::{self, File};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Records,
    Labels,
    /// One of records that are gone, to be written once more: its place on the disk, and in the system's memory, is there.
    Spare,
}

pub(super) fn file_in(folder: &Path, id: u32, kind: Kind) -> PathBuf {
    let ending = match kind {
        Kind::Records => "records",
        Kind::Labels => "labels",
        Kind::Spare => "spare",
    };
    folder.join(format!("{id}.{ending}"))
}

/// The numbers of the files of a kind, sorted.
pub(super) fn ids(folder: &Path, kind: Kind) -> io::Result<Vec<u32>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let Some((id, _)) = name.to_str().and_then(|name| name.split_once('.')) else { continue };
        if let Ok(id) = id.parse()
            && file_in(folder, id, kind).file_name() == Some(&name)
        {
            ids.push(id);
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

/// So many bytes from there on; `None` where the file ends before.
#[cfg(unix)]
pub(super) fn read_at(file: &File, mut offset: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    bytes.reserve_exact(length);
    while bytes.len() < length {
        // There may be more room than was asked for: what comes of it is cut off.
        match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut bytes), offset) {
            Ok(0) => return Ok(None),
            Ok(read) => offset += read as u64,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(length);
    Ok(Some(bytes))
}

#[cfg(windows)]
pub(super) fn read_at(file: &File, offset: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
    let (mut bytes, mut known) = (vec![0; length], 0);
    while known < length {
        match std::os::windows::fs::FileExt::seek_read(file, &mut bytes[known..], offset + known as u64)? {
            0 => return Ok(None),
            read => known += read,
        }
    }
    Ok(Some(bytes))
}

/// Writes all of these from there on, one behind the other.
pub(super) fn write_at(file: &File, mut slices: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
    // Empty ones at the beginning are none.
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match write_some(file, slices, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                IoSlice::advance_slices(&mut slices, written);
                offset += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(unix)]
fn write_some(file: &File, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    // The system takes no more at once.
    Ok(rustix::io::pwritev(file, &slices[..slices.len().min(1024)], offset)?)
}

#[cfg(windows)]
fn write_some(file: &File, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, &slices[0], offset)
}

/// Names of files outlive the machine, too.
#[cfg(unix)]
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
