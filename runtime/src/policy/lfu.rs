//! Least frequently used, with dynamic ageing: uses count from the rank that eviction has reached by then.
//!
//! What was used often long ago is overtaken by what is used a little less often now, so no entry stays for ever on
//! past fame (Arlitt et al., 1999). No halving pass, no parameter.

/// The rank of a slot that was used so often, the first time included, when the last victim had rank `age`.
pub(super) fn rank(age: u64, uses: u32) -> u64 {
    age + u64::from(uses)
}
