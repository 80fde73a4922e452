//! Where Linux says that memory gets short: pressure stall information, what a service manager points to, and the counters of
//! control groups.
//!
//! Opens descriptors and writes thresholds; who waits for them is elsewhere. What is not there, not permitted or not
//! understood is left out: memory is then looked at from time to time, as it is anyway.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::pressure::Trigger;

/// Some task waits for memory for 100 ms in 2 s. Who is not privileged may only ask for multiples of 2 s.
const THRESHOLD: &[u8] = b"some 100000 2000000\0";
/// The pressure of the whole system.
const SYSTEM: &str = "proc/pressure/memory";

/// What a service manager says about watching memory.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nothing.
    None,
    /// Not to.
    Off,
    /// To watch this file, and to write this to it first.
    Watch { path: PathBuf, write: Vec<u8> },
}

impl Wish {
    /// Reads `MEMORY_PRESSURE_WATCH` and `MEMORY_PRESSURE_WRITE` with `lookup`. A path that is not absolute, and what is not
    /// base64, say nothing.
    pub(super) fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        let Some(path) = lookup("MEMORY_PRESSURE_WATCH").map(PathBuf::from) else { return Self::None };
        if path == Path::new("/dev/null") {
            return Self::Off;
        }
        let write = match lookup("MEMORY_PRESSURE_WRITE") {
            None => Some(Vec::new()),
            Some(text) => text.to_str().and_then(decode),
        };
        match write {
            Some(write) if path.is_absolute() => Self::Watch { path, write },
            _ => Self::None,
        }
    }
}

/// Opens what there is: what the service manager wishes, else the stalls of this process's group, else the system's; and the
/// counters of all `groups`, which begin with the innermost.
pub(super) fn open(root: &Path, wish: &Wish, groups: &[PathBuf]) -> Vec<Trigger> {
    let stalls = match wish {
        Wish::Off => return Vec::new(),
        Wish::Watch { path, write } => watch(path, write),
        Wish::None => {
            let own = groups.first().map(|group| group.join("memory.pressure"));
            own.and_then(|file| stall(&file, THRESHOLD)).or_else(|| stall(&root.join(SYSTEM), THRESHOLD))
        }
    };
    let counters = groups.iter().filter_map(|group| counters(&group.join("memory.events")));
    stalls.into_iter().chain(counters).collect()
}

/// A file of stalls, with this threshold.
fn stall(path: &Path, threshold: &[u8]) -> Option<Trigger> {
    let mut file =
        OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
    // In one write: the kernel takes each for a trigger.
    let written = file.write(threshold).ok()?;
    (written == threshold.len()).then(|| Trigger::stall(file.into()))
}

fn counters(path: &Path) -> Option<Trigger> {
    let mut trigger = Trigger::counters(File::open(path).ok()?.into());
    // Changes are told to who has read what was before.
    trigger.read_again().ok()?;
    Some(trigger)
}

fn watch(path: &Path, write: &[u8]) -> Option<Trigger> {
    let kind = std::fs::metadata(path).ok()?.file_type();
    if kind.is_file() {
        return stall(path, write);
    }
    let mut file = if kind.is_socket() {
        let socket = UnixStream::connect(path).ok()?;
        socket.set_nonblocking(true).ok()?;
        File::from(OwnedFd::from(socket))
    } else if kind.is_fifo() {
        // Also for writing, so that it has no end when whoever writes is gone for a while.
        OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?
    } else {
        return None;
    };
    // Into a pipe that we read ourselves nothing is written: it would be the first message.
    if kind.is_socket() {
        file.write_all(write).ok()?;
    }
    Some(Trigger::message(file.into()))
}

