//! Where threads and the loader of libraries are libraries of their own, the program has to name them: see
//! `src/older.rs`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |key: &str, value: &str| std::env::var(key).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
        && is("CARGO_CFG_TARGET_ARCH", "x86_64")
    {
        println!(
            "cargo::rustc-link-arg-bins=-Wl,--no-as-needed,-l:libpthread.so.0,-l:libdl.so.2,--as-needed"
        );
    }
}
