//! `eads proof verify`: a file and nothing else, no node asked.

use std::path::PathBuf;

use eads_domain::card::SignedCard;
use eads_domain::court_pack::{self, CourtPack, PackFinding};
use eads_domain::register::{EquivocationProof, SignedCheckpoint};
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::output::{Grid, Page, Tone, json_time, moment};

/// `eads proof verify`
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A fork proof or a court pack, as `eads proof export` writes it.
    file: PathBuf,
}

/// The fork proof as it stands in its file; what is not needed to verify it is for people.
#[derive(Deserialize)]
struct ForkFile {
    member: String,
    register: String,
    smaller: String,
    larger: String,
    path: Vec<String>,
    card: String,
}

#[derive(Deserialize)]
struct Format {
    format: String,
}

#[derive(Debug, Serialize)]
struct ForkView {
    format: &'static str,
    verified: bool,
    member: String,
    sizes: [u64; 2],
    verification_code: String,
}

#[derive(Debug, Serialize)]
struct PackView {
    format: &'static str,
    verified: bool,
    reference: String,
    state: String,
    origin: String,
    origin_key: String,
    origin_verification_code: String,
    exporter: String,
    exporter_verification_code: String,
    /// Members of whom earlier keys are the exporter's word.
    earlier_keys_of: Vec<String>,
    register_size: u64,
    register_root: String,
    statements: Vec<StatementView>,
    receipts: Vec<ReceiptView>,
    audit_entries: u64,
}

#[derive(Debug, Serialize)]
struct StatementView {
    index: u64,
    action: String,
    issued: Option<String>,
    keyseq: Option<u32>,
    opened: usize,
    approvers: Vec<String>,
    destroyed: bool,
}

#[derive(Debug, Serialize)]
struct ReceiptView {
    member: String,
    index: u64,
    status: &'static str,
    reason: String,
    at: Option<String>,
}

impl Options {
    pub(super) fn run(self, context: &Context) -> Result<Exit, CliError> {
        let text = files::read_text(&self.file)?;
        let format: Format = parse(&text)?;
        match format.format.as_str() {
            "eads/v1/fork-proof" => {
                let view = fork(&text)?;
                context.out.emit(&view, |page| view.show(page))?;
            }
            _ => {
                let view = PackView::new(&parse(&text)?, pack(&text)?);
                context.out.emit(&view, |page| view.show(page))?;
            }
        }
        Ok(Exit::Done)
    }
}

fn parse<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, CliError> {
    serde_json::from_str(text).map_err(|cause| {
        CliError::new("PROOF_UNREADABLE", Exit::BadInput, format!("this is no proof that this command knows: {cause}"))
    })
}

/// Verifies a court pack.
pub(super) fn pack(text: &str) -> Result<PackFinding, CliError> {
    use eads_domain::code::Coded as _;
    let read: CourtPack = parse(text)?;
    court_pack::verify(&read, text)
        .map_err(|error| CliError::new(error.code().as_str(), Exit::Integrity, format!("NOT PROVEN: {error}")))
}

fn fork(text: &str) -> Result<ForkView, CliError> {
    let not_proven = |why: String| CliError::new("PROOF_INVALID", Exit::Integrity, format!("NOT PROVEN: {why}"));
    let file: ForkFile = parse(text)?;
    let card = SignedCard::from_armor(&file.card).map_err(|error| not_proven(error.to_string()))?;
    let named = card.card();
    if named.member.to_string() != file.member || named.register.to_string() != file.register {
        return Err(not_proven("the card is not of the member and register that are named".to_owned()));
    }
    let checkpoint = |note: &str| {
        let signed = SignedCheckpoint::verify(note.as_bytes(), named.member, named.register, &named.signing_key);
        signed.map_err(|error| not_proven(error.to_string()))
    };
    let path: Result<Vec<_>, _> = file.path.iter().map(|node| node.parse()).collect();
    let path = path.map_err(|error: eads_domain::id::InvalidId| not_proven(error.to_string()))?;
    let proof = EquivocationProof::new(&checkpoint(&file.smaller)?, &checkpoint(&file.larger)?, path)
        .map_err(|error| not_proven(error.to_string()))?;
    let shown = proof.verify(&[named.signing_key]).map_err(|error| not_proven(error.to_string()))?;
    Ok(ForkView {
        format: "eads/v1/fork-proof",
        verified: true,
        member: file.member,
        sizes: [shown.smaller.size, shown.larger.size],
        verification_code: card.verification_code().to_string(),
    })
}

