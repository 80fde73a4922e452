//! The budget's books: what the domain may hold, what it holds, and who was promised what.
//!
//! Two levels keep the shared counter quiet. The [`Ledger`] is the domain's: one limit, one sum. Each
//! tenant has a [`Reservation`] that takes bytes from the ledger in chunks and spends them locally. At any
//! quiet moment the ledger's `used` equals the sum of all reservations, and at every moment
//! `used <= allowed`. Deciding who must give way is not here: a refusal goes back to the caller.

mod ledger;
mod reservation;

pub(crate) use ledger::Ledger;
pub(crate) use reservation::{Refused, Reservation};

#[cfg(all(test, not(larder_shuttle)))]
mod tests;

#[cfg(all(test, larder_shuttle))]
mod models;
