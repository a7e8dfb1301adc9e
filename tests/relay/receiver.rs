//! A receiver of OTLP that does what it is told to, right or wrong. Plain threads and bytes: nothing of it is the relay's.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;
use prunella::ledger::{ChainId, Place, RecordHash};
use prunella::model::Seq;

/// What to do with a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    Take,
    /// Takes it, and looks at nothing: as fast as a receiver can be.
    Null,
    /// Accepts, reads, and never answers.
    Silence,
    /// Closes at once, before anything was read.
    Refuse,
    Status(u16),
    /// 429, and when to come back.
    Later(u64),
    /// Takes it, and breaks off in the middle of the answer.
    TakeAndCut,
    /// Takes it, and says what no receiver says.
    Garbage,
    /// 200 and a page for people, as a portal does.
    Portal,
    /// An answer of so many bytes without an end.
    Endless,
    /// Takes it, and answers a byte at a time.
    Dribble,
    /// 413 for more records than so many.
    AtMost(usize),
    /// 400 for any request with this record in it.
    Not(u64),
}

/// A log record as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) uid: String,
    pub(crate) chain: String,
    pub(crate) place: Place,
    pub(crate) previous: RecordHash,
    pub(crate) text: String,
}

/// What happened so far.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) act: Option<Act>,
    pub(crate) arrived: Vec<Arrived>,
    pub(crate) requests: usize,
    /// Body and header of everything that was no OTLP.
    pub(crate) posts: Vec<(String, String, Vec<u8>)>,
}

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    pub(crate) book: Arc<Mutex<Book>>,
    open: Arc<AtomicBool>,
}

impl Receiver {
    pub(crate) fn start(act: Act) -> Self {
        Self::start_with(act, |stream| Some(Box::new(stream) as Box<dyn Stream>))
    }

