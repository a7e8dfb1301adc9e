//! Temperature of the processors, and the memory's own count of its errors, where the kernel shows them.
#![expect(clippy::disallowed_methods, reason = "lists the kernel's folders of sensors")]

use std::path::{Path, PathBuf};

use crate::model::{Absence, MemoryErrors, Reading};
use crate::sense::Malformed;
use crate::sense::procfs::{read_bounded, single};
use crate::sense::scan::{one, signed};

use super::kept::{Kept, Scratch, Trouble};

/// Most of a kind: a large machine has a dozen.
const SENSORS_MAX: usize = 64;
/// A name is a word.
const NAME_MAX: usize = 64;
/// Thousandths of a degree. A sensor that is switched off shows zero, or less than there can be.
const SENSIBLE: std::ops::Range<i64> = 1..150_000;

/// The files of the sensors that were found.
#[derive(Debug, Default)]
pub(super) struct Sensors {
    temperatures: Vec<Kept>,
    /// Corrected and uncorrected of each memory controller.
    memory: Vec<(Kept, Kept)>,
}

impl Sensors {
    /// Looks for them below `/sys`.
    pub(super) fn find(sys: &Path) -> Self {
        let zones = folders(&sys.join("class/thermal"), "thermal_zone");
        let zones = zones.into_iter().filter(|zone| is_processor(zone, "type")).map(|it| it.join("temp"));
        // Chips that a processor reads in itself. Others sit on slow buses, or are a disk that has to be asked.
        let chips = folders(&sys.join("class/hwmon"), "hwmon");
        let chips = chips.into_iter().filter(|chip| is_processor(chip, "name"));
        let chips = chips.flat_map(|chip| folders(&chip, "temp")).filter(|path| ends_with(path, "_input"));
        let controllers = folders(&sys.join("devices/system/edac/mc"), "mc");
        let controllers =
            controllers.iter().map(|mc| (Kept::new(mc.join("ce_count")), Kept::new(mc.join("ue_count"))));
        Self {
            temperatures: zones.chain(chips).take(SENSORS_MAX).map(Kept::new).collect(),
            memory: controllers.take(SENSORS_MAX).collect(),
        }
    }

    /// The hottest, degrees Celsius.
    pub(super) fn temperature(&mut self, scratch: &mut Scratch) -> Reading<f64> {
        let (mut hottest, mut why) = (None, Reading::Absent(Absence::Unsupported));
        for sensor in &mut self.temperatures {
            match sensor.take(scratch, thousandths) {
                Ok(read) if SENSIBLE.contains(&read) => hottest = hottest.max(Some(read)),
                Ok(_) => {}
                Err(trouble) => why = trouble.told(sensor.path()),
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "six digits")]
        hottest.map_or(why, |hottest| Reading::Value(hottest as f64 / 1000.0))
    }

    /// All controllers together.
    pub(super) fn memory_errors(&mut self, scratch: &mut Scratch) -> Reading<MemoryErrors> {
        if self.memory.is_empty() {
            return Reading::Absent(Absence::Unsupported);
        }
        let mut sum = MemoryErrors { corrected: 0, uncorrected: 0 };
        for (corrected, uncorrected) in &mut self.memory {
            let files = [(corrected, &mut sum.corrected), (uncorrected, &mut sum.uncorrected)];
            for (file, sum) in files {
                match file.take(scratch, single) {
                    Ok(count) => *sum = sum.saturating_add(count),
                    // A count without one of its parts would look better than it is.
                    Err(Trouble::Missing) => {
                        return Reading::Failed(format!("{} is gone", file.path().display()));
                    }
                    Err(trouble) => return trouble.told(file.path()),
                }
            }
        }
        Reading::Value(sum)
    }
}

fn thousandths(bytes: &[u8]) -> Result<i64, Malformed> {
    one("a temperature", bytes, |line| signed(line.trim_ascii()))
}

/// What is in a folder and begins so, in the order of the names; nothing where there is no such folder.
fn folders(folder: &Path, begins: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(begins.as_bytes()));
    let mut found: Vec<PathBuf> = named.take(SENSORS_MAX).map(|entry| entry.path()).collect();
    found.sort();
    found
}

fn ends_with(path: &Path, end: &str) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(end.as_bytes())
}

/// Whether a sensor's own word for itself is one of a processor's.
fn is_processor(sensor: &Path, file: &str) -> bool {
    let Ok(name) = read_bounded(&sensor.join(file), NAME_MAX) else { return false };
    let name = name.trim_ascii().to_ascii_lowercase();
    let has = |word: &[u8]| name.windows(word.len()).any(|part| part == word);
    matches!(name.as_slice(), b"coretemp" | b"k10temp" | b"zenpower" | b"x86_pkg_temp")
        || has(b"cpu")
        || has(b"soc")
}
