//! Every way against a reading of procfs, on the kernel at hand.

use super::*;

#[test]
fn first() {
    let probe = probe(100);
    eprintln!("{:?}", probe.refused);
    let mut table = probe.chosen.expect("a way");
    let mut rows = Vec::new();
    eprintln!("{:?} {:?}", table.way(), table.read(&mut rows));
    for row in rows.iter().take(5) { eprintln!("{row:?}"); }
    let loader = Loader::new().unwrap();
    let mut lines = load(&loader, BpfWay::Lines, 100).unwrap();
    eprintln!("{:?} {:?}", lines.way(), lines.read(&mut rows));
    for row in rows.iter().take(3) { eprintln!("{row:?}"); }
}
