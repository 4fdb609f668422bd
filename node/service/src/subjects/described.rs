//! Reading a question back from the words in which the audit log has it (`search::describe`).

use eads_domain::query::{IdentifierKey, NameKey, QueryKey};
use eads_domain::subject::SubjectType;

/// The question; none if these are not the words of one.
pub(crate) fn parse(text: &str) -> Option<(SubjectType, QueryKey)> {
    let (subject, rest) = text.split_once(' ')?;
    let subject = subject.parse().ok()?;
    let (field, rest) = rest.split_once('=')?;
    let (value, rest) = quoted(rest)?;
    if field != "name" {
        return Some((subject, QueryKey::Identifier(IdentifierKey::new(field.parse().ok()?, &value).ok()?)));
    }
    let mut known = [""; 3];
    for part in rest.split_whitespace() {
        match part.split_once('=')? {
            ("birth-date", text) => known[0] = text,
            ("nationality", text) => known[1] = text,
            ("sex", text) => known[2] = text,
            _ => return None,
        }
    }
    let [birth_date, nationality, sex] = known;
    Some((subject, QueryKey::Name(NameKey::parse(&value, birth_date, nationality, sex).ok()?)))
}

/// A text in quotation marks, as Rust writes it, and what comes after it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let inside = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut chars = inside.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, inside.get(at + 1..)?)),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                '0' => value.push('\0'),
                'u' => {
                    let start = chars.next().filter(|(_, c)| *c == '{')?.0 + 1;
                    let end = chars.find(|(_, c)| *c == '}')?.0;
                    value.push(char::from_u32(u32::from_str_radix(inside.get(start..end)?, 16).ok()?)?);
                }
                other @ ('"' | '\\' | '\'') => value.push(other),
                _ => return None,
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use eads_domain::operator::Purpose;
    use eads_domain::query::Query;

    use super::*;
    use crate::search::describe;

    fn query(key: QueryKey) -> Query {
        Query {
            purpose: Purpose::Audit,
            legal_basis: None,
            subject: SubjectType::Person,
            key,
            kinds: Vec::new(),
            exercise: false,
        }
    }

    #[test]
    fn every_question_is_read_back_as_it_was_asked() {
        let name = |name, date, nation, sex| QueryKey::Name(NameKey::parse(name, date, nation, sex).unwrap());
        let document = IdentifierKey::new("document".parse().unwrap(), "AB 123456").unwrap();
        for key in [
            name("Aman Rasa", "", "", ""),
            name("Aman \"the \\ one\" Rasa", "1990-05", "ID", "F"),
            name("สมชาย ใจดี", "1990-05-01", "", "M"),
            name("Nguyễn d'Văn", "", "XXA", ""),
            QueryKey::Identifier(document),
        ] {
            assert_eq!(parse(&describe(&query(key.clone()))), Some((SubjectType::Person, key)));
        }
    }

    #[test]
    fn other_words_are_no_question() {
        for text in [
            "",
            "person",
            "person name=Aman",
            "person name=\"Aman",
            "what name=\"Aman\"",
            "person name=\"\\u{110000}\"",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
