//! From what was measured to source.
//!
//! A pallet's `weights.rs` has two parts. The first is written by hand: the trait `WeightInfo`, and what mocks use. The second
//! begins with [`MARK`] and is written here: `SubstrateWeight`, one function for each of the trait's that has no body, out of the
//! benchmark of the same name. If the function takes as many numbers as the benchmark has components, it is base and slopes. If it
//! takes none and the benchmark has one, it is the weight of one item among many: the slope, if the benchmark begins at no items
//! (what no items cost is another function's); else what the greatest number took, divided by it. A function that returns a `Part`
//! instead of a `Weight` has time and keys told apart.

use anyhow::{bail, ensure, Context, Result};
use std::{collections::BTreeMap, fmt, fmt::Write as _, path::Path};

/// Where the written part begins.
const MARK: &str = "// Measured: `make weights` writes everything below this line.";

/// Picoseconds to a multiple of which weights are rounded up: no measurement is finer.
const PRECISION: u64 = 10_000;

/// A base and a slope for each component.
pub struct Line {
    pub base: u64,
    pub slopes: Vec<u64>,
}

/// What one run took.
#[derive(Clone, Copy)]
pub struct Cost {
    /// Picoseconds.
    pub time: u64,
    /// Keys read.
    pub reads: u64,
    /// Keys written.
    pub writes: u64,
}

impl Cost {
    fn shared_by(self, many: u64) -> Self {
        let many = many.max(1);
        Self {
            time: self.time.div_ceil(many),
            reads: self.reads.div_ceil(many),
            writes: self.writes.div_ceil(many),
        }
    }
}

/// What a benchmark took.
pub struct Measured {
    /// Picoseconds.
    pub time: Line,
    /// Keys read.
    pub reads: Line,
    /// Keys written.
    pub writes: Line,
    /// Names, least and greatest values.
    pub components: Vec<(String, u32, u32)>,
    /// What the greatest values took.
    pub worst: Cost,
    /// How often it was run.
    pub runs: usize,
}

impl Measured {
    /// Makes the line no less than the greatest values took: not everything is a line, and a weight must not be too low where it is
    /// most.
    pub fn cover_worst(mut self) -> Self {
        let (worst, line) = (
            u128::from(self.worst.time),
            u128::from(self.predicted().max(1)),
        );
        if worst > line {
            let raise =
                |n: &mut u64| *n = u64::try_from(u128::from(*n) * worst / line).unwrap_or(u64::MAX);
            raise(&mut self.time.base);
            self.time.slopes.iter_mut().for_each(raise);
        }
        self
    }

    /// Picoseconds that the line gives for the greatest values.
    fn predicted(&self) -> u64 {
        let slopes = self.time.slopes.iter().zip(&self.components);
        slopes.fold(self.time.base, |sum, (slope, (_, _, high))| {
            sum + slope * u64::from(*high)
        })
    }
}

fn micros(picos: u64) -> String {
    let micros = picos as f64 / 1e6;
    if micros < 100.0 {
        format!("{micros:.2}")
    } else {
        format!("{micros:.0}")
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (time, reads, writes) = (&self.time, &self.reads, &self.writes);
        write!(
            f,
            "{:>10} {:>7} {:>7}",
            micros(time.base),
            reads.base,
            writes.base
        )?;
        for (at, (name, low, high)) in self.components.iter().enumerate() {
            let of = |line: &Line| line.slopes.get(at).copied().unwrap_or(0);
            write!(
                f,
                "  {name} ({low}..{high}): {} µs, {} reads, {} writes",
                micros(of(time)),
                of(reads),
                of(writes)
            )?;
        }
        let predicted = self.predicted().max(1);
        write!(
            f,
            "  [{} runs; greatest {:.2} of the line]",
            self.runs,
            self.worst.time as f64 / predicted as f64
        )
    }
}

/// The machine that this runs on.
pub fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("an unknown processor", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{model}, {cores} cores")
}

/// A function of the trait without a body.
struct Asked {
    name: String,
    arguments: Vec<String>,
    /// It returns a `Part`.
    parted: bool,
}

/// The functions of `WeightInfo` that have to be written.
fn asked(source: &str) -> Result<Vec<Asked>> {
    let (_, rest) = source
        .split_once("pub trait WeightInfo {")
        .context("no trait `WeightInfo`")?;
    let (body, _) = rest.split_once("\n}").context("the trait does not end")?;
    let lines = body
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("fn ") && line.ends_with(';'));
    lines
        .map(|line| {
            let (name, rest) = line[3..]
                .split_once('(')
                .context("a function without arguments")?;
            let (arguments, _) = rest.split_once(')').context("arguments that do not end")?;
            let names = arguments
                .split(',')
                .filter_map(|a| Some(a.split_once(':')?.0.trim().to_string()));
            Ok(Asked {
                name: name.to_string(),
                arguments: names.collect(),
                parted: line.ends_with("-> Part;"),
            })
        })
        .collect()
}

/// A number as source has it.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push('_');
        }
        out.push(digit);
    }
    out
}

fn database(reads: u64, writes: u64) -> Option<String> {
    match (reads, writes) {
        (0, 0) => None,
        (reads, 0) => Some(format!("T::DbWeight::get().reads({reads})")),
        (0, writes) => Some(format!("T::DbWeight::get().writes({writes})")),
        _ => Some(format!(
            "T::DbWeight::get().reads_writes({reads}, {writes})"
        )),
    }
}

