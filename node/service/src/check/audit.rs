//! The audit log: its whole chain, and each head of it that the register anchors.

use super::Walk;
use super::finding::Section;
use crate::audit;
use crate::error::ServiceError;

impl Walk<'_> {
    pub(super) async fn audit(&self, section: &mut Section) -> Result<(), ServiceError> {
        let anchors = audit::anchors(self.store(), &self.vault).await?;
        section.count("anchors", anchors.len() as u64);
        let log = self.on.audit.clone();
        let verified = audit::blocking(move || Ok(log.verify(&anchors, &[]))).await?;
        section.count("entries", verified.entries);
        section.count("unfinished", verified.unfinished);
        if let Some(flaw) = verified.flaw {
            section.find(flaw.code, format!("entry {}: {}", flaw.sequence, flaw.text));
        }
        Ok(())
    }
}
