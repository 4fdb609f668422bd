//! `eads notice template`: a draft to fill in, written from the slot table.

use std::fmt::Write as _;

use eads_domain::slot::{CHECKS, Part, Scalar, Shape, SlotNumber, SlotSpec, SlotTable};
use eads_domain::subject::{NoticeKind, SubjectType};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// Lists of codes up to this length are written out behind their field.
const WRITTEN_CODES: usize = 40;
/// How wide a comment may be.
const COMMENT_WIDTH: usize = 116;

/// `eads notice template`
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Kind: red, blue, green, yellow, black, orange, purple, silver, un, document, vehicle, vessel or firearm.
    kind: NoticeKind,
    /// Subject: person, organisation, body, document, vehicle, vessel, firearm, asset, identifier or
    /// modus-operandi.
    subject: SubjectType,
}

impl Options {
    pub(super) fn run(self, context: &Context) -> Result<Exit, CliError> {
        let table = SlotTable::get();
        if !table.is_kind_of(self.subject, self.kind) {
            let kinds = table.kinds(self.subject).iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
            let text = format!("there is no {} notice about a {}", self.kind, self.subject);
            return Err(CliError::new("TEMPLATE_UNKNOWN_KIND", Exit::BadInput, text)
                .with_hint(format!("a {} can have these: {kinds}", self.subject)));
        }
        context.out.raw(&template(table, self.kind, self.subject))?;
        Ok(Exit::Done)
    }
}

/// The template of one kind about one subject.
pub(super) fn template(table: &SlotTable, kind: NoticeKind, subject: SubjectType) -> String {
    let mut text = format!(
        "# A draft of a {kind} notice about a {subject}. Fill in, then run `eads notice draft FILE`.\n\
         # Lines that begin with # are left out. A field that nobody knows is written {{ unknown = true }}.\n\n\
         kind = \"{kind}\"\nsubject = \"{subject}\"\n"
    );
    checks(&mut text, table, kind, subject);
    let allowed = |spec: &&SlotSpec| spec.is_allowed_in(kind) && !set_elsewhere(spec);
    let (must, may): (Vec<_>, Vec<_>) =
        table.slots(subject).filter(allowed).partition(|spec| spec.mandatory || spec.is_required_in(kind));
    section(&mut text, "Required", &must, true);
    section(&mut text, "Optional", &may, false);
    text
}

/// What every notice of this kind has to be able to answer.
fn checks(text: &mut String, table: &SlotTable, kind: NoticeKind, subject: SubjectType) {
    let mut about = CHECKS
        .iter()
        .filter(|check| check.kinds.contains(&kind) && table.by_name(subject, check.field).is_some())
        .peekable();
    if about.peek().is_some() {
        text.push_str("\n# Checked before a second officer is asked, before it is signed, and by every receiver\n");
    }
    for check in about {
        for line in wrap(&format!("{}, {}: {}; {}", check.code, check.field, check.text, check.hint)) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "# {line}");
        }
    }
}

/// What the draft names at its top, what the node sets, and photographs, which no draft file can hold.
fn set_elsewhere(spec: &SlotSpec) -> bool {
    const NODE: [SlotNumber; 5] =
        [SlotNumber::SUBJECT, SlotNumber::KIND, SlotNumber::REFERENCE, SlotNumber::VERSION, SlotNumber::APPROVALS];
    NODE.contains(&spec.number) || matches!(spec.shape, Shape::One(Scalar::Image) | Shape::Many(Scalar::Image))
}

fn section(text: &mut String, title: &str, specs: &[&SlotSpec], required: bool) {
    // Writing to a string does not fail.
    let _ = write!(text, "\n# {title}\n");
    for spec in specs {
        text.push('\n');
        for line in explanation(spec) {
            let _ = writeln!(text, "# {line}");
        }
        let name = &spec.name;
        let example = example(spec);
        if !required {
            let _ = writeln!(text, "# {name} = {example}");
        } else if let Some(start) = start(spec) {
            let _ = writeln!(text, "{name} = {start}");
        } else if spec.mandatory {
            // Nothing is put in its place: the draft is refused until somebody has said it.
            let _ = writeln!(text, "# {name} = {example}");
        } else {
            let _ = writeln!(text, "{name} = {{ unknown = true }}  # {example}");
        }
    }
}