/// One function of the implementation.
fn function(asked: &Asked, measured: &Measured) -> Result<String> {
    let Measured {
        time,
        reads,
        writes,
        components,
        ..
    } = measured;
    let slope = |line: &Line, at: usize| line.slopes.get(at).copied().unwrap_or(0);
    let is_one_of_many = asked.arguments.is_empty() && components.len() == 1;
    ensure!(
        is_one_of_many || asked.arguments.len() == components.len(),
        "`{}` takes {} numbers and its benchmark has {} components",
        asked.name,
        asked.arguments.len(),
        components.len()
    );
    ensure!(
        is_one_of_many || !asked.parted,
        "`{}` is a part, and its benchmark not one of many",
        asked.name
    );
    let mut parts = String::new();
    let mut terms = Vec::new();
    let mut said = Vec::new();
    let mut term = |picos: u64, reads: u64, writes: u64, of: Option<&str>| {
        let times = of.map_or(String::new(), |n| format!(".saturating_mul({n}.into())"));
        if picos > 0 || (of.is_none() && terms.is_empty()) {
            let picos = grouped(picos.next_multiple_of(PRECISION));
            terms.push(format!("Weight::from_parts({picos}, 0){times}"));
        }
        terms.extend(database(reads, writes).map(|db| format!("{db}{times}")));
        let per = of.map_or(String::new(), |n| format!(" for each of `{n}`"));
        let keys = format!("{reads} keys read, {writes} written");
        said.push(format!("{} µs, {keys}{per}", micros(picos)));
    };
    if is_one_of_many {
        let Cost {
            time: picos,
            reads: read,
            writes: written,
        } = match components.first() {
            Some((_, 0, _)) | None => Cost {
                time: slope(time, 0),
                reads: slope(reads, 0),
                writes: slope(writes, 0),
            },
            Some((_, _, most)) => measured.worst.shared_by(u64::from(*most)),
        };
        let time = grouped(picos.next_multiple_of(PRECISION));
        parts = format!("Part {{ time: {time}, reads: {read}, writes: {written} }}");
        term(picos, read, written, None);
    } else {
        term(time.base, reads.base, writes.base, None);
        for (at, name) in asked.arguments.iter().enumerate() {
            term(
                slope(time, at),
                slope(reads, at),
                slope(writes, at),
                Some(name),
            );
        }
    }

    let mut out = String::new();
    let arguments: Vec<_> = asked
        .arguments
        .iter()
        .map(|n| format!("{n}: u32"))
        .collect();
    let among = components.first().filter(|_| is_one_of_many);
    let among = among.map_or(String::new(), |(_, _, high)| format!(", one among {high}"));
    writeln!(out, "    /// {}{among}.", said.join("; "))?;
    if asked.parted {
        writeln!(
            out,
            "    fn {}() -> Part {{\n        {parts}\n    }}",
            asked.name
        )?;
        return Ok(out);
    }
    writeln!(
        out,
        "    fn {}({}) -> Weight {{",
        asked.name,
        arguments.join(", ")
    )?;
    let mut terms = terms.into_iter();
    write!(
        out,
        "        {}",
        terms.next().unwrap_or("Weight::zero()".into())
    )?;
    for term in terms {
        write!(out, "\n            .saturating_add({term})")?;
    }
    writeln!(out, "\n    }}")?;
    Ok(out)
}

/// Writes a pallet's weights into its source.
pub fn pallet(root: &Path, name: &str, measured: &BTreeMap<String, Measured>) -> Result<()> {
    let folder = match name.strip_prefix("pallet_") {
        Some("price_oracle") => "oracle".to_string(),
        Some(name) => name.replace('_', "-"),
        None => bail!("`{name}` is none of ours"),
    };
    let path = root.join("pallets").join(folder).join("src/weights.rs");
    let source = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let (by_hand, _) = source.split_once(MARK).with_context(|| {
        format!(
            "{} does not say where the measured part begins",
            path.display()
        )
    })?;
    let mut out = format!("{by_hand}{MARK}\n\n");
    writeln!(out, "/// As measured on {}.", machine())?;
    writeln!(out, "pub struct SubstrateWeight<T>(PhantomData<T>);\n")?;
    writeln!(
        out,
        "impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {{"
    )?;
    for asked in asked(by_hand)? {
        let found = measured
            .get(&asked.name)
            .with_context(|| format!("{name} has no benchmark `{}`", asked.name))?;
        out.push_str(&function(&asked, found)?);
    }
    out.push_str("}\n");
    std::fs::write(&path, out)?;
    format(&path)
}

/// Writes a file of constants of the runtime.
pub fn constants(root: &Path, name: &str, text: &str) -> Result<()> {
    let path = root.join("runtime/src/weights").join(name);
    std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    format(&path)
}

fn format(path: &Path) -> Result<()> {
    let done = std::process::Command::new("rustfmt")
        .args(["--edition", "2021"])
        .arg(path)
        .status()?;
    ensure!(done.success(), "rustfmt refused {}", path.display());
    println!("wrote {}", path.display());
    Ok(())
}
