//! Seats for connections: how many there are for whom. Pure counting; a [`Seat`] gives itself back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::limits::{
    MEMBER_CONNECTIONS_MAX, MEMBER_CONNECTIONS_PER_UID_MAX, ROOT_CONNECTIONS_MAX, STRANGER_CONNECTIONS_MAX,
    STRANGER_CONNECTIONS_PER_UID_MAX, UNRESOLVED_CONNECTIONS_MAX, UNRESOLVED_CONNECTIONS_PER_UID_MAX,
};

/// Kinds of peers that do not compete for the same seats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Root,
    Member,
    Stranger,
    Unresolved,
}

impl Class {
    /// Seats in all, and for one uid.
    const fn seats(self) -> (usize, usize) {
        match self {
            Self::Root => (ROOT_CONNECTIONS_MAX, ROOT_CONNECTIONS_MAX),
            Self::Member => (MEMBER_CONNECTIONS_MAX, MEMBER_CONNECTIONS_PER_UID_MAX),
            Self::Stranger => (STRANGER_CONNECTIONS_MAX, STRANGER_CONNECTIONS_PER_UID_MAX),
            Self::Unresolved => (UNRESOLVED_CONNECTIONS_MAX, UNRESOLVED_CONNECTIONS_PER_UID_MAX),
        }
    }
}

/// All seats.
#[derive(Clone, Debug, Default)]
pub(super) struct Admission(Arc<Mutex<BTreeMap<(Class, u32), usize>>>);

/// Taken until dropped.
#[derive(Debug)]
pub(super) struct Seat {
    admission: Admission,
    key: (Class, u32),
}

impl Admission {
    fn taken(&self) -> MutexGuard<'_, BTreeMap<(Class, u32), usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat, or `None` when this class or this user has no more.
    pub(super) fn seat(&self, class: Class, uid: u32) -> Option<Seat> {
        let (total_max, own_max) = class.seats();
        let mut taken = self.taken();
        let total: usize = taken.range((class, 0)..=(class, u32::MAX)).map(|(_, n)| n).sum();
        let own = taken.get(&(class, uid)).copied().unwrap_or(0);
        if total >= total_max || own >= own_max {
            return None;
        }
        taken.insert((class, uid), own + 1);
        Some(Seat { admission: self.clone(), key: (class, uid) })
    }

    /// Connections that are open.
    pub(super) fn open(&self) -> usize {
        self.taken().values().sum()
    }
}

impl Seat {
    pub(super) const fn class(&self) -> Class {
        self.key.0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.admission.taken();
        match taken.get_mut(&self.key) {
            Some(n) if *n > 1 => *n -= 1,
            Some(_) | None => {
                taken.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_leaves_seats_for_others_and_strangers_leave_them_for_members() {
        let admission = Admission::default();
        let own: Vec<_> = (0..50).map_while(|_| admission.seat(Class::Member, 1000)).collect();
        assert_eq!(own.len(), MEMBER_CONNECTIONS_PER_UID_MAX);
        let strangers: Vec<_> = (2000..9000).filter_map(|uid| admission.seat(Class::Stranger, uid)).collect();
        assert_eq!(strangers.len(), STRANGER_CONNECTIONS_MAX);
        assert!(admission.seat(Class::Member, 1001).is_some());
        assert!(admission.seat(Class::Root, 0).is_some());
        assert_eq!(admission.open(), own.len() + strangers.len());
        drop(own);
        assert!(admission.seat(Class::Member, 1000).is_some());
        drop(strangers);
        assert_eq!(admission.open(), 0);
        assert!(admission.taken().is_empty(), "nothing is kept of those who left");
    }
}
