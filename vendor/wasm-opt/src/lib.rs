//! The part of the `wasm-opt` crate that `substrate-wasm-builder` calls, without binaryen.
//!
//! The builder runs two passes over a finished blob: strip DWARF and lower sign extension. A release blob
//! for `wasm32v1-none` has neither, so all that is left to do is to drop the custom sections that carry debug
//! information. Everything else is copied byte for byte. See README.md.

use std::{fmt, fs, io, path::Path};

/// The passes that the builder names. Both are no-ops beyond what [`OptimizationOptions::run`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    StripDwarf,
    SignextLowering,
}

/// What the builder sets before it runs; kept for its API, since nothing here depends on it.
#[derive(Clone, Debug, Default)]
pub struct OptimizationOptions {
    passes: Vec<Pass>,
}

/// Why a blob could not be processed.
#[derive(Debug)]
pub enum OptimizationError {
    /// The input could not be read or the output not written.
    Io(io::Error),
    /// The input is not a WebAssembly module of version 1, or is cut short at this byte.
    Malformed { at: usize },
}

impl fmt::Display for OptimizationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(e) => write!(f, "{e}"),
            Self::Malformed { at } => write!(f, "not a well-formed WebAssembly module at byte {at}"),
        }
    }
}

impl std::error::Error for OptimizationError {}

impl From<io::Error> for OptimizationError {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

impl OptimizationOptions {
    pub fn new_opt_level_0() -> Self {
        Self::default()
    }

    pub fn mvp_features_only(&mut self) -> &mut Self {
        self
    }

    pub fn debug_info(&mut self, _: bool) -> &mut Self {
        self
    }

    pub fn add_pass(&mut self, pass: Pass) -> &mut Self {
        self.passes.push(pass);
        self
    }

    /// Copies the module at `input` to `output` (they may be the same file) without its debug sections.
    pub fn run(
        &self,
        input: impl AsRef<Path>,
        output: impl AsRef<Path>,
    ) -> Result<(), OptimizationError> {
        let stripped = strip_debug_sections(&fs::read(input)?)?;
        fs::write(output, stripped)?;
        Ok(())
    }
}

/// A module without its `.debug_*` and `name` custom sections; other custom sections (the runtime's
/// version and API list) stay.
pub fn strip_debug_sections(module: &[u8]) -> Result<Vec<u8>, OptimizationError> {
    const HEADER: &[u8] = b"\0asm\x01\0\0\0";
    if !module.starts_with(HEADER) {
        return Err(OptimizationError::Malformed { at: 0 });
    }
    let mut out = Vec::with_capacity(module.len());
    out.extend_from_slice(HEADER);
    let mut at = HEADER.len();
    while at < module.len() {
        let start = at;
        let id = module[at];
        let (size, body) = leb128(module, at + 1)?;
        let end = body.checked_add(size).filter(|end| *end <= module.len());
        let end = end.ok_or(OptimizationError::Malformed { at: start })?;
        if !(id == 0 && is_debug(module, body, end)?) {
            out.extend_from_slice(&module[start..end]);
        }
        at = end;
    }
    Ok(out)
}

fn is_debug(module: &[u8], body: usize, end: usize) -> Result<bool, OptimizationError> {
    let (length, name) = leb128(module, body)?;
    let stop = name.checked_add(length).filter(|stop| *stop <= end);
    let name = &module[name..stop.ok_or(OptimizationError::Malformed { at: body })?];
    Ok(name == b"name" || name.starts_with(b".debug_"))
}

/// An unsigned 32-bit LEB128 at `at`: its value and the byte after it.
fn leb128(module: &[u8], mut at: usize) -> Result<(usize, usize), OptimizationError> {
    let mut value = 0u64;
    for shift in (0..35).step_by(7) {
        let byte = *module.get(at).ok_or(OptimizationError::Malformed { at })?;
        value |= u64::from(byte & 0x7f) << shift;
        at += 1;
        if byte & 0x80 == 0 {
            return Ok((value as usize, at));
        }
    }
    Err(OptimizationError::Malformed { at })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"\0asm\x01\0\0\0";

    fn section(id: u8, body: &[u8]) -> Vec<u8> {
        [&[id, body.len() as u8], body].concat()
    }

    fn custom(name: &str, content: &[u8]) -> Vec<u8> {
        section(0, &[&[name.len() as u8], name.as_bytes(), content].concat())
    }

    #[test]
    fn debug_sections_go_and_everything_else_stays() {
        let kept = [custom("runtime_version", b"v1"), section(1, b"types"), section(10, b"code")];
        let module = [
            HEADER,
            &kept[0],
            &custom(".debug_info", b"dwarf"),
            &kept[1],
            &custom("name", b"functions"),
            &kept[2],
        ]
        .concat();
        let expected = [HEADER, &kept.concat()].concat();
        assert_eq!(strip_debug_sections(&module).unwrap(), expected);
        assert_eq!(strip_debug_sections(&expected).unwrap(), expected);
    }

    #[test]
    fn a_truncated_or_foreign_file_is_refused() {
        assert!(strip_debug_sections(b"MZ").is_err());
        let module = [HEADER, &custom("name", b"functions")].concat();
        for cut in HEADER.len() + 1..module.len() {
            assert!(strip_debug_sections(&module[..cut]).is_err(), "cut at {cut}");
        }
    }
}
