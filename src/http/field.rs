//! Field lines (RFC 9110 section 5).

/// A field line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, a token.
    pub name: &'a str,
    /// The value, without CR, LF or NUL.
    pub value: &'a [u8],
}

impl Field<'_> {
    /// Whether it is called `name`.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// The values of all lines of `name`.
pub fn field_values<'a>(fields: &[Field<'a>], name: &str) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |field| field.is(name)).map(|field| field.value)
}

/// The value of the first line of `name`.
pub fn field_value<'a>(fields: &[Field<'a>], name: &str) -> Option<&'a [u8]> {
    field_values(fields, name).next()
}
