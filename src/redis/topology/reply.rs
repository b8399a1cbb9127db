//! Replies to errands, as texts and numbers.

use redis::Value;

/// The text of a string, if it is one.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        _ => None,
    }
}

/// The number of an integer, or of a string of digits.
pub fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        other => text(other)?.parse().ok(),
    }
}

/// The value of a field in a map, or in an array of names and values in turn, which RESP2 has in
/// its place.
pub fn field(reply: &Value, name: &str) -> Option<String> {
    let is_name = |value: &Value| text(value).is_some_and(|found| found == name);
    match reply {
        Value::Map(fields) => {
            fields.iter().find(|(key, _)| is_name(key)).and_then(|(_, v)| text(v))
        }
        Value::Array(parts) => {
            let pairs = parts.chunks_exact(2);
            pairs
                .filter_map(|pair| pair.split_first())
                .find(|(key, _)| is_name(key))
                .and_then(|(_, value)| value.first().and_then(text))
        }
        _ => None,
    }
}
