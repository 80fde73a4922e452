//! chrono: dates and times own nothing.

use chrono::{
    DateTime, Days, FixedOffset, IsoWeek, Month, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta,
    TimeZone, Utc, Weekday,
};

use crate::weight::Weigh;
use crate::weight::std_types::own_nothing;

own_nothing!(
    Days,
    FixedOffset,
    IsoWeek,
    Month,
    Months,
    NaiveDate,
    NaiveDateTime,
    NaiveTime,
    TimeDelta,
    Utc,
    Weekday,
);

/// In a time zone whose offsets can be copied, which they cannot if they own heap.
impl<Tz: TimeZone> Weigh for DateTime<Tz>
where
    Tz::Offset: Copy,
{
    #[inline]
    fn heap_bytes(&self) -> u64 {
        0
    }
    #[inline]
    fn owns_heap() -> bool {
        false
    }
}
