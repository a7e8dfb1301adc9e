//! The accept loop and one connection's life: who is it, may they, how much, then [`super::answer`].

#![expect(clippy::disallowed_methods, reason = "rates are measured by the monotonic clock")]

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::os::unix::net::UnixListener;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::SendFlags;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::model::Peer;
use crate::policy::Access;

use super::access::{Right, Standing, authorize, standing};
use super::admission::{Admission, Class, Seat};
use super::answer::{Answer, Answerer, Shared};
use super::error::{ApiError, ErrorCode};
use super::limits::{
    ACCEPT_PAUSE, BODY_BYTES_MAX, BODY_TIMEOUT, CONNECTION_AGE_MAX, CONNECTIONS_BURST,
    CONNECTIONS_PER_SECOND, GRACE, HEAD_BYTES_MAX, HEAD_TIMEOUT, HEADERS_MAX, REQUESTS_BURST,
    REQUESTS_PER_SECOND, WAIT_MAX,
};
use super::metrics::Traffic;
use super::people::{People, Person};
use super::request::{Parts, parse, too_large};
use super::throttle::Throttle;

/// Serves the socket until `shutdown`, then lets answers under way go out for [`GRACE`].
///
/// The listener is [`super::Bound::listener`]'s or the caller's own, in non-blocking mode.
///
/// # Errors
/// When the listener can't be used at all. What goes wrong with one peer stays with that peer.
pub async fn run(
    listener: UnixListener,
    shared: Shared,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    run_with(listener, shared, Timeouts { head: HEAD_TIMEOUT, body: BODY_TIMEOUT }, shutdown).await
}

/// How long a peer may take to say what it wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub(super) head: Duration,
    pub(super) body: Duration,
}