/// Base64 of the standard alphabet, with or without padding; `None` for anything else.
fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim().trim_end_matches('=').bytes().map(|byte| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    });
    let digits: Vec<u8> = digits.collect::<Option<_>>()?;
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.chunks(4) {
        if group.len() == 1 {
            return None;
        }
        let bits =
            group.iter().fold(0_u32, |bits, digit| bits << 6 | u32::from(*digit)) << (6 * (4 - group.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    /// A directory that goes with the test.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("larder-psi-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str) -> PathBuf {
            let path = self.0.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            path
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn wish(variables: &[(&str, &str)]) -> Wish {
        Wish::read(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn base64_is_read_as_it_is_written() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("Zg==", b"f"),
            ("Zm8=", b"fo"),
            ("Zm9v", b"foo"),
            ("Zm9vYg", b"foob"),
            ("c29tZSAyMDAwMDAgMjAwMDAwMAA=", b"some 200000 2000000\0"),
            ("+/+/\n", b"\xfb\xff\xbf"),
        ] {
            assert_eq!(decode(text).as_deref(), Some(bytes), "{text}");
        }
        for text in ["Z", "Zm9vY", "Zm 9", "Zm-_", "=a"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn what_a_service_manager_wishes() {
        const WATCH: &str = "MEMORY_PRESSURE_WATCH";
        const WRITE: &str = "MEMORY_PRESSURE_WRITE";
        assert_eq!(wish(&[]), Wish::None);
        assert_eq!(wish(&[(WRITE, "Zm9v")]), Wish::None);
        assert_eq!(wish(&[(WATCH, "/dev/null"), (WRITE, "Zm9v")]), Wish::Off);
        assert_eq!(wish(&[(WATCH, "relative/path")]), Wish::None);
        assert_eq!(wish(&[(WATCH, "/a"), (WRITE, "?")]), Wish::None);
        let watch = Wish::Watch { path: "/a".into(), write: b"foo".to_vec() };
        assert_eq!(wish(&[(WATCH, "/a"), (WRITE, "Zm9v")]), watch);
        assert!(open(Path::new("/nowhere"), &Wish::Off, &[]).is_empty());
    }

    #[test]
    fn the_group_comes_before_the_system_and_gets_a_threshold_that_anybody_may_write() {
        let place = Place::new("group");
        let system = place.file(SYSTEM);
        let group = place.0.join("group");
        assert_eq!(
            open(&place.0, &Wish::None, std::slice::from_ref(&group)).len(),
            1,
            "without the group's the system's"
        );
        assert_eq!(std::fs::read(&system).unwrap(), THRESHOLD);
        std::fs::write(&system, "").unwrap();
        let (stalls, _events) = (place.file("group/memory.pressure"), place.file("group/memory.events"));
        assert_eq!(open(&place.0, &Wish::None, &[group]).len(), 2);
        assert_eq!(std::fs::read(&stalls).unwrap(), THRESHOLD);
        assert!(std::fs::read(&system).unwrap().is_empty());
        let text = std::str::from_utf8(THRESHOLD).unwrap();
        let window: u64 = text.trim_end_matches('\0').rsplit(' ').next().unwrap().parse().unwrap();
        assert_eq!(window % 2_000_000, 0);
        assert!(open(Path::new("/nowhere"), &Wish::None, &["/nowhere".into()]).is_empty());
    }

    #[test]
    fn files_pipes_and_sockets_are_watched_each_in_its_way() {
        let place = Place::new("kinds");
        let file = place.file("file");
        let watch = |path: &Path| {
            let wish = Wish::Watch { path: path.into(), write: b"threshold".to_vec() };
            open(Path::new("/nowhere"), &wish, &[]).len()
        };
        assert_eq!(watch(&file), 1);
        assert_eq!(std::fs::read(&file).unwrap(), b"threshold");
        let fifo = place.0.join("fifo");
        let name = std::ffi::CString::new(fifo.to_str().unwrap()).unwrap();
        // SAFETY: the name is a string that ends with a zero, and lives for the call.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        assert_eq!(watch(&fifo), 1);
        let socket = place.0.join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        assert_eq!(watch(&socket), 1);
        let mut told = Vec::new();
        std::io::Read::read_to_end(&mut listener.accept().unwrap().0, &mut told).unwrap();
        assert_eq!(told, b"threshold");
        assert_eq!(watch(&place.0), 0, "a directory is none of these");
        assert_eq!(watch(&place.0.join("nothing")), 0);
    }
}
