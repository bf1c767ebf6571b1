//! Keeps the section from which `cargo pgrx` reads the SQL entities; only for the library, so that
//! the unit tests still link without a server.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("macos") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,--no-gc-sections");
    }
}
