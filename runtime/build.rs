//! Only declares the `links` key to cargo: two versions of this crate in one binary would be two budgets.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
