//! `eads search`: one question to this node and every permitted peer.

mod outcome;
mod view;

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Subcommand;
use eads_domain::entropy::SystemEntropy;
use eads_domain::id::{MemberId, RequestId};
use eads_domain::operator::Purpose;
use eads_domain::query::{Advisory, IdentifierKey, IdentifierType, LegalBasis, NameKey};
use eads_domain::subject::{NoticeKind, SubjectType};
use eads_proto::v1 as proto;
use indicatif::ProgressBar;

use self::outcome::Answers;
use self::view::{SourceView, SummaryView};
use super::arguments;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node::{self, Node};
use crate::output::Format;

/// How much longer than the deadline of the answers this side waits for the node to say who did not answer.
const GRACE: Duration = Duration::from_secs(5);

/// `eads search`
#[derive(Debug, Subcommand)]
pub(crate) enum Options {
    /// A person by name, in any script and spelling.
    Person(PersonOptions),
    /// A passport, identity card, licence or other document by its number.
    Document(ValueOptions),
    /// A vehicle by its plate.
    Plate(ValueOptions),
    /// A vehicle by its identification number (VIN).
    Vin(ValueOptions),
    /// A vessel by its IMO number.
    Imo(ValueOptions),
    /// A vessel by its maritime mobile service identity.
    Mmsi(ValueOptions),
    /// A wallet of a crypto-asset by its address.
    Wallet(ValueOptions),
    /// A bank account, by its IBAN where it has one.
    Account(ValueOptions),
    /// A telephone number.
    Phone(ValueOptions),
    /// An e-mail address.
    Email(ValueOptions),
    /// An Internet domain.
    Domain(ValueOptions),
    /// A firearm or other object by its serial number.
    Serial(ValueOptions),
    /// Anything else that identifies by itself: a call sign, an IMEI, a UN reference number, a user name …
    Identifier(IdentifierOptions),
}

/// `eads search person`
#[derive(Debug, clap::Args)]
pub(crate) struct PersonOptions {
    /// The name as written on a passport, in a report or in a chat; any script.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Date of birth as far as it is known: YYYY, YYYY-MM or YYYY-MM-DD.
    #[arg(long, value_name = "DATE", default_value = "", hide_default_value = true)]
    birth_date: String,
    /// Nationality, ISO 3166-1 alpha-2; XXA is stateless, XXB a refugee.
    #[arg(long, value_name = "CODE", default_value = "", hide_default_value = true)]
    nationality: String,
    /// Sex: F, M, X or U.
    #[arg(long, value_name = "CODE", default_value = "", hide_default_value = true)]
    sex: String,
    #[command(flatten)]
    common: CommonOptions,
}

/// `eads search document` and the like
#[derive(Debug, clap::Args)]
pub(crate) struct ValueOptions {
    /// As written; spaces, dashes and case do not matter.
    value: String,
    #[command(flatten)]
    common: CommonOptions,
}

/// `eads search identifier`
#[derive(Debug, clap::Args)]
pub(crate) struct IdentifierOptions {
    /// What kind of identifier it is.
    #[arg(value_name = "TYPE", value_parser = arguments::identifier_type())]
    kind: IdentifierType,
    /// As written; spaces, dashes and case do not matter.
    value: String,
    /// What it identifies: person, vehicle, firearm … [default: what such an identifier usually does].
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<SubjectType>,
    #[command(flatten)]
    common: CommonOptions,
}

/// What every search takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Search options")]
struct CommonOptions {
    /// Why it is asked; kept in the audit log of every node that is asked.
    #[arg(long, value_name = "CODE", value_parser = arguments::purpose())]
    purpose: Purpose,
    /// On which legal basis, as a code or short text; kept in the audit log of every node that is asked.
    #[arg(
        long,
        value_name = "TEXT",
        env = "EADS_LEGAL_BASIS",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    legal_basis: String,
    /// The case; kept in the own audit log only.
    #[arg(long, value_name = "REFERENCE", default_value = "", hide_default_value = true)]
    case: String,
    /// Ask these peers only, with commas between them.
    #[arg(long, value_name = "MEMBERS", value_delimiter = ',', conflicts_with = "local")]
    peers: Vec<MemberId>,
    /// Ask this node only.
    #[arg(long)]
    local: bool,
    /// Look at notices of these kinds only, with commas between them.
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    kinds: Vec<NoticeKind>,
    /// How long all answers together may take [default: the node's].
    #[arg(long, value_name = "SECONDS")]
    deadline: Option<NonZeroU32>,
    /// An exercise: real data is neither asked nor shown.
    #[arg(long)]
    exercise: bool,
    /// Look also at held notices that wait for the desk; for approvers.
    #[arg(long)]
    desk: bool,
    /// Say for every hit which part matched, by which rule, and at what weight.
    #[arg(long)]
    explain: bool,
    /// Ask again under the id of an earlier search: what was answered then comes back.
    #[arg(long, value_name = "ID")]
    request_id: Option<RequestId>,
}

impl Options {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let (kind, options) = match self {
            Self::Person(options) => return options.run(context).await,
            Self::Document(options) => (IdentifierType::Document, options),
            Self::Plate(options) => (IdentifierType::Plate, options),
            Self::Vin(options) => (IdentifierType::Vin, options),
            Self::Imo(options) => (IdentifierType::Imo, options),
            Self::Mmsi(options) => (IdentifierType::Mmsi, options),
            Self::Wallet(options) => (IdentifierType::Wallet, options),
            Self::Account(options) => (IdentifierType::Account, options),
            Self::Phone(options) => (IdentifierType::Phone, options),
            Self::Email(options) => (IdentifierType::Email, options),
            Self::Domain(options) => (IdentifierType::Domain, options),
            Self::Serial(options) => (IdentifierType::Serial, options),
            Self::Identifier(options) => return options.run(context).await,
        };
        search_identifier(kind, options.value, subject_of(kind), options.common, context).await
    }
}

