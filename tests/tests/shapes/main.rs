//! Functions of every shape that real code has, and of some that it hardly has: each compiles without a warning, and
//! keeps apart what has to be apart. `edition_2021` has the same in a crate of that edition.

mod arguments;

mod items;

mod methods;

mod tasks;