impl ForkView {
    fn show(&self, page: &mut Page) {
        let [smaller, larger] = self.sizes;
        page.toned(
            &format!("PROVEN: {} signed two registers, at {smaller} and at {larger} entries.", self.member),
            Tone::Bad,
        );
        page.field("by the card", &self.verification_code);
        page.line("Compare this code with what the member's administrators read out.");
    }
}

impl PackView {
    fn new(pack: &CourtPack, found: PackFinding) -> Self {
        let statements = found.statements.into_iter().map(|one| StatementView {
            index: one.index,
            action: one.action,
            issued: json_time(one.issued),
            keyseq: one.keyseq,
            opened: one.opened,
            approvers: one.approvers,
            destroyed: one.destroyed,
        });
        let receipts = found.receipts.into_iter().map(|one| ReceiptView {
            member: one.member.to_string(),
            index: one.index,
            status: one.status.as_str(),
            reason: one.reason.to_string(),
            at: json_time(one.at),
        });
        Self {
            format: court_pack::FORMAT,
            verified: true,
            reference: pack.notice.reference.clone(),
            state: pack.notice.state.clone(),
            origin: found.origin.to_string(),
            origin_key: hex::encode(found.key),
            origin_verification_code: found.origin_code,
            exporter: found.exporter.to_string(),
            exporter_verification_code: found.exporter_code,
            earlier_keys_of: found.earlier.iter().map(ToString::to_string).collect(),
            register_size: found.size,
            register_root: found.root.to_string(),
            statements: statements.collect(),
            receipts: receipts.collect(),
            audit_entries: found.audit_entries,
        }
    }

    fn show(&self, page: &mut Page) {
        page.toned(&format!("VERIFIED: {}, {}", self.reference, self.state), Tone::Good);
        page.field("origin", &format!("{}, key {}", self.origin, self.origin_key));
        page.field("its card", &self.origin_verification_code);
        page.field("exported by", &self.exporter);
        page.field("its card", &self.exporter_verification_code);
        page.field("register", &format!("{} entries, root {}", self.register_size, self.register_root));
        if !self.earlier_keys_of.is_empty() {
            let members = self.earlier_keys_of.join(", ");
            page.toned(&format!("earlier keys of {members} are the exporter's word"), Tone::Caution);
        }
        page.heading("Statements");
        let mut grid = Grid::new(&["ENTRY", "ACTION", "ISSUED", "OPENED", "APPROVED BY", "CONTENT"]);
        for one in &self.statements {
            let content = if one.destroyed { ("destroyed", Tone::Caution) } else { ("verified", Tone::Good) };
            grid.row([
                (one.index.to_string(), Tone::Plain),
                (one.action.clone(), Tone::Plain),
                (one.issued.clone().unwrap_or_else(|| moment(0)), Tone::Plain),
                (one.opened.to_string(), Tone::Plain),
                (one.approvers.join(", "), Tone::Plain),
                (content.0.to_owned(), content.1),
            ]);
        }
        page.grid(&grid);
        page.heading("Receipts");
        let mut grid = Grid::new(&["MEMBER", "ENTRY", "SAYS", "REASON", "AT"]);
        for one in &self.receipts {
            grid.row([
                (one.member.clone(), Tone::Plain),
                (one.index.to_string(), Tone::Plain),
                (one.status.to_owned(), Tone::Plain),
                (one.reason.clone(), Tone::Plain),
                (one.at.clone().unwrap_or_default(), Tone::Plain),
            ]);
        }
        page.grid(&grid);
        page.gap();
        page.field("audit entries", &self.audit_entries.to_string());
        page.line("It stands on the cards: compare their codes with what the members' administrators read out.");
    }
}
