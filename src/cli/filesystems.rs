//! `prunella filesystems`, and `prunella explain` of one that has no incident.

use comfy_table::CellAlignment;

use crate::model::{
    Bytes, FilesystemStatus, FilesystemView, Filling, MountPoint, Outlook, Percent, Reading, Resort,
    RoomAnswer,
};
use crate::serve::Filesystems;

use super::listing::table;
use super::page::{Page, Terminal, Tone, ago, lasting, safe};

/// Every file system.
pub(super) fn page(filesystems: &Filesystems, terminal: Terminal) -> String {
    let mut page = Page::new(terminal);
    if let Some(why) = &filesystems.filesystems_lost {
        page.labelled(Tone::Bad, "IMPAIRED", &format!("nothing is known of file systems: {}", safe(why)));
        return page.finish();
    }
    let mut table =
        table(&page, &["MOUNTED ON", "TYPE", "SIZE", "FREE", "USED", "INODES", "FULL IN", "STATE"]);
    for column in 2..=6 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for FilesystemView { status, outlook, .. } in &filesystems.filesystems {
        let [size, free, used, inodes] = room(status);
        let point = safe(status.mount_point.as_str());
        let full_in = match outlook {
            Outlook::TooEarly | Outlook::Steady => "-".to_owned(),
            Outlook::Filling(filling) => lasting(filling.full_in),
            Outlook::Full(_) => "full".to_owned(),
        };
        let kind = safe(&status.fs_type);
        table.add_row([point, kind, size, free, used, inodes, full_in, state(status, filesystems)]);
    }
    page.block(&table.to_string());
    page.blank();
    page.line(Tone::Faint, &format!("As the agent knew it {}.", ago(filesystems.at, filesystems.now)));
    page.finish()
}

/// One that no incident is known of.
pub(super) fn explain(point: &MountPoint, filesystems: &Filesystems, terminal: Terminal) -> String {
    let mut page = Page::new(terminal);
    page.line(Tone::Strong, &safe(point.as_str()));
    let known = filesystems.filesystems.iter().find(|it| it.status.mount_point == *point);
    match (known, &filesystems.filesystems_lost) {
        (_, Some(why)) => page.labelled(Tone::Bad, "IMPAIRED", &safe(why)),
        (None, None) => {
            page.line(Tone::Plain, "No file system is known by this mount point.");
            page.next("prunella filesystems");
        }
        (Some(FilesystemView { status, outlook, .. }), None) => {
            let what =
                format!("{} on {} ({})", safe(&status.fs_type), safe(&status.source), status.class.as_str());
            page.labelled(Tone::Faint, "what", &what);
            let [size, free, used, inodes] = room(status);
            page.labelled(
                Tone::Faint,
                "room",
                &format!("{free} of {size} free, {used} used, inodes {inodes}"),
            );
            page.labelled(Tone::Faint, "state", &state(status, filesystems));
            page.labelled(Tone::Faint, "outlook", &prospect(outlook));
            page.labelled(Tone::Faint, "incidents", "none, open or recent");
        }
    }
    page.finish()
}

/// Where it is going, in a sentence.
fn prospect(outlook: &Outlook) -> String {
    match outlook {
        Outlook::TooEarly => "too little was seen yet to tell".into(),
        Outlook::Steady => "no end is in sight".into(),
        Outlook::Full(what) => format!("no {} left", what.as_str()),
        Outlook::Filling(Filling { what, full_in, rate, watched, steady }) => {
            let rate = match what {
                Resort::Space => format!("{}/s", Bytes(whole(*rate))),
                Resort::Inodes => format!("{rate:.1}/s"),
            };
            let (what, full_in, watched) = (what.as_str(), lasting(*full_in), lasting(*watched));
            format!(
                "no {what} left in {full_in}, at {rate}; watched for {watched}, in {:.0} % of it grown",
                steady.0
            )
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes a second, saturating")]
fn whole(rate: f64) -> u64 {
    rate as u64
}

/// Size, free, used, inodes used.
fn room(status: &FilesystemStatus) -> [String; 4] {
    let RoomAnswer::Usage(usage) = &status.room else { return ["?", "?", "?", "?"].map(str::to_owned) };
    let percent = |share: Reading<Percent>| {
        share.value().map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", share.0))
    };
    let bytes = |bytes: Bytes| usage.of_size(bytes).value().map_or_else(|| "-".to_owned(), Bytes::to_string);
    [bytes(usage.total), bytes(usage.available), percent(usage.used()), percent(usage.inodes_used())]
}

fn state(status: &FilesystemStatus, filesystems: &Filesystems) -> String {
    match &status.room {
        RoomAnswer::Hangs { since } => {
            format!("has not answered for {}", lasting(filesystems.now.boot.since(*since)))
        }
        RoomAnswer::Failed(error) => safe(error),
        RoomAnswer::Usage(_) => match &status.forced_read_only {
            Reading::Value(true) => "made read-only by the kernel: damage".into(),
            Reading::Failed(error) => format!("read-only; {}", safe(error)),
            Reading::Value(false) | Reading::Absent(_) if status.read_only => "read-only".into(),
            Reading::Value(false) | Reading::Absent(_) => "writable".into(),
        },
    }
}
