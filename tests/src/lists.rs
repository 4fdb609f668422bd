//! The Security Council's list in its published form, invented or cut from the real one, and its import.

use std::path::{Path, PathBuf};

use eads_proto::v1;
use eads_proto::v1::import_notices_request::Part;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tonic::Status;

use crate::member::Member;

/// Bytes of one message of an upload.
const CHUNK: usize = 64 * 1024;
/// Drafts that are approved and issued at a time.
const AT_A_TIME: usize = 4;

/// An invented person of a list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The list's own number of the entry.
    pub number: u32,
    /// Family name; the given name is made from the number.
    pub family: String,
}

impl Listed {
    /// The entry of that number.
    pub fn new(number: u32) -> Self {
        let word: String = number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
        Self { number, family: format!("Listedfamily{word}") }
    }

    /// The reference under which the list has it.
    pub fn reference(&self) -> String {
        format!("EXi.{:03}", self.number)
    }

    fn xml(&self) -> String {
        let Self { number, family } = self;
        format!(
            "<INDIVIDUAL><DATAID>{number}</DATAID><VERSIONNUM>1</VERSIONNUM><FIRST_NAME>Aman</FIRST_NAME>\
             <SECOND_NAME>{family}</SECOND_NAME><UN_LIST_TYPE>Example</UN_LIST_TYPE>\
             <REFERENCE_NUMBER>{reference}</REFERENCE_NUMBER><LISTED_ON>2020-01-02</LISTED_ON><GENDER>Male</GENDER>\
             <INDIVIDUAL_ALIAS><QUALITY>Good</QUALITY><ALIAS_NAME>Kilat {family}</ALIAS_NAME></INDIVIDUAL_ALIAS>\
             <INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>EXACT</TYPE_OF_DATE><DATE>1970-02-03</DATE>\
             </INDIVIDUAL_DATE_OF_BIRTH></INDIVIDUAL>\n",
            reference = self.reference(),
        )
    }
}

/// A list of invented persons, and one company.
pub fn list(persons: &[Listed]) -> String {
    let persons: String = persons.iter().map(Listed::xml).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CONSOLIDATED_LIST><INDIVIDUALS>\n{persons}</INDIVIDUALS>\n\
         <ENTITIES><ENTITY><DATAID>9000</DATAID><VERSIONNUM>1</VERSIONNUM><FIRST_NAME>Example Trading</FIRST_NAME>\
         <UN_LIST_TYPE>Example</UN_LIST_TYPE><REFERENCE_NUMBER>EXe.001</REFERENCE_NUMBER></ENTITY></ENTITIES>\n\
         </CONSOLIDATED_LIST>\n"
    )
}

/// The published list, where a copy is at hand: named by `EADS_UN_LIST`, or in a directory beside the repository.
pub fn published() -> Option<String> {
    let named = std::env::var_os("EADS_UN_LIST").map(PathBuf::from);
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let beside = above.map(|folder| folder.join("shared/data/un_consolidated.xml"));
    let path = named.into_iter().chain(beside).find(|path| path.is_file())?;
    Some(std::fs::read_to_string(path).expect("the list is text"))
}

/// Every element of that name in a list, as it is written.
pub fn elements<'a>(list: &'a str, name: &str) -> Vec<&'a str> {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let from_begins = list.match_indices(&begin).map(|(at, _)| &list[at..]);
    from_begins.map(|from| &from[..from.find(&end).expect("an end") + end.len()]).collect()
}

/// A list of these persons and entities, as they are written in another.
pub fn assemble(persons: &[&str], entities: &[&str]) -> String {
    format!(
        "<CONSOLIDATED_LIST><INDIVIDUALS>\n{}\n</INDIVIDUALS><ENTITIES>\n{}\n</ENTITIES></CONSOLIDATED_LIST>",
        persons.join("\n"),
        entities.join("\n")
    )
}

/// What to do with a list; the audience is what the tests vary least.
pub fn options(audience: &[&Member]) -> v1::ImportNoticesOptions {
    v1::ImportNoticesOptions {
        format: "un-consolidated".to_owned(),
        audience: audience.iter().map(|member| member.id.to_string()).collect(),
        ..v1::ImportNoticesOptions::default()
    }
}

impl Member {
    /// Imports a list; what comes of it waits as drafts.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn import_list(
        &self,
        list: &str,
        options: v1::ImportNoticesOptions,
    ) -> Result<v1::ImportNoticesResponse, Status> {
        let first = v1::ImportNoticesRequest { part: Some(Part::Options(options)) };
        let chunks: Vec<_> = list.as_bytes().chunks(CHUNK).map(<[u8]>::to_vec).collect();
        let chunks = chunks.into_iter().map(|chunk| v1::ImportNoticesRequest { part: Some(Part::Chunk(chunk)) });
        let messages: Vec<_> = std::iter::once(first).chain(chunks).collect();
        Ok(self.operator("issuer").notices().import_notices(stream::iter(messages)).await?.into_inner())
    }

    /// Drafts that wait; of one batch, or all.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn drafts(&self, batch: &str) -> Vec<v1::DraftSummary> {
        let request = v1::ListDraftsRequest { batch: batch.to_owned(), limit: 0 };
        let stream = self.operator("approver").notices().list_drafts(request).await.expect("a list").into_inner();
        let all: Vec<v1::ListDraftsResponse> = stream.try_collect().await.expect("a list");
        all.into_iter().filter_map(|item| item.draft).collect()
    }

    /// Approves and issues every draft of a batch, each with a signature of its own. Returns how many.
    ///
    /// # Panics
    /// When a step is refused.
    pub async fn publish_batch(&self, batch: &str) -> usize {
        let drafts = self.drafts(batch).await;
        let publishing = drafts.iter().map(|draft| self.publish(&draft.draft_id));
        let published: Vec<_> =
            stream::iter(publishing).buffer_unordered(AT_A_TIME).try_collect().await.expect("issues");
        published.len()
    }
}