/// What a mandatory field may start as without saying anything false.
fn start(spec: &SlotSpec) -> Option<&'static str> {
    match spec.number {
        SlotNumber::EXERCISE => Some("false"),
        _ if spec.mandatory && spec.may_be_empty => Some("[]"),
        _ => None,
    }
}

/// What the field is, with its codes where the list is short, in lines of a comment.
fn explanation(spec: &SlotSpec) -> Vec<String> {
    let mut words = format!("{}: {}", spec.name, describe(&spec.shape));
    if spec.mandatory {
        words.push_str("; every addressee is shown it");
    }
    wrap(&words)
}

fn describe(shape: &Shape) -> String {
    let scalar = |scalar: &Scalar| match scalar {
        Scalar::Code(list) if list.codes.len() > WRITTEN_CODES => {
            let first = list.codes.iter().take(WRITTEN_CODES).map(String::as_str).collect::<Vec<_>>().join(", ");
            format!("a code: {first} …")
        }
        other => other.describe(),
    };
    let part = |part: &Part| {
        format!("{}{} is {}", part.name, if part.optional { " (may be left out)" } else { "" }, scalar(&part.scalar))
    };
    let parts = |parts: &[Part]| parts.iter().map(part).collect::<Vec<_>>().join("; ");
    match shape {
        Shape::One(one) => scalar(one),
        Shape::Many(many) => format!("a list, each {}", scalar(many)),
        Shape::Parts(all) => format!("a table: {}", parts(all)),
        Shape::ManyParts(all) => format!("a list of tables: {}", parts(all)),
    }
}

/// A value of the right form.
fn example(spec: &SlotSpec) -> String {
    match spec.number {
        // Only H3 takes a text; every other code stands alone.
        SlotNumber::HANDLING => "[\"H0\"]".to_owned(),
        _ => shape_example(&spec.shape),
    }
}

fn shape_example(shape: &Shape) -> String {
    let table = |parts: &[Part]| {
        let parts: Vec<_> =
            parts.iter().map(|part| format!("{} = {}", part.name, scalar_example(&part.scalar))).collect();
        format!("{{ {} }}", parts.join(", "))
    };
    match shape {
        Shape::One(scalar) => scalar_example(scalar),
        Shape::Many(scalar) => format!("[{}]", scalar_example(scalar)),
        Shape::Parts(parts) => table(parts),
        Shape::ManyParts(parts) => format!("[{}]", table(parts)),
    }
}

fn scalar_example(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Text | Scalar::Line => "\"text\"".to_owned(),
        Scalar::Date => "\"1984-03-21\"".to_owned(),
        Scalar::Flag => "true".to_owned(),
        Scalar::Number { min, max } => (min + (max - min) / 2).to_string(),
        Scalar::Decimal => "\"12.5\"".to_owned(),
        Scalar::Digits(count) => format!("\"{}\"", "7".repeat(*count)),
        Scalar::Code(list) => format!("\"{}\"", list.codes.first().map_or("code", String::as_str)),
        Scalar::Country(_) | Scalar::Nationality(_) => "\"TH\"".to_owned(),
        Scalar::Language => "\"tha\"".to_owned(),
        Scalar::Currency => "\"THB\"".to_owned(),
        Scalar::Grading => "\"B2\"".to_owned(),
        Scalar::Reference => "\"ID-2026-7K3QX9-5\"".to_owned(),
        Scalar::Image | Scalar::Base64 => "\"AA==\"".to_owned(),
    }
}

/// Lines of at most [`COMMENT_WIDTH`] characters; the later ones are set in.
fn wrap(words: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > COMMENT_WIDTH {
            lines.push(format!("  {word}"));
        } else if let Some(last) = lines.last_mut() {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_toml_and_so_is_each_of_its_examples() {
        let table = SlotTable::get();
        for subject in SubjectType::ALL {
            for kind in table.kinds(subject) {
                let text = template(table, *kind, subject);
                toml::from_str::<toml::Table>(&text).expect("the template parses");
                for line in text.lines().filter_map(|line| line.strip_prefix("# ")).filter(|line| line.contains(" = "))
                {
                    if line.split(" = ").next().is_some_and(|name| table.by_name(subject, name).is_some()) {
                        toml::from_str::<toml::Table>(line).expect("the example parses");
                    }
                }
            }
        }
    }

    #[test]
    fn long_explanations_wrap() {
        let lines = wrap(&"word ".repeat(60));
        assert!(lines.len() > 1);
        assert!(lines.iter().all(|line| line.chars().count() <= COMMENT_WIDTH + 2));
    }
}