    /// With something between the wire and the words, such as TLS.
    pub(crate) fn start_with(
        act: Act,
        wrap: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let book = Arc::new(Mutex::new(Book { act: Some(act), ..Book::default() }));
        let open = Arc::new(AtomicBool::new(true));
        let (shared, alive, wrap) = (Arc::clone(&book), Arc::clone(&open), Arc::new(wrap));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if !alive.load(Ordering::SeqCst) {
                    return;
                }
                let (book, wrap) = (Arc::clone(&shared), Arc::clone(&wrap));
                let stream = stream.unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                std::thread::spawn(move || {
                    if let Some(mut stream) = wrap(stream) {
                        while serve(&mut *stream, &book).is_some() {}
                    }
                });
            }
        });
        Self { address, book, open }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn act(&self, act: Act) {
        self.book.lock().unwrap().act = Some(act);
    }

    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.book.lock().unwrap().arrived.clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.book.lock().unwrap().arrived.len()
    }

    pub(crate) fn requests(&self) -> usize {
        self.book.lock().unwrap().requests
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.open.store(false, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

pub(crate) trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// One request; `None` when the connection is over.
fn serve(stream: &mut dyn Stream, book: &Mutex<Book>) -> Option<()> {
    let act = || book.lock().unwrap().act.clone().unwrap();
    if act() == Act::Refuse {
        return None;
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let act = act();
    let path = head.split(' ').nth(1)?.to_owned();
    let mut records = Vec::new();
    if path == "/v1/logs" && act != Act::Null {
        records = decode(&body);
    }
    // What is no record of the ledger is let through: heartbeats, traces, metrics.
    let telemetry = path.starts_with("/v1/") && records.is_empty() && path != "/v1/logs"
        || path == "/v1/logs" && records.is_empty() && body.len() > 60;
    let act = if telemetry { Act::Take } else { act };
    let mut locked = book.lock().unwrap();
    locked.requests += usize::from(!telemetry);
    let take = match &act {
        Act::Take | Act::TakeAndCut | Act::Garbage | Act::Dribble => true,
        Act::AtMost(most) => records.len() <= *most,
        Act::Not(bad) => !records.iter().any(|record| record.place.seq.0 == *bad),
        Act::Null
        | Act::Silence
        | Act::Refuse
        | Act::Status(_)
        | Act::Later(_)
        | Act::Portal
        | Act::Endless => false,
    };
    if take {
        locked.arrived.extend(records);
        if !path.starts_with("/v1/") {
            locked.posts.push((path, head, body));
        }
    }
    drop(locked);
    reply(stream, &act, take)
}

fn reply(stream: &mut dyn Stream, act: &Act, take: bool) -> Option<()> {
    let mut say = |bytes: &[u8]| stream.write_all(bytes).and_then(|()| stream.flush()).ok();
    let good = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let status =
        |code: u16, more: &str| format!("HTTP/1.1 {code} Whatever\r\n{more}content-length: 2\r\n\r\nno");
    match act {
        Act::Take | Act::Null => say(good),
        Act::AtMost(_) if take => say(good),
        Act::AtMost(_) => say(status(413, "").as_bytes()),
        Act::Not(_) if take => say(good),
        Act::Not(_) => say(status(400, "").as_bytes()),
        Act::Status(code) => say(status(*code, "").as_bytes()),
        Act::Later(seconds) => say(status(429, &format!("retry-after: {seconds}\r\n")).as_bytes()),
        Act::TakeAndCut => {
            say(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhal");
            None
        }
        Act::Garbage => {
            say(b"\x16\x03\x01SSH-2.0-OpenSSH_9.2\r\n\r\n\0\0");
            None
        }
        Act::Portal => say(b"HTTP/1.1 200 OK\r\ncontent-length: 26\r\n\r\n<html>Please log in</html>"),
        Act::Endless => {
            say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
            let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
            for _ in 0..1000 {
                say(chunk.as_bytes())?;
            }
            None
        }
        Act::Dribble => {
            for byte in good.iter().cycle() {
                say(&[*byte])?;
                std::thread::sleep(Duration::from_millis(300));
            }
            None
        }
        Act::Silence => {
            std::thread::sleep(Duration::from_secs(20));
            None
        }
        Act::Refuse => None,
    }
}

fn find(attributes: &[KeyValue], key: &str) -> Option<Value> {
    attributes.iter().find(|pair| pair.key == key)?.value.clone()?.value
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    if let Value::StringValue(text) = find(attributes, key)? { Some(text) } else { None }
}

/// The ledger's records in a request; heartbeats have no uid.
fn decode(body: &[u8]) -> Vec<Arrived> {
    let mut plain = Vec::new();
    GzDecoder::new(body).read_to_end(&mut plain).unwrap();
    let request = ExportLogsServiceRequest::decode(plain.as_slice()).unwrap();
    let records = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
    let records = records.flat_map(|scope| &scope.log_records);
    let arrived = |record: &opentelemetry_proto::tonic::logs::v1::LogRecord| {
        let of = &record.attributes;
        let Some(Value::IntValue(seq)) = find(of, "prunella.record.seq") else { return None };
        let hash = |key| RecordHash::parse(&text(of, key)?);
        let Some(Value::StringValue(body)) = record.body.clone()?.value else { return None };
        Some(Arrived {
            uid: text(of, "log.record.uid")?,
            chain: text(of, "prunella.chain.id")?,
            place: Place { seq: Seq(seq.cast_unsigned()), hash: hash("prunella.record.hash")? },
            previous: hash("prunella.record.previous_hash")?,
            text: body,
        })
    };
    records.filter_map(arrived).collect()
}

/// Proves, from what arrived alone, that every record of the chain is there: repeats are dropped by their id, and from the
/// last record on each names the hash of the one before it, down to the beginning. Says how many repeats there were.
pub(crate) fn prove(arrived: &[Arrived], chain: ChainId, head: Place) -> usize {
    let arrived: Vec<&Arrived> = arrived.iter().filter(|record| record.chain == chain.to_string()).collect();
    let mut unique: BTreeMap<&str, &Arrived> = BTreeMap::new();
    let mut by_hash: BTreeMap<RecordHash, &Arrived> = BTreeMap::new();
    for record in &arrived {
        by_hash.insert(record.place.hash, record);
        if let Some(seen) = unique.insert(&record.uid, record) {
            assert_eq!((seen.place, &seen.text), (record.place, &record.text), "one id, one record");
        }
    }
    let mut place = head;
    while place != Place::start_of(chain) {
        let record =
            by_hash.get(&place.hash).unwrap_or_else(|| panic!("record {} did not arrive", place.seq));
        let before = Place { seq: Seq(place.seq.0 - 1), hash: record.previous };
        assert_eq!(before.then(record.text.as_bytes()), place, "the proof of {}", place.seq);
        place = before;
    }
    arrived.len() - unique.len()
}