/// [`run`] with other timeouts: a test does not wait as long as a peer may.
pub(super) async fn run_with(
    listener: UnixListener,
    shared: Shared,
    timeouts: Timeouts,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let listener = tokio::net::UnixListener::from_std(listener)?;
    let (stop, stopping) = watch::channel(false);
    let server = Arc::new(Server::new(shared, timeouts, stopping));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    if let Some(guest) = server.admit(stream) {
                        connections.spawn(Arc::clone(&server).entertain(guest));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection to the socket could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    stop.send_replace(true);
    let _ = tokio::time::timeout(2 * GRACE, async { while connections.join_next().await.is_some() {} }).await;
    connections.shutdown().await;
    Ok(())
}

/// A connection that has a seat.
struct Guest {
    stream: UnixStream,
    uid: u32,
    /// 0 when it lives in another pid namespace.
    pid: i32,
    seat: Seat,
}

#[derive(Debug)]
struct Server {
    answerer: Answerer,
    people: People,
    admission: Admission,
    connects: Mutex<Throttle>,
    requests: Mutex<Throttle>,
    traffic: Traffic,
    timeouts: Timeouts,
    stopping: watch::Receiver<bool>,
    started: Instant,
}

impl Server {
    fn new(shared: Shared, timeouts: Timeouts, stopping: watch::Receiver<bool>) -> Self {
        Self {
            people: People::new(Arc::clone(&shared.directory)),
            answerer: Answerer::new(shared, stopping.clone()),
            admission: Admission::default(),
            connects: Mutex::new(Throttle::new(CONNECTIONS_PER_SECOND, CONNECTIONS_BURST)),
            requests: Mutex::new(Throttle::new(REQUESTS_PER_SECOND, REQUESTS_BURST)),
            traffic: Traffic::default(),
            timeouts,
            stopping,
            started: Instant::now(),
        }
    }

    fn take(&self, throttle: &Mutex<Throttle>, uid: u32) -> Result<(), ApiError> {
        let now = self.started.elapsed();
        throttle.lock().unwrap_or_else(PoisonError::into_inner).take(uid, now).map_err(|wait| {
            ApiError::new(ErrorCode::TooManyRequests, "Too many requests of one user in a second.")
                .retry_after(wait.as_secs() + 1)
        })
    }

    /// Decides, without waiting, whether the connection is taken at all.
    fn admit(&self, stream: UnixStream) -> Option<Guest> {
        let Ok(credentials) = stream.peer_cred() else {
            self.turn_away(&stream, None);
            return None;
        };
        let uid = credentials.uid();
        if let Err(error) = self.take(&self.connects, uid) {
            self.turn_away(&stream, Some(&error));
            return None;
        }
        let class = if uid == 0 {
            Class::Root
        } else {
            self.people.known(uid).map_or(Class::Unresolved, |person| self.class(uid, &person))
        };
        let Some(seat) = self.admission.seat(class, uid) else {
            self.turn_away(&stream, Some(&no_seat()));
            return None;
        };
        Some(Guest { stream, uid, pid: credentials.pid().unwrap_or(0), seat })
    }

    fn class(&self, uid: u32, person: &Person) -> Class {
        match standing(uid, &person.groups, &self.answerer.access()) {
            Standing::Stranger => Class::Stranger,
            Standing::Reader | Standing::Relay | Standing::Admin => Class::Member,
        }
    }

    /// Closes with a sentence if it can be said without waiting.
    fn turn_away(&self, stream: &UnixStream, error: Option<&ApiError>) {
        Traffic::count(&self.traffic.turned_away);
        if let Some(error) = error {
            let body = error.body();
            let mut text = format!(
                "HTTP/1.1 {} \r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                error.code.status(),
                body.len()
            )
            .into_bytes();
            text.extend_from_slice(&body);
            let _ = rustix::net::send(stream, &text, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        }
    }

    /// One connection from its first request to its end.
    async fn entertain(self: Arc<Self>, guest: Guest) {
        let Guest { stream, uid, pid, mut seat } = guest;
        if seat.class() == Class::Unresolved {
            let person = match self.people.find(uid).await {
                Ok(person) => person,
                Err(unknown) => {
                    tracing::warn!(uid, %unknown, "a peer was refused: its groups are not known");
                    self.turn_away(&stream, Some(&groups_unknown(&unknown.to_string())));
                    return;
                }
            };
            let class = self.class(uid, &person);
            match self.admission.seat(class, uid) {
                Some(better) => seat = better,
                None => {
                    self.turn_away(&stream, Some(&no_seat()));
                    return;
                }
            }
        }
        let mut stopping = self.stopping.clone();
        let server = &*self;
        let service =
            service_fn(
                move |request| async move { Ok::<_, Infallible>(server.respond(uid, pid, request).await) },
            );
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.timeouts.head)
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let grace = tokio::select! {
            _ = &mut connection => return,
            () = tokio::time::sleep(CONNECTION_AGE_MAX) => WAIT_MAX + GRACE,
            _ = stopping.wait_for(|stopping| *stopping) => GRACE,
        };
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(grace, connection).await;
        drop(seat);
    }

    async fn respond(&self, uid: u32, pid: i32, request: hyper::Request<Incoming>) -> Response<Full<Bytes>> {
        let result = self.consider(uid, pid, request).await;
        let status = result.as_ref().map_or_else(|error| error.code.status(), |_| 200);
        self.traffic.count_status(status);
        response(status, result)
    }

    /// Rights before rates before the body: a stranger learns nothing and costs little.
    async fn consider(
        &self,
        uid: u32,
        pid: i32,
        request: hyper::Request<Incoming>,
    ) -> Result<Answer, ApiError> {
        let access = self.answerer.access();
        let (standing, name) = self.identify(uid, &access).await?;
        authorize(standing, Right::Read, &access)?;
        self.take(&self.requests, uid)?;
        let (head, body) = request.into_parts();
        let body = collect(body, self.timeouts.body).await?;
        let request = parse(&Parts {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query(),
            content_type: head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()),
            body: &body,
        })?;
        authorize(standing, request.needs(), &access)
            .inspect_err(|_| tracing::warn!(uid, pid, ?request, "a command was not permitted"))?;
        let peer = Peer { uid, pid, name };
        self.answerer.answer(request, peer, self.admission.open(), &self.traffic).await
    }

    /// Asked for each request: a removal from a group holds on open connections as well.
    async fn identify(&self, uid: u32, access: &Access) -> Result<(Standing, String), ApiError> {
        if uid == 0 {
            // Root's right does not hang on a database.
            return Ok((Standing::Admin, "root".into()));
        }
        match self.people.find(uid).await {
            Ok(person) => Ok((standing(uid, &person.groups, access), person.name.clone())),
            Err(unknown) => Err(groups_unknown(&unknown.to_string())),
        }
    }
}

fn no_seat() -> ApiError {
    ApiError::new(ErrorCode::Busy, "Too many connections are open.")
        .hint("Close some; each user has few.")
        .retry_after(1)
}

fn groups_unknown(why: &str) -> ApiError {
    ApiError::new(ErrorCode::Unavailable, format!("Your groups can't be found out: {why}."))
        .hint("root is let in without.")
        .retry_after(5)
}

/// The whole body, within its size and time.
async fn collect(body: Incoming, within: Duration) -> Result<Bytes, ApiError> {
    match tokio::time::timeout(within, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(ApiError::new(ErrorCode::BadRequest, "The body broke off.")),
        Err(_) => Err(ApiError::new(ErrorCode::TooSlow, format!("The body took over {within:?}."))),
    }
}

fn response(status: u16, result: Result<Answer, ApiError>) -> Response<Full<Bytes>> {
    let answer = match &result {
        Ok(_) => None,
        Err(error) => Some(error.clone()),
    };
    let (content_type, body) = match result {
        Ok(answer) => (answer.content_type, answer.body),
        Err(error) => ("application/json", error.body()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(error) = answer {
        if let Some(allow) = error.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(seconds) = error.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // Its seat is worth more than its next request; a body that was not read can't be skipped.
        if matches!(error.code, ErrorCode::NotPermitted | ErrorCode::TooLarge | ErrorCode::TooSlow) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
    response
}
