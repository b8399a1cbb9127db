//! Nothing is built from here; cargo fetches what Cargo.toml names.
