//! What the credits of one tenant are worth on the scale of its domain. Numbers only: whose they are, and when they
//! change, is the tenant's.

/// Credits of one tenant and prices of its domain: two scales, of which the second is `scale` times as fine, with one
/// point in common.
///
/// That point is where both begin, until the priority changes. Then it is the level that eviction has reached:
/// stored credits count from there on, and a change of scale at the origin would make all of them jump.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) credit: f64,
    pub(super) price: f64,
    pub(super) scale: f64,
}

impl Rate {
    /// The credit that is worth as much.
    pub(super) fn credit(self, price: f64) -> f64 {
        self.credit + (price - self.price) / self.scale
    }

    /// What a credit is worth.
    pub(super) fn price(self, credit: f64) -> f64 {
        (self.price + (credit - self.credit) * self.scale).max(0.0)
    }

    /// The inflation as a credit. It only rises, so this is never below the common point.
    pub(super) fn level(self, inflation: f64) -> f64 {
        self.credit(inflation).max(0.0)
    }
}
