//! Which glibc a program needs: the newest of the versions that it names.

/// The version, as `(2, 28)`; `None` where none is named.
///
/// Names of versions stand alone in the table of strings that the loader reads; nothing else there looks like them.
pub(crate) fn needed(program: &[u8]) -> Option<(u32, u32)> {
    const BEFORE: &[u8] = b"\0GLIBC_";
    let starts = program.windows(BEFORE.len()).enumerate().filter(|(_, window)| *window == BEFORE);
    let versions = starts.filter_map(|(at, _)| {
        let name = program[at + BEFORE.len()..].split(|byte| *byte == 0).next()?;
        let mut numbers = std::str::from_utf8(name).ok()?.split('.').map(str::parse::<u32>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    versions.max()
}
