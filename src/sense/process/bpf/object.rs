//! The compiled programs: from the object file that clang wrote to what the kernel takes.
//!
//! Reads as much of ELF and of BTF's extension (`Documentation/bpf/btf.rst`) as the files in `bpf/` need, and puts the
//! kernel's numbers in. The relocations of fields are passed on: the kernel itself knows its types, so they need not be
//! read here. Must not call the kernel.

use std::ffi::CStr;

/// What `scripts/bpf-object` made of `bpf/processes.bpf.c`.
pub(super) const OBJECT: &[u8] = include_bytes!("../../../../bpf/processes.bpf.o");

/// And of `bpf/endings.bpf.c`.
pub(super) const ENDINGS: &[u8] = include_bytes!("../../../../bpf/endings.bpf.o");

/// The functions of the kernel that the programs call, in the order of their stand-ins (`KERNEL_FUNCTION` in the C file).
pub(super) const KERNEL_FUNCTIONS: [&str; 7] = [
    "bpf_rcu_read_lock",
    "bpf_rcu_read_unlock",
    "bpf_iter_task_new",
    "bpf_iter_task_next",
    "bpf_iter_task_destroy",
    "bpf_task_acquire",
    "bpf_task_release",
];

/// First number of the stand-ins; the kernel's helpers have numbers of three digits.
const STAND_IN: u32 = 9_000_000;

/// `BPF_JMP | BPF_CALL`: its source says whose function, its immediate which.
const CALL: u8 = 0x85;
const CALL_KERNEL_FUNCTION: u8 = 2;
/// `BPF_LD | BPF_IMM | BPF_DW`: takes two instructions; its source says what the number is.
const LOAD_64: u8 = 0x18;
const NUMBER_IS_MAP: u8 = 1;
/// The relocation of such a load to a symbol.
const RELOCATE_64: u32 = 1;
const INSTRUCTION: usize = 8;

const NO_OBJECT: &str = "the object with the programs is damaged";

/// Records of one size, as the kernel takes them.
#[derive(Clone, Debug)]
pub(super) struct Relocations {
    pub(super) bytes: Vec<u8>,
    pub(super) record_size: u32,
}

/// One program, ready to be loaded.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) code: Vec<u64>,
    /// Which type the function has.
    pub(super) functions: Relocations,
    /// Which instruction speaks of which field.
    pub(super) relocations: Relocations,
}

/// The object file, looked into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object<'a> {
    file: &'a [u8],
}

/// One section of the file.
#[derive(Clone, Copy)]
struct Section<'a> {
    name: &'a [u8],
    kind: u32,
    /// Of relocations: the section that they are for.
    about: usize,
    bytes: &'a [u8],
}

const SECTION_RELOCATIONS: u32 = 9;

fn slice(bytes: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(length)?)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(slice(bytes, at, 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(slice(bytes, at, 4)?.try_into().ok()?))
}

fn size_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32_at(bytes, at)?).ok()
}

/// An address or a size of 64 bits.
fn long_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(slice(bytes, at, 8)?.try_into().ok()?)).ok()
}

fn text_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    bytes.get(at..)?.split(|byte| *byte == 0).next()
}

impl<'a> Object<'a> {
    /// Of these bytes: 64 bits, little-endian, relocatable, for BPF.
    pub(super) fn new(file: &'a [u8]) -> Result<Self, &'static str> {
        let good = file.starts_with(b"\x7fELF\x02\x01") && u16_at(file, 18) == Some(247);
        if good { Ok(Self { file }) } else { Err(NO_OBJECT) }
    }

    fn section_at(&self, number: usize) -> Option<Section<'a>> {
        let (table, size) = (long_at(self.file, 40)?, usize::from(u16_at(self.file, 58)?));
        let header = |number: usize| slice(self.file, table.checked_add(number.checked_mul(size)?)?, size);
        let body = |header| slice(self.file, long_at(header, 24)?, long_at(header, 32)?);
        if number >= usize::from(u16_at(self.file, 60)?) {
            return None;
        }
        let names = body(header(usize::from(u16_at(self.file, 62)?))?)?;
        let header = header(number)?;
        Some(Section {
            name: text_at(names, size_at(header, 0)?)?,
            kind: u32_at(header, 4)?,
            about: size_at(header, 44)?,
            bytes: body(header)?,
        })
    }

