//! What an operator tried and was refused before it became a use case is in the audit log too, whichever method it
//! was: written down by one layer around all services, before the refusal is answered.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use eads_service::{Call, Node, ServiceError};
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

use crate::error::{CODE, status};

/// The call that a request became, for the layer to see.
#[derive(Clone, Debug, Default)]
pub(super) struct Admitted(Arc<OnceLock<(Call, &'static str)>>);

impl Admitted {
    /// The caller may call `method`.
    pub(super) fn set(&self, call: &Call, method: &'static str) {
        // A request becomes one call.
        let _ = self.0.set((call.clone(), method));
    }
}

/// A service whose refusals are written down.
#[derive(Clone)]
pub(super) struct Recorded<S> {
    inner: S,
    node: Arc<Node>,
}

impl<S> Recorded<S> {
    pub(super) const fn new(inner: S, node: Arc<Node>) -> Self {
        Self { inner, node }
    }
}

impl<S: NamedService> NamedService for Recorded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Recorded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let admitted = Admitted::default();
        request.extensions_mut().insert(admitted.clone());
        let (answering, node) = (self.inner.call(request), self.node.clone());
        Box::pin(async move {
            let response = answering.await?;
            let Some((call, method)) = admitted.0.get().filter(|(call, _)| !call.is_written()) else {
                return Ok(response);
            };
            // What was answered well is written down by its use case, at the latest with its first item.
            let Some(refusal) = Status::from_header_map(response.headers()) else { return Ok(response) };
            let code = refusal.metadata().get(CODE).and_then(|code| code.to_str().ok()).unwrap_or("REQUEST_REFUSED");
            match node.refused_as(call, method, code).await {
                Ok(()) => Ok(response),
                Err(error) => Ok(unwritten(&error)),
            }
        })
    }
}

fn unwritten(error: &ServiceError) -> Response<Body> {
    status(error).into_http()
}
