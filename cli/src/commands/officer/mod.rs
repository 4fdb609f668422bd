//! `eads officer`: who of the own people may work at the node, and under which certificate.
//!
//! The private key is made where the officer works and never leaves there; what goes to the administrators is a
//! request, what comes back is a certificate.

mod certificate;
mod enrol;
mod export;
mod profile;
mod renew;
mod request;
mod state;
mod view;

use clap::Subcommand;

pub(super) use self::view::OwnCertificate;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// `eads officer`
#[derive(Debug, Subcommand)]
pub(crate) enum Options {
    /// Makes a key and a certificate request on the officer's machine; asks no node.
    Request(request::RequestOptions),
    /// Certifies a request; for approvers and administrators a second administrator has to say the same.
    Enrol(enrol::EnrolOptions),
    /// Makes a profile from a certificate and the key that its request was made with; asks no node.
    Profile(profile::ProfileOptions),
    /// Renews the own certificate, for the same key or a new one.
    Renew(renew::RenewOptions),
    /// Writes the own certificate and key as a PKCS#12 file, for a browser; asks no node.
    Export(export::ExportOptions),
    /// Lists officers, and those who wait for a second administrator.
    List(view::ListOptions),
    /// Shows an officer with every certificate that is remembered.
    Show(view::ShowOptions),
    /// Takes an officer's right to work away at once, until resumed.
    Suspend(state::StateOptions),
    /// Gives a suspended officer's right to work back.
    Resume(state::StateOptions),
    /// Takes an officer's right to work away at once and for good.
    Revoke(state::StateOptions),
}

impl Options {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Request(options) => options.run(context),
            Self::Enrol(options) => options.run(context).await,
            Self::Profile(options) => options.run(context),
            Self::Renew(options) => options.run(context).await,
            Self::Export(options) => options.run(context),
            Self::List(options) => options.run(context).await,
            Self::Show(options) => options.run(context).await,
            Self::Suspend(options) => options.suspend(context).await,
            Self::Resume(options) => options.resume(context).await,
            Self::Revoke(options) => options.revoke(context).await,
        }
    }
}
