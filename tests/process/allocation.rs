//! A pass that meets as many processes as the one before allocates nothing: not to read, not to join.

#[path = "../support/counting.rs"]
mod counting;

use std::hint::black_box;
use std::path::Path;

use counting::COUNT;
use prunella::model::Reading;
use prunella::sense::process::{ProcfsWay, Table, Way};

use super::{PROC, at, sleeping};

/// Rows that a first pass makes room for beside those it meets, for what others start meanwhile.
const SPARE: usize = 512;
const PASSES: u64 = 50;

#[test]
fn no_pass_allocates() {
    // The counter counts.
    let before = COUNT.get();
    let _vector = black_box(vec![0_u8; 9]);
    assert_eq!(COUNT.get(), before + 1);
    let child = sleeping();
    let (mut way, mut table) = (ProcfsWay::new(Path::new(PROC)), Table::default());
    let mut rows = Vec::new();
    // Two generations, and the room to grow by what runs beside this test.
    for seconds in 1..=3 {
        rows.reserve(SPARE);
        let Reading::Value(coverage) = way.read(&mut rows) else { panic!("no pass") };
        table.take(&mut rows, at(seconds), coverage);
        let _counts = black_box(table.counts());
    }
    let before = COUNT.get();
    for pass in 0..PASSES {
        let Reading::Value(coverage) = way.read(&mut rows) else { panic!("no pass") };
        table.take(&mut rows, at(4 + pass), coverage);
    }
    assert_eq!(COUNT.get(), before, "{} processes", table.len());
    assert!(table.get(child.pid()).is_some());
}
