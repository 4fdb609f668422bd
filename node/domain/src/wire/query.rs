//! Queries and answers.

use eads_proto::v1;

use super::{InvalidMessage, at_most, check_protocol, exactly};
use crate::clock::Timestamp;
use crate::id::{Hash, RequestId};
use crate::query::{
    Answer, Caution, Hit, HitField, HitReason, IdentifierKey, MAX_KINDS, NameKey, Query, QueryError, QueryKey, Score,
    StatementPointer,
};

/// The most hits in one answer.
pub const MAX_HITS: usize = 1000;
const MAX_REASONS: usize = 64;
const MAX_FIELDS: usize = 64;
const MAX_CAUTIONS: usize = 8;
const MAX_CODE_BYTES: usize = 64;
const MAX_TEXT_BYTES: usize = 1024;
const MAX_FIELD_BYTES: usize = 16 * 1024;
const MAX_CHECKPOINT_BYTES: usize = 64 * 1024;

/// A peer's question as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuestionReceived {
    /// The same for every peer asked; a repeat gets the stored outcome.
    pub request: RequestId,
    /// What is asked.
    pub query: Query,
}

impl TryFrom<v1::QueryRequest> for QuestionReceived {
    type Error = InvalidMessage;

    fn try_from(message: v1::QueryRequest) -> Result<Self, InvalidMessage> {
        check_protocol(message.protocol)?;
        let query = message.query.ok_or(InvalidMessage::Missing { field: "query" })?;
        let request = RequestId::from_bytes(exactly("request_id", &message.request_id)?);
        Ok(Self { request, query: query.try_into()? })
    }
}

impl From<&Query> for v1::Query {
    fn from(query: &Query) -> Self {
        Self {
            purpose: query.purpose.to_string(),
            legal_basis: query.legal_basis.as_ref().map(|basis| basis.as_str().to_owned()).unwrap_or_default(),
            subject: query.subject.to_string(),
            kinds: query.kinds.iter().map(ToString::to_string).collect(),
            exercise: query.exercise,
            key: Some(match &query.key {
                QueryKey::Name(key) => v1::query::Key::Name(key.into()),
                QueryKey::Identifier(key) => v1::query::Key::Identifier(key.into()),
            }),
        }
    }
}

impl TryFrom<v1::Query> for Query {
    type Error = InvalidMessage;

