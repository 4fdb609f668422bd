//! HTTP/2 over one accepted TLS stream: explicit bounds, an identity on each request, an end at any moment.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tower::ServiceExt as _;

use super::limits::Limits;
use super::transport::{Counted, Moved};

/// Length of the connection preface (RFC 9113 §3.4).
const PREFACE_BYTES: u64 = 24;

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The client closed it, or the line broke, or keepalive found it dead.
    Closed,
    /// [`super::ConnectionRegistry::cut`], or the end of the drain at shutdown.
    Cut,
    /// The client never began to speak HTTP/2.
    Silent,
}

/// Serves `routes` until the client leaves, `cut` is cancelled (at once, streams included) or, after `shutdown`,
/// requests in flight are done or have had their time. Each request carries `identity`, and how much has moved on the
/// connection, as extensions.
pub(super) async fn serve<S, I>(
    tls: S,
    routes: Routes,
    (identity, moved): (I, Moved),
    limits: &Limits,
    cut: &CancellationToken,
    shutdown: &CancellationToken,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
    I: Clone + Send + Sync + 'static,
{
    // Handlers are tasks of their own: they end with this function, however it ends.
    let handlers = cut.child_token();
    let _end_of_handlers = handlers.clone().drop_guard();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(identity.clone());
        request.extensions_mut().insert(moved.clone());
        routes.clone().oneshot(request)
    });
    let (stream, read) = Counted::new(tls);
    let mut connection = std::pin::pin!(builder(limits, handlers).serve_connection(TokioIo::new(stream), service));
    let mut silence = std::pin::pin!(sleep_until(Instant::now() + limits.handshake_timeout));
    let mut spoke = false;
    let mut draining = None;
    loop {
        let drained = async {
            match draining {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = cut.cancelled() => return Ended::Cut,
            () = drained => return Ended::Cut,
            () = &mut silence, if !spoke => {
                spoke = read.load(Ordering::Relaxed) >= PREFACE_BYTES;
                if !spoke {
                    return Ended::Silent;
                }
            }
            () = shutdown.cancelled(), if draining.is_none() => {
                draining = Some(Instant::now() + limits.drain_timeout);
                connection.as_mut().graceful_shutdown();
            }
            _ = connection.as_mut() => return Ended::Closed,
        }
    }
}

fn builder(limits: &Limits, handlers: CancellationToken) -> Builder<HandlerExecutor> {
    let mut builder = Builder::new(HandlerExecutor(Arc::new(handlers)));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams_per_connection)
        .max_header_list_size(limits.max_header_list_bytes)
        .max_frame_size(limits.max_frame_bytes)
        .initial_stream_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_send_buf_size(limits.send_buffer_bytes)
        .keep_alive_interval(limits.keepalive_interval)
        .keep_alive_timeout(limits.keepalive_timeout);
    builder
}

/// Runs a connection's handlers until they are done or the connection is over.
#[derive(Clone, Debug)]
struct HandlerExecutor(Arc<CancellationToken>);

impl<F> Executor<F> for HandlerExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, handler: F) {
        let over = Arc::clone(&self.0);
        tokio::spawn(async move { over.run_until_cancelled(handler).await.is_some() });
    }
}
