//! How records are written: in `larder_codec`'s layout, under the fingerprint of the code that wrote them.

use larder_codec::Record;
use larder_runtime::{Envelope, Sealed};

pub(crate) struct Written {
    pub(crate) fingerprint: u64,
}

impl Envelope for Written {
    fn seal(&self, sealed: &Sealed<'_>, into: &mut Vec<u8>) -> bool {
        let Sealed { packing, deadline, cost, factor, encoded, key, value, .. } = *sealed;
        let record = Record { packing, deadline, cost, factor, encoded, key, value };
        record.seal(self.fingerprint, into).is_ok()
    }

    fn open<'a>(&self, bytes: &'a [u8]) -> Option<Sealed<'a>> {
        let Record { packing, deadline, cost, factor, encoded, key, value } =
            Record::open(bytes, self.fingerprint).ok()?;
        let mut sealed = Sealed::new(key, value);
        (sealed.packing, sealed.deadline) = (packing, deadline);
        (sealed.cost, sealed.factor, sealed.encoded) = (cost, factor, encoded);
        Some(sealed)
    }
}
