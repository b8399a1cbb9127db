//! Rust's idea of nginx's structures, checked against the C compiler's: sizes and offsets when
//! this crate is compiled, bit fields when nginx starts. build.rs has the list.

include!(concat!(env!("OUT_DIR"), "/layout.rs"));

/// Sets a bit field in an all-zero structure and looks for the one bit it may change.
fn check<T>(name: &str, byte: usize, mask: u8, set: impl FnOnce(&mut T)) -> Result<(), String> {
    // SAFETY: the structures are plain C data, for which all zeros are a value; their bytes are
    // all initialised.
    let bytes = unsafe {
        let mut value: Box<T> = Box::new(std::mem::zeroed());
        set(&mut value);
        std::slice::from_raw_parts((&raw const *value).cast::<u8>(), size_of::<T>()).to_vec()
    };
    let as_expected =
        bytes.iter().enumerate().all(|(at, &found)| found == if at == byte { mask } else { 0 });
    if as_expected {
        Ok(())
    } else {
        Err(format!("the module was built with wrong headers: {name} is not where nginx has it"))
    }
}
