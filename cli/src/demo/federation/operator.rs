//! An operator of one member: every act is a run of the command with that operator's profile, and what it says
//! is read from its JSON.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use eads_domain::id::MemberId;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::Instant;

use super::FederationError;

/// An operator with the profile that the member's own operator CA issued.
#[derive(Clone, Debug)]
pub struct Operator {
    program: PathBuf,
    member: MemberId,
    name: String,
    profile: PathBuf,
}

/// How one run of the command ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Exit status, as `eads --help` lists them; -1 if a signal ended it.
    pub status: i32,
    /// The JSON on standard output; null if there was none.
    pub output: Value,
    /// Code of the error, of the run as a whole or of the first draft that it was refused for.
    pub code: Option<String>,
    /// The words of that error.
    pub text: String,
    /// From the start of the process to its end.
    pub took: Duration,
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, ", {code}: {}", self.text)?;
        }
        if self.output.is_null() { Ok(()) } else { write!(f, ", {}", self.output) }
    }
}

impl Operator {
    pub(super) fn new(program: &Path, member: MemberId, name: &str, profile: PathBuf) -> Self {
        Self { program: program.to_owned(), member, name: name.to_owned(), profile }
    }

    /// Whose operator it is.
    pub const fn member(&self) -> MemberId {
        self.member
    }

    /// The name that the certificate carries.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The profile, for `eads --profile`.
    pub fn profile(&self) -> &Path {
        &self.profile
    }

    /// Runs `eads` with `arguments`, whatever comes of it.
    ///
    /// # Errors
    /// [`FederationError::Machine`] if the process cannot be run.
    pub async fn run(&self, arguments: &[&str]) -> Result<Ran, FederationError> {
        let started = Instant::now();
        let output = Command::new(&self.program)
            .arg("--profile")
            .arg(&self.profile)
            .args(["--output", "json"])
            .args(arguments)
            .env_remove("EADS_PROFILE")
            .env_remove("EADS_LEGAL_BASIS")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|cause| FederationError::machine(format!("cannot run {}", self.program.display()), cause))?;
        let took = started.elapsed();
        let value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        let (code, text) = why(&value, &output.stderr);
        Ok(Ran { status: output.status.code().unwrap_or(-1), output: value, code, text, took })
    }

    /// Runs a command that has to succeed, and gives its JSON.
    ///
    /// # Errors
    /// [`FederationError::Command`] if it ends with any status but 0, or says nothing that is JSON.
    pub async fn get(&self, arguments: &[&str]) -> Result<Value, FederationError> {
        let ran = self.run(arguments).await?;
        if ran.status == 0 && !ran.output.is_null() { Ok(ran.output) } else { Err(self.failed(arguments, ran)) }
    }

    /// Runs a command that has to be refused with `code`.
    ///
    /// # Errors
    /// [`FederationError::Unexpected`] if it succeeds or is refused for another reason.
    pub async fn refused(&self, arguments: &[&str], code: &str) -> Result<Ran, FederationError> {
        let ran = self.run(arguments).await?;
        if ran.status != 0 && ran.code.as_deref() == Some(code) {
            return Ok(ran);
        }
        let expected = format!("`{}` as {} to be refused with {code}", arguments.join(" "), self.name);
        Err(FederationError::unexpected(self.member, expected, ran))
    }

    fn failed(&self, arguments: &[&str], ran: Ran) -> FederationError {
        FederationError::Command {
            member: self.member,
            operator: self.name.clone(),
            command: arguments.join(" "),
            status: ran.status,
            code: ran.code.unwrap_or_else(|| "NO_JSON".to_owned()),
            text: ran.text,
        }
    }
}

/// The error of a run: the document on standard error, or that of the first draft that was refused.
fn why(output: &Value, stderr: &[u8]) -> (Option<String>, String) {
    let words = String::from_utf8_lossy(stderr);
    let document = words.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
    let listed = output.as_array().into_iter().flatten().find(|item| item["error"].is_object());
    let error = document.as_ref().map(|document| &document["error"]).or_else(|| listed.map(|item| &item["error"]));
    match error.filter(|error| error.is_object()) {
        Some(error) => {
            (error["code"].as_str().map(str::to_owned), error["text"].as_str().unwrap_or_default().to_owned())
        }
        None => (None, words.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_error_of_a_run_is_found_where_it_stands() {
        let document = br#"{"error":{"code":"ROLE_REQUIRED","text":"no","hint":null}}"#;
        assert_eq!(why(&Value::Null, document), (Some("ROLE_REQUIRED".to_owned()), "no".to_owned()));
        let listed = json!([{ "draft_id": "1", "error": { "code": "APPROVAL_BY_DRAFTER", "text": "no" } }]);
        assert_eq!(why(&listed, b"").0.as_deref(), Some("APPROVAL_BY_DRAFTER"));
        assert_eq!(why(&json!([]), b"Usage: eads\n"), (None, "Usage: eads".to_owned()));
    }
}
