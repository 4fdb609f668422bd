//! The TLS connection under the calls: TLS 1.3, this profile's certificate, only this profile's authority.
//!
//! In TLS 1.3 a client has finished before the server has looked at its certificate, so that a refusal would
//! show late, in the middle of the first call, or as a connection that only went away. This waits for the node's
//! first bytes, which an HTTP/2 server sends by itself: either they come, or the refusal does.

use std::io;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use crate::profile::Profile;

type Connection = TokioIo<BufReader<TlsStream<TcpStream>>>;

/// Opens a channel to the node of `profile`, by the settings of `endpoint`.
pub(crate) async fn connect(
    profile: &Profile,
    endpoint: Endpoint,
) -> Result<Channel, Box<dyn std::error::Error + Send + Sync>> {
    let connector = TlsConnector::from(Arc::new(config(profile)?));
    let name = ServerName::try_from(profile.server_name.clone())?;
    let address = profile.endpoint.clone();
    let dial = service_fn(move |_| dial(connector.clone(), name.clone(), address.clone()));
    Ok(endpoint.connect_with_connector(dial).await?)
}

async fn dial(connector: TlsConnector, name: ServerName<'static>, address: String) -> io::Result<Connection> {
    let tcp = TcpStream::connect(&address).await?;
    tcp.set_nodelay(true)?;
    let mut connection = BufReader::new(connector.connect(name, tcp).await?);
    if connection.fill_buf().await?.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(TokioIo::new(connection))
}

fn config(profile: &Profile) -> Result<ClientConfig, Box<dyn std::error::Error + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    for anchor in CertificateDer::pem_slice_iter(&profile.ca) {
        roots.add(anchor?)?;
    }
    let chain = CertificateDer::pem_slice_iter(&profile.certificate).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&profile.key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}
