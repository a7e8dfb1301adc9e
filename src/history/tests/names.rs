//! Disks, interfaces and file systems by name, where names come and go.

use super::super::catalogue::Group;
use super::*;

/// A host on which interfaces come and go: each is named once, and seen twice.
#[test]
fn more_names_than_a_batch_holds_cost_no_rows() {
    let dir = tempfile::tempdir().unwrap();
    let mut life = Life::begin(dir.path(), boot(1), LIMITS);
    let mut refused = 0;
    for n in 0..60 {
        life.pass(at(n, 0), Ok(value(n)));
        for of in 0..10 {
            let name = format!("veth{}", n / 2 * 10 + of);
            refused +=
                u32::from(!life.recorder.row(at(n, 0), Group::Interface, &name, [Ok(7); 4].into_iter()));
        }
    }
    assert!(refused > 0, "the bound was not reached");
    life.flush();
    let told = asked(dir.path(), "cpu_percent", 0, 60, 1);
    assert_eq!((points(&told).len(), told.unreadable), (60, 0));
    assert_eq!(points(&asked(dir.path(), "cpu_percent", 0, 120, 120)).len(), 1);
    // In the next batch there is a place again.
    assert!(life.recorder.row(at(61, 0), Group::Interface, "veth500", [Ok(7); 4].into_iter()));
}

#[test]
fn names_that_were_not_seen_lately_are_not_listed() {
    let dir = tempfile::tempdir().unwrap();
    let mut life = Life::begin(dir.path(), boot(1), LIMITS);
    for minute in 0..10 {
        life.pass(at(minute * 60, 0), Ok(1.0));
        for of in 0..40 {
            let name = format!("veth{minute}-{of}");
            life.recorder.row(at(minute * 60, 0), Group::Interface, &name, [Ok(7); 4].into_iter());
        }
        life.recorder.row(at(minute * 60, 0), Group::Disk, &format!("vd{minute}"), [Ok(7); 4].into_iter());
    }
    life.flush();
    let list = Reader::new(dir.path()).list().unwrap();
    let subjects = |prefix: &str| {
        list.fields.iter().find(|field| field.name.starts_with(prefix)).unwrap().subjects.clone()
    };
    assert_eq!(subjects("disk_"), ["vd4", "vd5", "vd6", "vd7", "vd8", "vd9"]);
    assert_eq!(subjects("interface_").len(), 128);
}