    fn try_from(message: v1::Query) -> Result<Self, InvalidMessage> {
        if message.kinds.len() > MAX_KINDS {
            return Err(QueryError::Kind.into());
        }
        let kinds = message.kinds.iter().map(|kind| kind.parse().map_err(|_| QueryError::Kind));
        let key = match message.key.ok_or(QueryError::KeyMissing)? {
            v1::query::Key::Name(key) => {
                QueryKey::Name(NameKey::parse(&key.name, &key.birth_date, &key.nationality, &key.sex)?)
            }
            v1::query::Key::Identifier(key) => {
                QueryKey::Identifier(IdentifierKey::new(key.r#type.parse()?, &key.value)?)
            }
        };
        Ok(Self {
            purpose: message.purpose.parse().map_err(|_| QueryError::Purpose)?,
            legal_basis: match message.legal_basis.trim() {
                "" => None,
                basis => Some(basis.parse()?),
            },
            subject: message.subject.parse().map_err(|_| QueryError::Subject)?,
            key,
            kinds: kinds.collect::<Result<_, _>>()?,
            exercise: message.exercise,
        })
    }
}

impl From<&NameKey> for v1::NameKey {
    fn from(key: &NameKey) -> Self {
        Self {
            name: key.name().to_owned(),
            birth_date: key.birth_date.map(|date| date.to_string()).unwrap_or_default(),
            nationality: key.nationality.map(|nationality| nationality.to_string()).unwrap_or_default(),
            sex: key.sex.map(|sex| sex.to_string()).unwrap_or_default(),
        }
    }
}

impl From<&IdentifierKey> for v1::IdentifierKey {
    fn from(key: &IdentifierKey) -> Self {
        Self { r#type: key.kind().to_string(), value: key.value().to_owned() }
    }
}

impl From<&Answer> for v1::QueryResponse {
    fn from(answer: &Answer) -> Self {
        Self {
            request_id: answer.request.as_bytes().to_vec(),
            hits: answer.hits.iter().map(Into::into).collect(),
            truncated: answer.truncated,
            checkpoint: answer.checkpoint.clone(),
            answered_at: answer.answered_at.as_unix(),
        }
    }
}

impl TryFrom<v1::QueryResponse> for Answer {
    type Error = InvalidMessage;

    fn try_from(message: v1::QueryResponse) -> Result<Self, InvalidMessage> {
        at_most("hits", &message.hits, MAX_HITS)?;
        at_most("checkpoint", &message.checkpoint, MAX_CHECKPOINT_BYTES)?;
        Ok(Self {
            request: RequestId::from_bytes(exactly("request_id", &message.request_id)?),
            hits: message.hits.into_iter().map(Hit::try_from).collect::<Result<_, _>>()?,
            truncated: message.truncated,
            checkpoint: message.checkpoint,
            answered_at: Timestamp::from_unix(message.answered_at),
        })
    }
}

impl From<&Hit> for v1::Hit {
    fn from(hit: &Hit) -> Self {
        let reason = |reason: &HitReason| v1::HitReason {
            code: reason.code.clone(),
            text: reason.text.clone(),
            weight: reason.weight,
        };
        let field = |field: &HitField| v1::HitField { name: field.name.clone(), value: field.value.clone() };
        Self {
            score: hit.score.thousandths().into(),
            reasons: hit.reasons.iter().map(reason).collect(),
            source: hit.source.as_str().to_owned(),
            owner: hit.owner.to_string(),
            reference: hit.reference.as_ref().map(ToString::to_string).unwrap_or_default(),
            kind: hit.kind.map(|kind| kind.to_string()).unwrap_or_default(),
            fields: hit.fields.iter().map(field).collect(),
            statement: hit.statement.map(Into::into),
            state: hit.state.as_str().to_owned(),
            cautions: hit.cautions.iter().map(|caution| caution.as_str().to_owned()).collect(),
            exercise: hit.exercise,
        }
    }
}

impl TryFrom<v1::Hit> for Hit {
    type Error = InvalidMessage;

    fn try_from(message: v1::Hit) -> Result<Self, InvalidMessage> {
        at_most("hit.reasons", &message.reasons, MAX_REASONS)?;
        at_most("hit.fields", &message.fields, MAX_FIELDS)?;
        let score = u16::try_from(message.score).ok().filter(|score| *score <= Score::MAX.thousandths());
        Ok(Self {
            score: score.map(Score::saturating).ok_or(InvalidMessage::Unknown { field: "hit.score" })?,
            reasons: message.reasons.into_iter().map(HitReason::try_from).collect::<Result<_, _>>()?,
            source: message.source.parse()?,
            owner: message.owner.parse().map_err(|_| InvalidMessage::Unknown { field: "hit.owner" })?,
            reference: present(&message.reference).map(str::parse).transpose()?,
            kind: present(&message.kind)
                .map(|kind| kind.parse().map_err(|_| InvalidMessage::Unknown { field: "hit.kind" }))
                .transpose()?,
            fields: message.fields.into_iter().map(HitField::try_from).collect::<Result<_, _>>()?,
            statement: message.statement.map(StatementPointer::try_from).transpose()?,
            state: message.state.parse()?,
            cautions: cautions(&message.cautions)?,
            exercise: message.exercise,
        })
    }
}

/// Codes of cautions, each once; an empty one says nothing, as a program that knows one caution only writes it.
fn cautions(codes: &[String]) -> Result<Vec<Caution>, InvalidMessage> {
    at_most("hit.cautions", codes, MAX_CAUTIONS)?;
    let mut cautions: Vec<Caution> =
        codes.iter().filter_map(|code| present(code)).map(str::parse).collect::<Result<_, _>>()?;
    cautions.sort_unstable();
    cautions.dedup();
    Ok(cautions)
}

fn present(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

impl TryFrom<v1::HitReason> for HitReason {
    type Error = InvalidMessage;

    fn try_from(message: v1::HitReason) -> Result<Self, InvalidMessage> {
        Ok(Self {
            code: shown("hit.reason.code", message.code, MAX_CODE_BYTES)?,
            text: shown("hit.reason.text", message.text, MAX_TEXT_BYTES)?,
            weight: message.weight,
        })
    }
}

impl TryFrom<v1::HitField> for HitField {
    type Error = InvalidMessage;

    fn try_from(message: v1::HitField) -> Result<Self, InvalidMessage> {
        Ok(Self {
            name: shown("hit.field.name", message.name, MAX_CODE_BYTES)?,
            value: shown("hit.field.value", message.value, MAX_FIELD_BYTES)?,
        })
    }
}

/// A peer's text that an officer's screen will show: bounded, and without characters that steer a terminal.
fn shown(field: &'static str, text: String, max: usize) -> Result<String, InvalidMessage> {
    at_most(field, text.as_bytes(), max)?;
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(InvalidMessage::Text { field });
    }
    Ok(text)
}

impl From<StatementPointer> for v1::StatementPointer {
    fn from(pointer: StatementPointer) -> Self {
        Self { index: pointer.index, digest: pointer.digest.as_bytes().to_vec() }
    }
}

impl TryFrom<v1::StatementPointer> for StatementPointer {
    type Error = InvalidMessage;

    fn try_from(message: v1::StatementPointer) -> Result<Self, InvalidMessage> {
        let digest = Hash::from_bytes(exactly("statement.digest", &message.digest)?);
        Ok(Self { index: message.index, digest })
    }
}
