//! The tests in `shapes`, where what lives to the end of a block, and what is a keyword, is as it was in 2021.

#[path = "../../tests/shapes/arguments.rs"]
mod arguments;
#[path = "../../tests/shapes/items.rs"]
mod items;
#[path = "../../tests/shapes/methods.rs"]
mod methods;
#[path = "../../tests/shapes/tasks.rs"]
mod tasks;
