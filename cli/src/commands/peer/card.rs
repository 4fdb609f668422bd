//! Cards: exported, shown, imported. Each is verified here, whatever the node says of it.

use std::path::{Path, PathBuf};

use eads_domain::card::{SignedCard, VerificationCode};
use eads_proto::v1 as proto;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::node;
use crate::output::{Page, Tone, json_time};

/// `eads peer card`
#[derive(Debug, clap::Args)]
pub(crate) struct CardOptions {
    /// Write the card to this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// `eads peer show`
#[derive(Debug, clap::Args)]
pub(crate) struct ShowOptions {
    /// The card; `-` is standard input.
    file: PathBuf,
}

/// `eads peer import`
#[derive(Debug, clap::Args)]
pub(crate) struct ImportOptions {
    /// The card as the peer's administrator sent it; `-` is standard input.
    file: PathBuf,
}

/// A card in JSON.
#[derive(Debug, Serialize)]
struct CardView {
    member: String,
    display_name: String,
    standing: String,
    sequence: u64,
    issued: Option<String>,
    endpoints: Vec<String>,
    duty_contacts: Vec<String>,
    register: String,
    signing_key: String,
    keyseq: u32,
    previous: Option<String>,
    digest: String,
    verification_code: String,
    card: String,
}

impl CardOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let exported = node::answer(node.peering().export_card(node.request(proto::ExportCardRequest {}))).await?;
        let card = SignedCard::parse_and_verify(&exported.card)?;
        same_code(&card, &exported.verification_code)?;
        let view = CardView::from(&card);
        match self.out {
            Some(file) => {
                files::write(&file, view.card.as_bytes())?;
                context.out.emit(&view, |page| {
                    page.line(&format!("The card of {} is in {}", view.member, file.display()));
                    show_code(&view, page);
                })?;
            }
            None => {
                context.out.emit(&view, |page| view.card.lines().for_each(|line| page.line(line)))?;
                context.out.note_page(|page| show_code(&view, page));
            }
        }
        Ok(Exit::Done)
    }
}

impl ShowOptions {
    pub(super) fn run(self, context: &Context) -> Result<Exit, CliError> {
        let view = CardView::from(&read(&self.file)?);
        context.out.emit(&view, |page| view.show(page))?;
        Ok(Exit::Done)
    }
}

impl ImportOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let card = read(&self.file)?;
        let view = CardView::from(&card);
        let node = context.node().await?;
        let request = node.request(proto::ImportCardRequest { card: card.bytes().to_vec() });
        let imported = node::answer(node.peering().import_card(request)).await?;
        same_code(&card, &imported.verification_code)?;
        context.out.emit(&view, |page| {
            view.show(page);
            page.gap();
            page.line("Read the code to the peer's administrator over a channel that both trust, and compare.");
            page.line("Then two administrators of this member, each with the code as it was read out, run");
            page.line(&format!("  eads peer accept {} --agreement FILE --code \"DIGITS\"", view.member));
        })?;
        Ok(Exit::Done)
    }
}

/// A card file, as text or as bytes.
pub(super) fn read(file: &Path) -> Result<SignedCard, CliError> {
    let bytes = files::read(file)?;
    let card = match std::str::from_utf8(&bytes) {
        Ok(text) => SignedCard::from_armor(text),
        Err(_) => SignedCard::parse_and_verify(&bytes),
    };
    card.map_err(|error| CliError::from(error).about(file.display()))
}

/// The node must have seen the same card as this program.
fn same_code(card: &SignedCard, told: &str) -> Result<(), CliError> {
    if told.parse::<VerificationCode>().is_ok_and(|code| code == card.verification_code()) {
        Ok(())
    } else {
        let text = "the node's verification code is not the one that this card has";
        Err(CliError::new("CARD_CODE_DIFFERS", Exit::Integrity, text))
    }
}

/// Twelve groups of five, six on a line: easier to read aloud and to compare.
fn show_code(view: &CardView, page: &mut Page) {
    page.heading("Verification code");
    let groups: Vec<&str> = view.verification_code.split(' ').collect();
    for half in groups.chunks(6) {
        page.toned(&format!("  {}", half.join(" ")), Tone::Caution);
    }
}

impl CardView {
    fn show(&self, page: &mut Page) {
        page.field("member", &self.member);
        page.field("name", &self.display_name);
        page.field("standing", &self.standing);
        page.field("sequence", &self.sequence.to_string());
        page.field("issued", self.issued.as_deref().unwrap_or("-"));
        page.field("endpoints", &self.endpoints.join(", "));
        for contact in &self.duty_contacts {
            page.field("duty contact", contact);
        }
        page.field("register", &self.register);
        page.field("signing key", &format!("{} (number {})", self.signing_key, self.keyseq));
        page.field("previous card", self.previous.as_deref().unwrap_or("none: this is the first"));
        page.field("digest", &self.digest);
        page.toned("The card verifies under the key that it names.", Tone::Good);
        show_code(self, page);
    }
}

impl From<&SignedCard> for CardView {
    fn from(signed: &SignedCard) -> Self {
        let card = signed.card();
        Self {
            member: card.member.to_string(),
            display_name: card.display_name.to_string(),
            standing: card.standing.to_string(),
            sequence: card.sequence,
            issued: json_time(card.issued.as_unix()),
            endpoints: card.endpoints.iter().map(ToString::to_string).collect(),
            duty_contacts: card.duty_contacts.iter().map(ToString::to_string).collect(),
            register: card.register.to_string(),
            signing_key: hex::encode(card.signing_key.as_bytes()),
            keyseq: card.keyseq,
            previous: card.previous.map(|digest| digest.to_string()),
            digest: signed.digest().to_string(),
            verification_code: signed.verification_code().to_string(),
            card: signed.to_armor(),
        }
    }
}
