//! What of an ELF file decides where it runs and what it needs: a few headers, read where they lie (System V ABI, chapters 4, 5).

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use skep_model::Platform;

/// What a file is.
#[derive(Debug)]
pub(crate) enum Format {
    Elf(Elf),
    /// A program of another system.
    Foreign(&'static str),
    /// Something else: a script, text, data.
    Other,
}

/// An ELF program or library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Elf {
    /// `EM_*` and whether it is 64 bits wide and little-endian.
    pub(crate) machine: Machine,
    fixed: bool,
    /// The dynamic linker.
    pub(crate) interpreter: Option<PathBuf>,
    pub(crate) needed: Vec<String>,
    pub(crate) rpath: Vec<String>,
    pub(crate) runpath: Vec<String>,
}

/// A kind of processor, in ELF's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Machine {
    number: u16,
    wide: bool,
    little: bool,
}

/// OCI's names for ELF's machines.
const MACHINES: [(&str, u16, bool, bool); 8] = [
    ("amd64", 62, true, true),
    ("arm64", 183, true, true),
    ("386", 3, false, true),
    ("arm", 40, false, true),
    ("riscv64", 243, true, true),
    ("ppc64le", 21, true, true),
    ("s390x", 22, true, false),
    ("loong64", 258, true, true),
];

const FIXED: u16 = 2;
const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const INTERPRETER: u32 = 3;
/// No sane file has more of these; a damaged one must not make us read for ever.
const MOST: u64 = 16 << 20;

impl Elf {
    pub(crate) fn runs_on(&self, platform: &Platform) -> bool {
        platform.os == "linux" && self.machine.name() == Some(platform.architecture.as_str())
    }

    /// True for what is started rather than loaded.
    pub(crate) fn is_program(&self) -> bool {
        self.fixed || self.interpreter.is_some()
    }

    pub(crate) fn machine_name(&self) -> String {
        match self.machine.name() {
            Some(name) => format!("an ELF file for {name}"),
            None => format!("an ELF file for machine {}", self.machine.number),
        }
    }
}

impl Machine {
    fn name(self) -> Option<&'static str> {
        let same = |&&(_, number, wide, little): &&(&str, u16, bool, bool)| {
            (number, wide, little) == (self.number, self.wide, self.little)
        };
        MACHINES.iter().find(same).map(|(name, ..)| *name)
    }
}

/// Looks at a file's first bytes, and further if it is ELF.
pub(crate) fn read(path: &Path) -> io::Result<Format> {
    let file = File::open(path)?;
    let mut head = [0; 64];
    let got = file.read_at(&mut head, 0)?;
    Ok(match &head[..got] {
        [0x7f, b'E', b'L', b'F', class @ (1 | 2), order @ (1 | 2), ..] if got >= 52 => {
            let reader = Reader { file: &file, wide: *class == 2, little: *order == 1 };
            Format::Elf(reader.elf(&head)?)
        }
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 1..=9, ..] => {
            Format::Foreign("a Mach-O file (macOS)")
        }
        [b'M', b'Z', ..] => Format::Foreign("a PE file (Windows)"),
        _ => Format::Other,
    })
}

/// Reads numbers as wide and in the order that the file has them.
struct Reader<'a> {
    file: &'a File,
    wide: bool,
    little: bool,
}

struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    size: u64,
}

