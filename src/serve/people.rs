//! A peer's name and groups, from the system's user database.
//!
//! The database may be far away (LDAP) and may hang: it is asked on threads of its own, few of them, with a
//! deadline; what can't be found out in time is a refusal. Must not be asked on the loop's threads.

#![expect(
    clippy::disallowed_methods,
    reason = "answers are believed for a while by the monotonic clock; a static program asks the host's"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use thiserror::Error;
use tokio::sync::{Semaphore, watch};

use super::limits::{LOOKUP_TIMEOUT, LOOKUPS_MAX, PEOPLE_MAX, PERSON_LIFETIME};
use super::printable::printable;

/// Of the C library, and of coreutils: on every host that has more users than its own files name.
const GETENT: &str = "/usr/bin/getent";
const ID: &str = "/usr/bin/id";
/// Longest user name that is kept, characters.
const NAME_CHARS_MAX: usize = 64;

/// A user of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Printable; the uid where there is no name.
    pub name: String,
    /// Names of the primary and the supplementary groups.
    pub groups: BTreeSet<String>,
}

/// Where people are looked up. May block.
pub trait Directory: Send + Sync {
    /// The user; one without an entry has no groups.
    fn lookup(&self, uid: u32) -> Person;
}

/// `getpwuid_r(3)`, `getgrouplist(3)`: what nsswitch.conf(5) says.
#[derive(Clone, Copy, Debug)]
pub struct SystemDirectory;

impl Directory for SystemDirectory {
    fn lookup(&self, uid: u32) -> Person {
        // A static program reads /etc/passwd and /etc/group and knows nothing of nsswitch.conf(5): users of SSSD or
        // LDAP would be nobody. The host's own programs know; where there are none (a container from nothing), files
        // are all there is.
        if cfg!(target_env = "musl")
            && let Some(person) = told_by_the_host(uid)
        {
            return person;
        }
        let Some(user) = uzers::get_user_by_uid(uid) else {
            return Person { name: uid.to_string(), groups: BTreeSet::new() };
        };
        let groups = uzers::get_user_groups(user.name(), user.primary_group_id()).unwrap_or_default();
        Person {
            name: printable(&user.name().to_string_lossy(), NAME_CHARS_MAX),
            groups: groups.iter().filter_map(|group| group.name().to_str().map(str::to_owned)).collect(),
        }
    }
}

/// As getent(1) and id(1) of the host say; nothing where they can't be run or do not know the user.
fn told_by_the_host(uid: u32) -> Option<Person> {
    let entry = told(GETENT, &["passwd", &uid.to_string()])?;
    let entry = String::from_utf8(entry).ok()?;
    let mut fields = entry.lines().next()?.split(':');
    let (name, number) = (fields.next()?, fields.nth(1)?);
    // A user may be called by a number that is not his.
    if number.parse() != Ok(uid) || name.is_empty() || name.starts_with('-') {
        return None;
    }
    // By zero bytes: names of groups may hold blanks, and half of one may be the name of another.
    let groups = told(ID, &["--groups", "--name", "--zero", name])?;
    let groups = groups.split(|byte| *byte == 0).filter(|group| !group.is_empty());
    Some(Person {
        name: printable(name, NAME_CHARS_MAX),
        groups: groups.filter_map(|group| std::str::from_utf8(group).ok().map(str::to_owned)).collect(),
    })
}

/// What a program of the host prints when it succeeds. By its full name: no search in folders that others may write to.
/// It may hang as the user database does; the caller's deadline is the same for both.
fn told(program: &str, words: &[&str]) -> Option<Vec<u8>> {
    let done = Command::new(program).args(words).env_clear().stdin(Stdio::null()).output().ok()?;
    done.status.success().then_some(done.stdout)
}

/// Why a user's groups are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Unknown {
    #[error("the user database did not answer within {LOOKUP_TIMEOUT:?}")]
    TooSlow,
    #[error("{LOOKUPS_MAX} earlier questions to the user database have no answer yet")]
    AllHang,
    #[error("the lookup failed")]
    Failed,
}

enum Entry {
    Known { person: Arc<Person>, until: Instant },
    Asking(watch::Receiver<Option<Arc<Person>>>),
}

/// The people asked about lately.
#[derive(Clone)]
pub(super) struct People {
    directory: Arc<dyn Directory>,
    entries: Arc<Mutex<BTreeMap<u32, Entry>>>,
    slots: Arc<Semaphore>,
}

impl fmt::Debug for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("People").field("slots", &self.slots).finish_non_exhaustive()
    }
}

