//! Any bytes as what the hook on ending tasks has written: no panic, and nothing read that its place can't hold.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use prunella::sense::storm::ending::{ENDINGS_BYTES, Endings, RING};

fuzz_target!(|bytes: &[u8]| {
    assert!(bytes.len() >= ENDINGS_BYTES || Endings::parse(bytes).is_none());
    // As the head of a whole value, for inputs are shorter than that.
    let mut value = vec![0; ENDINGS_BYTES];
    let length = bytes.len().min(ENDINGS_BYTES);
    value[..length].copy_from_slice(&bytes[..length]);
    let read = Endings::parse(&value).expect("it is whole");
    let places: BTreeSet<u64> = read.newest.iter().map(|it| it.number % RING as u64).collect();
    assert_eq!(places.len(), read.newest.len(), "one in each place");
    assert!(read.newest.iter().all(|it| it.number > 0 && it.maker >= 0));
});
