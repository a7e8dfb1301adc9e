//! Any bytes as the stored text of a record: no panic, and what can be read is written the same way twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prunella::ledger::Prepared;
use prunella::model::Entry;

fuzz_target!(|bytes: &[u8]| {
    let Ok(entry) = serde_json::from_slice::<Entry>(bytes) else { return };
    let Ok(stored) = Prepared::new(&entry) else { return };
    let again: Entry = serde_json::from_str(stored.json()).expect("what is stored can be read");
    let restored = Prepared::new(&again).expect("what was read can be stored");
    assert_eq!(stored.json(), restored.json());
});
