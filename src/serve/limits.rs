//! Every limit of the socket, with its reason. The socket is open to every user of the host: each of these
//! keeps one peer from starving the others or the engine.

use std::time::Duration;

/// Connections of root at once: its own seats, so that nobody can lock root out.
pub const ROOT_CONNECTIONS_MAX: usize = 16;
/// Connections of readers and admins at once. With [`PAGE_BYTES_MAX`] it bounds what slow readers can hold.
pub const MEMBER_CONNECTIONS_MAX: usize = 48;
/// Connections of one reader or admin: a terminal or two, a relay, a scrape.
pub const MEMBER_CONNECTIONS_PER_UID_MAX: usize = 12;
/// Connections of users who may not read, who only get their refusal. Apart from the members', because one
/// person can own many uids (subuid(5)).
pub const STRANGER_CONNECTIONS_MAX: usize = 16;
/// Of one such user.
pub const STRANGER_CONNECTIONS_PER_UID_MAX: usize = 2;
/// Connections whose user is being looked up.
pub const UNRESOLVED_CONNECTIONS_MAX: usize = 32;
/// Of one such user.
pub const UNRESOLVED_CONNECTIONS_PER_UID_MAX: usize = 4;

/// Requests a second of one user, in the long run.
pub const REQUESTS_PER_SECOND: u32 = 50;
/// Requests that one user may save up: a script that walks all incidents.
pub const REQUESTS_BURST: u32 = 200;
/// Connections a second of one user, in the long run; each costs the loop an `accept`.
pub const CONNECTIONS_PER_SECOND: u32 = 100;
/// Connections that one user may save up.
pub const CONNECTIONS_BURST: u32 = 200;
/// Users remembered by a limiter; the one that was quiet for longest is forgotten first.
pub const THROTTLED_UIDS_MAX: usize = 512;

/// A head that takes longer to arrive, or an idle connection, is closed (slow-loris).
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A body that takes longer is refused.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of the request line and headers together; hyper answers 431 beyond.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Headers of one request.
pub const HEADERS_MAX: usize = 32;
/// The longest body: a pause with its reason takes a tenth of it.
pub const BODY_BYTES_MAX: usize = 8 * 1024;
/// The longest reason that a person may give, characters.
pub const REASON_CHARS_MAX: usize = 500;
/// The longest query string, bytes.
pub const QUERY_BYTES_MAX: usize = 512;
/// The longest rule name, bytes.
pub const RULE_NAME_BYTES_MAX: usize = 128;
/// A connection is closed in good order at this age, so that no peer keeps a seat for ever.
pub const CONNECTION_AGE_MAX: Duration = Duration::from_secs(15 * 60);
/// How long an ageing or stopping connection may take to finish what it does before it is cut: a peer that
/// does not read its answer can't hold the agent up.
pub const GRACE: Duration = Duration::from_secs(2);

/// The longest wait of a long poll. Idle connections wake nobody, so it may be long.
pub const WAIT_MAX: Duration = Duration::from_secs(60);
/// Records in one page when no limit is asked for.
pub const PAGE_RECORDS_DEFAULT: usize = 100;
/// Records in one page at most.
pub const PAGE_RECORDS_MAX: usize = 1000;
/// A page ends with the record that reaches this size. Evidence makes records of 100 KB.
pub const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Records asked of the ledger in one step: bounds memory when records are large.
pub const PAGE_STEP: usize = 32;
/// Records of one incident that are shown; the newest.
pub const INCIDENT_RECORDS_MAX: usize = 200;
/// Control groups in one answer: as many as are kept.
pub const CGROUPS_MAX: usize = 8192;
/// What fits a terminal.
pub const CGROUPS_DEFAULT: usize = 20;
/// Reads of the ledger at once: a disk that hangs must not take more threads with it.
pub const LEDGER_READERS_MAX: usize = 2;
/// Answers put together at once: on a host with thousands of units each takes milliseconds of a processor, and
/// the engine needs one too.
pub const RENDERERS_MAX: usize = 2;
/// A ledger that takes longer to read is reported as unavailable.
pub const LEDGER_TIMEOUT: Duration = Duration::from_secs(10);

/// Questions to the history at once: each holds a file of it in memory.
pub const HISTORY_READERS_MAX: usize = 1;
/// A question to the history that takes longer is reported as unanswered; its thread ends when it ends.
pub const HISTORY_TIMEOUT: Duration = Duration::from_secs(20);

/// Processes in a list when no limit is asked for: a terminal's height.
pub const PROCESSES_DEFAULT: usize = 20;
/// Processes in a list at most: three small files are read of each that is shown.
pub const PROCESSES_SHOWN_MAX: usize = 500;
/// Looks at the process table at once.
pub const PROCESS_LOOKS_MAX: usize = 2;
/// Memory maps walked at once. A process that is stuck in the kernel may hold its map for ever: whoever walks it waits
/// as long, and no other look does.
pub const SHARE_LOOKS_MAX: usize = 1;
/// A look that takes longer is reported as unavailable; its thread ends when it ends.
pub const PROCESS_TIMEOUT: Duration = Duration::from_secs(5);

/// The engine answers commands at once; longer means that it is stuck.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
/// A reload reads and compiles every policy file.
pub const RELOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a user's groups are believed: a removal from a group holds after this.
pub const PERSON_LIFETIME: Duration = Duration::from_secs(5);
/// A user whose groups take longer to find (LDAP) is refused.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);
/// Lookups at once. One that hangs keeps its thread; when all hang, nobody but root gets in.
pub const LOOKUPS_MAX: usize = 4;
/// Users whose groups are remembered.
pub const PEOPLE_MAX: usize = 512;

/// After a failed `accept` (no file descriptors left) the next is tried this much later.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