impl Reader<'_> {
    fn elf(&self, head: &[u8]) -> io::Result<Elf> {
        let (table, entry, count) = if self.wide {
            (self.number(head, 32, 8), self.number(head, 54, 2), self.number(head, 56, 2))
        } else {
            (self.number(head, 28, 4), self.number(head, 42, 2), self.number(head, 44, 2))
        };
        let segments = self.segments(table, entry, count)?;
        let interpreter = match segments.iter().find(|segment| segment.kind == INTERPRETER) {
            Some(segment) => Some(text(&self.bytes(segment.offset, segment.size)?, 0).into()),
            None => None,
        };
        let mut elf = Elf {
            machine: Machine {
                number: u16::try_from(self.number(head, 18, 2)).unwrap_or(0),
                wide: self.wide,
                little: self.little,
            },
            fixed: self.number(head, 16, 2) == u64::from(FIXED),
            interpreter,
            needed: Vec::new(),
            rpath: Vec::new(),
            runpath: Vec::new(),
        };
        if let Some(segment) = segments.iter().find(|segment| segment.kind == DYNAMIC) {
            self.dynamic(&mut elf, segment, &segments)?;
        }
        Ok(elf)
    }

    fn segments(&self, table: u64, entry: u64, count: u64) -> io::Result<Vec<Segment>> {
        let least = if self.wide { 40 } else { 20 };
        if count == 0 || entry < least {
            return Ok(Vec::new());
        }
        let bytes = self.bytes(table, entry * count)?;
        let size = usize::try_from(entry).map_err(io::Error::other)?;
        Ok(bytes
            .chunks_exact(size)
            .map(|entry| Segment {
                kind: u32::try_from(self.number(entry, 0, 4)).unwrap_or(0),
                offset: if self.wide { self.number(entry, 8, 8) } else { self.number(entry, 4, 4) },
                address: if self.wide { self.number(entry, 16, 8) } else { self.number(entry, 8, 4) },
                size: if self.wide { self.number(entry, 32, 8) } else { self.number(entry, 16, 4) },
            })
            .collect())
    }

    fn dynamic(&self, elf: &mut Elf, segment: &Segment, segments: &[Segment]) -> io::Result<()> {
        let bytes = self.bytes(segment.offset, segment.size)?;
        let word = if self.wide { 8 } else { 4 };
        let entries: Vec<(u64, u64)> = bytes
            .chunks_exact(2 * word)
            .map(|pair| (self.number(pair, 0, word), self.number(pair, word, word)))
            .take_while(|(tag, _)| *tag != 0)
            .collect();
        let value = |wanted: u64| entries.iter().find(|(tag, _)| *tag == wanted).map(|(_, value)| *value);
        // DT_STRTAB and DT_STRSZ.
        let (Some(address), Some(size)) = (value(5), value(10)) else {
            return Ok(());
        };
        let holds = |segment: &&Segment| {
            segment.kind == LOAD
                && (segment.address..segment.address.saturating_add(segment.size)).contains(&address)
        };
        let Some(load) = segments.iter().find(holds) else {
            return Ok(());
        };
        let strings = self.bytes(load.offset + (address - load.address), size)?;
        for (tag, at) in &entries {
            let found = || text(&strings, usize::try_from(*at).unwrap_or(usize::MAX));
            let paths = || found().split(':').filter(|path| !path.is_empty()).map(str::to_owned).collect();
            match tag {
                1 => elf.needed.push(found()),
                15 => elf.rpath = paths(),
                29 => elf.runpath = paths(),
                _ => {}
            }
        }
        Ok(())
    }

    fn bytes(&self, offset: u64, size: u64) -> io::Result<Vec<u8>> {
        if size > MOST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a damaged ELF header"));
        }
        let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// The unsigned number of `len` bytes at `at`; 0 past the end.
    fn number(&self, bytes: &[u8], at: usize, len: usize) -> u64 {
        let field = bytes.get(at..at + len).unwrap_or_default();
        let add = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
        if self.little { field.iter().rev().fold(0, add) } else { field.iter().fold(0, add) }
    }
}

/// The text from `at` up to the next zero byte.
fn text(bytes: &[u8], at: usize) -> String {
    let rest = bytes.get(at..).unwrap_or_default();
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    String::from_utf8_lossy(&rest[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_a_program_of_this_machine() {
        let path = std::env::current_exe().expect("a program");
        let Format::Elf(elf) = read(&path).expect("readable") else {
            panic!("{} is no ELF file", path.display());
        };
        assert!(elf.runs_on(&Platform::host()) && elf.is_program());
        assert!(elf.needed.iter().any(|name| name.starts_with("libc.so")), "{:?}", elf.needed);
        assert!(elf.interpreter.is_some_and(|path| path.exists()));
    }

    #[test]
    fn damage_is_an_error_and_text_is_text() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = dir.path().join("file");
        std::fs::write(&at, "#!/bin/sh\n").expect("written");
        assert!(matches!(read(&at), Ok(Format::Other)));
        let mut head = vec![0_u8; 64];
        head[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        head[32] = 64;
        head[54] = 56;
        head[56] = 200;
        std::fs::write(&at, head).expect("written");
        assert!(read(&at).is_err());
    }
}