impl People {
    pub(super) fn new(directory: Arc<dyn Directory>) -> Self {
        Self { directory, entries: Arc::default(), slots: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<u32, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The user, when it was looked up a moment ago.
    pub(super) fn known(&self, uid: u32) -> Option<Arc<Person>> {
        match self.entries().get(&uid) {
            Some(Entry::Known { person, until }) if *until > Instant::now() => Some(Arc::clone(person)),
            Some(Entry::Known { .. } | Entry::Asking(_)) | None => None,
        }
    }

    /// The user; within [`LOOKUP_TIMEOUT`].
    pub(super) async fn find(&self, uid: u32) -> Result<Arc<Person>, Unknown> {
        if let Some(person) = self.known(uid) {
            return Ok(person);
        }
        let mut answer = self.ask(uid)?;
        let wait = answer.wait_for(Option::is_some);
        match tokio::time::timeout(LOOKUP_TIMEOUT, wait).await {
            Ok(Ok(person)) => person.clone().ok_or(Unknown::Failed),
            Ok(Err(_)) => Err(Unknown::Failed),
            Err(_) => Err(Unknown::TooSlow),
        }
    }

    /// Joins the question that is under way, or begins one.
    fn ask(&self, uid: u32) -> Result<watch::Receiver<Option<Arc<Person>>>, Unknown> {
        let mut entries = self.entries();
        if let Some(Entry::Asking(answer)) = entries.get(&uid) {
            // A channel without a sender is a thread that died before it could answer.
            if answer.has_changed().is_ok() || answer.borrow().is_some() {
                return Ok(answer.clone());
            }
        }
        let slot = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| Unknown::AllHang)?;
        if entries.len() >= PEOPLE_MAX {
            let now = Instant::now();
            entries.retain(|_, entry| match entry {
                Entry::Known { until, .. } => *until > now,
                Entry::Asking(_) => true,
            });
        }
        let (tell, answer) = watch::channel(None);
        let people = self.clone();
        let thread = std::thread::Builder::new().name("people".into()).spawn(move || {
            let person = Arc::new(people.directory.lookup(uid));
            let mut entries = people.entries();
            entries.remove(&uid);
            if entries.len() < PEOPLE_MAX {
                let until = Instant::now() + PERSON_LIFETIME;
                entries.insert(uid, Entry::Known { person: Arc::clone(&person), until });
            }
            drop(entries);
            // Whoever hears the answer may ask the next question at once.
            drop(slot);
            let _ = tell.send(Some(person));
        });
        thread.map_err(|_| Unknown::Failed)?;
        entries.insert(uid, Entry::Asking(answer.clone()));
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    /// Answers for users below 100 at once, and for others when the test ends.
    struct Stuck {
        asked: AtomicUsize,
        release: Mutex<mpsc::Receiver<()>>,
    }

    impl Directory for Stuck {
        fn lookup(&self, uid: u32) -> Person {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if uid >= 100 {
                let _ = self.release.lock().unwrap_or_else(PoisonError::into_inner).recv();
            }
            Person { name: format!("user{uid}"), groups: BTreeSet::new() }
        }
    }

    #[tokio::test]
    async fn a_stuck_directory_refuses_in_time_and_takes_few_threads() {
        let (release, wait) = mpsc::channel();
        let directory = Arc::new(Stuck { asked: AtomicUsize::new(0), release: Mutex::new(wait) });
        let people = People::new(Arc::clone(&directory) as Arc<dyn Directory>);
        // On a busy machine the thread may begin later than anybody waits.
        while people.find(7).await.is_err() {}
        assert_eq!(people.find(7).await.unwrap().name, "user7");
        assert_eq!(directory.asked.load(Ordering::SeqCst), 1, "the second answer is the first one, kept");
        let uids = (0..LOOKUPS_MAX + 2).map(|n| 100 + u32::try_from(n).unwrap());
        let again = uids.clone().take(1);
        let answers = futures_util::future::join_all(uids.chain(again).map(|uid| people.find(uid))).await;
        let mut expected = vec![Err(Unknown::TooSlow); LOOKUPS_MAX];
        expected.extend([Err(Unknown::AllHang), Err(Unknown::AllHang), Err(Unknown::TooSlow)]);
        assert_eq!(answers, expected);
        drop(release);
    }

    #[test]
    fn root_is_in_the_database() {
        let root = SystemDirectory.lookup(0);
        assert_eq!(root.name, "root");
        assert!(root.groups.contains("root"));
        let nobody = SystemDirectory.lookup(3_999_999_999);
        assert_eq!(nobody, Person { name: "3999999999".into(), groups: BTreeSet::new() });
    }

    #[test]
    fn the_hosts_programs_say_the_same_as_its_c_library() {
        assert_eq!(told_by_the_host(0), Some(SystemDirectory.lookup(0)));
        assert_eq!(told_by_the_host(1), Some(SystemDirectory.lookup(1)));
        assert_eq!(told_by_the_host(3_999_999_999), None);
        assert_eq!(told("/nonexistent/id", &[]), None);
    }
}
