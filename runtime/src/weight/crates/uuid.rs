//! uuid: sixteen bytes, none of them elsewhere.

use uuid::{NonNilUuid, Uuid};

use crate::weight::Weigh;
use crate::weight::std_types::own_nothing;

own_nothing!(NonNilUuid, Uuid);