    fn sections(&self) -> impl Iterator<Item = (usize, Section<'a>)> {
        let object = *self;
        (0..).map_while(move |number| Some((number, object.section_at(number)?)))
    }

    fn named(&self, name: &str) -> Option<(usize, Section<'a>)> {
        self.sections().find(|(_, section)| section.name == name.as_bytes())
    }

    /// The types that its programs know (`.BTF`).
    pub(super) fn types(&self) -> Result<&'a [u8], &'static str> {
        self.named(".BTF").map(|(_, section)| section.bytes).ok_or(NO_OBJECT)
    }

    /// The licence that its programs are under.
    pub(super) fn licence(&self) -> Result<&'a CStr, &'static str> {
        let section = self.named("license").ok_or(NO_OBJECT)?.1;
        CStr::from_bytes_until_nul(section.bytes).map_err(|_| NO_OBJECT)
    }

    /// The program of this section. `functions` are the kernel's numbers of [`KERNEL_FUNCTIONS`]; `map` is the
    /// descriptor that takes the place of the array.
    pub(super) fn program(
        &self,
        section: &str,
        functions: &[u32],
        map: Option<u32>,
    ) -> Result<Program, &'static str> {
        self.assemble(section, functions, map).ok_or(NO_OBJECT)
    }

    fn assemble(&self, name: &str, functions: &[u32], map: Option<u32>) -> Option<Program> {
        let (number, section) = self.named(name)?;
        let mut code = section.bytes.to_vec();
        for instruction in code.chunks_exact_mut(INSTRUCTION) {
            let immediate = u32_at(instruction, 4)?;
            if instruction[0] == CALL && immediate >= STAND_IN {
                let function = functions.get(usize::try_from(immediate - STAND_IN).ok()?)?;
                instruction[1] = (instruction[1] & 0x0f) | (CALL_KERNEL_FUNCTION << 4);
                instruction[4..].copy_from_slice(&function.to_le_bytes());
            }
        }
        let relocations = self
            .sections()
            .filter(|(_, it)| it.kind == SECTION_RELOCATIONS && it.about == number)
            .flat_map(|(_, it)| it.bytes.chunks_exact(16));
        for relocation in relocations {
            // The only symbol that a load speaks of is the array.
            if u32_at(relocation, 8)? != RELOCATE_64 {
                return None;
            }
            let load = code.get_mut(long_at(relocation, 0)?..)?.get_mut(..INSTRUCTION)?;
            if load[0] != LOAD_64 {
                return None;
            }
            load[1] = (load[1] & 0x0f) | (NUMBER_IS_MAP << 4);
            load[4..].copy_from_slice(&map?.to_le_bytes());
        }
        let (mut functions, relocations) = (self.extension(8, name)?, self.extension(24, name)?);
        // Here the kernel counts instructions, not bytes.
        let record = usize::try_from(functions.record_size).ok()?;
        for record in functions.bytes.chunks_exact_mut(record) {
            let bytes = u32_at(record, 0)?;
            record[..4].copy_from_slice(&(bytes / 8).to_le_bytes());
        }
        let code = code
            .chunks_exact(INSTRUCTION)
            .map(|instruction| Some(u64::from_le_bytes(instruction.try_into().ok()?)))
            .collect::<Option<_>>()?;
        Some(Program { code, functions, relocations })
    }

    /// One kind of records that `.BTF.ext` has of a section: `at` is where its header tells their place.
    fn extension(&self, at: usize, section: &str) -> Option<Relocations> {
        let bytes = self.named(".BTF.ext")?.1.bytes;
        let types = self.named(".BTF")?.1.bytes;
        let strings = types.get(size_at(types, 4)?.checked_add(size_at(types, 16)?)?..)?;
        let body = bytes.get(size_at(bytes, 4)?..)?;
        let mut rest = slice(body, size_at(bytes, at)?, size_at(bytes, at + 4)?)?;
        let record_size = u32_at(rest, 0).filter(|size| *size >= 8)?;
        rest = rest.get(4..)?;
        while !rest.is_empty() {
            let length = size_at(rest, 4)?.checked_mul(usize::try_from(record_size).ok()?)?;
            let records = slice(rest, 8, length)?;
            if text_at(strings, size_at(rest, 0)?)? == section.as_bytes() {
                return Some(Relocations { bytes: records.to_vec(), record_size });
            }
            rest = rest.get(8 + length..)?;
        }
        None
    }
}
