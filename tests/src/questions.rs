//! What is asked, as an officer's program puts it to the own node.

use eads_proto::v1;
use eads_proto::v1::query::Key;

use crate::member::Member;

/// A person by name.
pub fn name(name: &str) -> v1::Query {
    query("person", Key::Name(v1::NameKey { name: name.to_owned(), ..v1::NameKey::default() }))
}

/// A travel document by its number.
pub fn passport(number: &str) -> v1::Query {
    identifier("document", number)
}

/// Whatever identifies by itself.
pub fn identifier(kind: &str, value: &str) -> v1::Query {
    query("document", Key::Identifier(v1::IdentifierKey { r#type: kind.to_owned(), value: value.to_owned() }))
}

fn query(subject: &str, key: Key) -> v1::Query {
    v1::Query {
        purpose: "criminal-investigation".to_owned(),
        subject: subject.to_owned(),
        key: Some(key),
        ..v1::Query::default()
    }
}

impl Member {
    /// What the own node alone finds by a name.
    ///
    /// # Panics
    /// When the node refuses.
    pub async fn finds(&self, person: &str) -> Vec<v1::Hit> {
        let request = v1::SearchRequest { query: Some(name(person)), local_only: true, ..v1::SearchRequest::default() };
        let answers = self.search_as(request).await.expect("answers");
        answers.into_iter().flat_map(|answer| answer.hits).collect()
    }
}