impl PersonOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        // Checked here as well, so that a typing error costs no entry in anybody's audit log.
        NameKey::parse(&self.name, &self.birth_date, &self.nationality, &self.sex)?;
        let key = proto::query::Key::Name(proto::NameKey {
            name: self.name,
            birth_date: self.birth_date,
            nationality: self.nationality,
            sex: self.sex,
        });
        self.common.search(SubjectType::Person, key, context).await
    }
}

impl IdentifierOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let subject = self.subject.unwrap_or_else(|| subject_of(self.kind));
        search_identifier(self.kind, self.value, subject, self.common, context).await
    }
}

async fn search_identifier(
    kind: IdentifierType,
    value: String,
    subject: SubjectType,
    common: CommonOptions,
    context: &Context,
) -> Result<Exit, CliError> {
    let parsed = IdentifierKey::new(kind, &value)?;
    if let Some(Advisory::VinCheckDigit) = parsed.advisory() {
        context.out.note("note: the check digit of this VIN is wrong; only North America and China require it");
    }
    let key = proto::query::Key::Identifier(proto::IdentifierKey { r#type: kind.to_string(), value });
    common.search(subject, key, context).await
}

impl CommonOptions {
    /// Asks, shows what comes, and says at the end who did not answer.
    async fn search(self, subject: SubjectType, key: proto::query::Key, context: &Context) -> Result<Exit, CliError> {
        if !self.legal_basis.trim().is_empty() {
            self.legal_basis.parse::<LegalBasis>()?;
        }
        let id = self.request_id.unwrap_or_else(|| RequestId::random(&SystemEntropy));
        let node = context.node().await?;
        let mut answers = Answers::new(id, self.peers.clone());
        let (explain, exercise) = (self.explain, self.exercise);
        let broken = self.ask(subject, key, id, &node, context, &mut answers).await.err();
        if let Some(error) = broken {
            if answers.is_empty() {
                return Err(error);
            }
            answers.break_off(&error);
        }
        let summary = answers.summary();
        match context.out.format() {
            Format::Jsonl => context.out.line(&SummaryView::from(&summary))?,
            _ => {
                let document = view::document(&answers, &summary);
                context.out.emit(&document, |page| {
                    if exercise {
                        page.exercise();
                    }
                    view::show(&answers, &summary, explain, page, context.now());
                })?;
            }
        }
        Ok(summary.exit())
    }

    /// Collects the answers as they arrive; with JSON Lines they are passed on at once.
    async fn ask(
        self,
        subject: SubjectType,
        key: proto::query::Key,
        id: RequestId,
        node: &Node,
        context: &Context,
        answers: &mut Answers,
    ) -> Result<(), CliError> {
        let deadline = self.deadline.map(|seconds| Duration::from_secs(u64::from(seconds.get())));
        let patience = deadline.map_or(node.timeout(), |deadline| (deadline + GRACE).max(node.timeout()));
        let request = proto::SearchRequest {
            query: Some(proto::Query {
                purpose: self.purpose.as_str().to_owned(),
                legal_basis: self.legal_basis,
                subject: subject.as_str().to_owned(),
                key: Some(key),
                kinds: self.kinds.iter().map(ToString::to_string).collect(),
                exercise: self.exercise,
            }),
            case_reference: self.case,
            peers: self.peers.iter().map(ToString::to_string).collect(),
            local_only: self.local,
            deadline_ms: self.deadline.map_or(0, |seconds| seconds.get().saturating_mul(1_000)),
            request_id: id.as_bytes().to_vec(),
            desk: self.desk,
        };
        let spinner = waiting(context);
        let mut request = tonic::Request::new(request);
        request.set_timeout(patience);
        let outcome = async {
            let mut stream = node::answer(node.search().search(request)).await?;
            while let Some(answer) = node::next(&mut stream, patience).await? {
                let source = SourceView::from(answer);
                if context.out.format() == Format::Jsonl {
                    context.out.line(&source)?;
                }
                answers.add(source);
                spinner.set_message(format!("{} answered", answers.len()));
            }
            Ok(())
        }
        .await;
        spinner.finish_and_clear();
        outcome
    }
}

/// Something that moves while nobody has answered yet, where somebody watches.
fn waiting(context: &Context) -> ProgressBar {
    if !context.out.watched() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message("asking");
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

/// What an identifier of this type usually identifies.
const fn subject_of(kind: IdentifierType) -> SubjectType {
    match kind {
        IdentifierType::Document => SubjectType::Document,
        IdentifierType::Plate | IdentifierType::Vin => SubjectType::Vehicle,
        IdentifierType::Imo | IdentifierType::Mmsi | IdentifierType::CallSign => SubjectType::Vessel,
        IdentifierType::Serial => SubjectType::Firearm,
        IdentifierType::UnReference => SubjectType::Person,
        IdentifierType::Registration => SubjectType::Organisation,
        IdentifierType::Wallet
        | IdentifierType::Account
        | IdentifierType::Phone
        | IdentifierType::Email
        | IdentifierType::Domain
        | IdentifierType::Username
        | IdentifierType::Url
        | IdentifierType::IpAddress
        | IdentifierType::Imei
        | IdentifierType::Other => SubjectType::Identifier,
    }
}
