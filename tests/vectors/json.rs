//! JSON as it is published: fields in the order given, one case a line.
//!
//! Written by hand because the bytes are compared: the order of fields in `serde_json` depends on a feature that
//! any crate of the workspace may switch on. Reading is left to libraries.

/// A JSON value.
#[derive(Clone, Debug)]
pub(crate) enum Json {
    Text(String),
    /// Within ±2^53, so that every language reads it exactly.
    Number(i64),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    /// As a file: lists of objects have one object a line, unless it holds such a list itself.
    pub(crate) fn to_file(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out.push('\n');
        out
    }

    fn is_table(&self) -> bool {
        matches!(self, Self::List(items) if items.iter().any(|item| matches!(item, Self::Object(_))))
    }

    fn is_wide(&self, depth: usize) -> bool {
        match self {
            Self::Object(fields) => depth == 0 || fields.iter().any(|(_, value)| value.is_wide(depth + 1)),
            other => other.is_table(),
        }
    }

    fn write(&self, out: &mut String, depth: usize) {
        let wide = self.is_wide(depth);
        match self {
            Self::Text(text) => out.push_str(&serde_json::to_string(text).expect("a text is JSON")),
            Self::Number(number) => out.push_str(&number.to_string()),
            Self::List(items) => {
                out.push('[');
                for (place, item) in items.iter().enumerate() {
                    separate(out, place, wide, depth);
                    item.write(out, depth + 1);
                }
                close(out, wide && !items.is_empty(), depth, ']');
            }
            Self::Object(fields) => {
                out.push('{');
                for (place, (name, value)) in fields.iter().enumerate() {
                    separate(out, place, wide, depth);
                    out.push_str(&format!("\"{name}\": "));
                    value.write(out, depth + 1);
                }
                close(out, wide, depth, '}');
            }
        }
    }
}

fn separate(out: &mut String, place: usize, wide: bool, depth: usize) {
    if place > 0 {
        out.push(',');
    }
    if wide {
        out.push('\n');
        out.push_str(&"  ".repeat(depth + 1));
    } else if place > 0 {
        out.push(' ');
    }
}

fn close(out: &mut String, wide: bool, depth: usize, bracket: char) {
    if wide {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    }
    out.push(bracket);
}

/// An object.
pub(crate) fn object(fields: impl IntoIterator<Item = (&'static str, Json)>) -> Json {
    Json::Object(fields.into_iter().collect())
}

/// A list.
pub(crate) fn list(items: impl IntoIterator<Item = Json>) -> Json {
    Json::List(items.into_iter().collect())
}

/// A text.
pub(crate) fn text(text: impl ToString) -> Json {
    Json::Text(text.to_string())
}

/// Bytes as small hexadecimal digits.
pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> Json {
    Json::Text(hex::encode(bytes))
}

/// A number.
pub(crate) fn number(number: impl TryInto<i64>) -> Json {
    match number.try_into() {
        Ok(number) if number.unsigned_abs() <= 1 << 53 => Json::Number(number),
        _ => unreachable!("every number of the vectors is exact in every language"),
    }
}

/// Hashes, as of a path or proof.
pub(crate) fn hashes<'a>(path: impl IntoIterator<Item = &'a eads_domain::id::Hash>) -> Json {
    list(path.into_iter().map(|hash| hex(hash.as_bytes())))
}
