//! A picture of lines over time, as PNG (ISO/IEC 15948): panels one above the other, drawn and written here, so that nothing but
//! deflate is needed.

use anyhow::{Context, Result};
use flate2::{write::ZlibEncoder, Compression, Crc};
use std::{fs, io::Write, path::Path};

const WIDTH: usize = 1_200;
const PANEL: usize = 280;
/// Left of a panel, for its scale.
const LEFT: usize = 110;
const RIGHT: usize = 20;
/// Above a panel, for its title, and below it, for the time.
const ABOVE: usize = 36;
const BELOW: usize = 30;
/// Pixels of a letter's dot.
const DOT: usize = 2;
/// Pixels from a letter to the next.
const ADVANCE: usize = 6 * DOT;

type Colour = [u8; 3];
const WHITE: Colour = [255, 255, 255];
const INK: Colour = [40, 40, 40];
const GRID: Colour = [225, 225, 225];
/// Of a panel's lines, in their order.
const COLOURS: [Colour; 5] = [
    [31, 119, 180],
    [214, 39, 40],
    [44, 160, 44],
    [148, 103, 189],
    [255, 127, 14],
];

/// One quantity over time.
pub struct Line {
    /// What it is.
    pub name: String,
    /// Values at the picture's times; one that is not a number leaves a gap.
    pub values: Vec<f64>,
}

/// Lines with one scale.
pub struct Panel {
    /// What is drawn, with its unit.
    pub title: String,
    /// The lines.
    pub lines: Vec<Line>,
}

/// Writes panels whose lines begin and end together. `times` are labels for the points; few of them are drawn.
pub fn write(file: &Path, times: &[String], panels: &[Panel]) -> Result<()> {
    let mut canvas = Canvas::new(WIDTH, panels.len() * (ABOVE + PANEL + BELOW));
    for (number, panel) in panels.iter().enumerate() {
        draw(
            &mut canvas,
            number * (ABOVE + PANEL + BELOW) + ABOVE,
            times,
            panel,
        );
    }
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(file, canvas.png()?).with_context(|| format!("{}", file.display()))
}

/// The greatest of 1, 2 and 5 times a power of ten that leaves at least four steps in `range`.
fn step_of(range: f64) -> f64 {
    let power = 10f64.powf((range / 4.0).log10().floor());
    let fits = |times: &&f64| **times * power <= range / 4.0 * 1.000_001;
    [5.0, 2.0, 1.0].iter().find(fits).unwrap_or(&1.0) * power
}

/// A number on a scale of such steps.
fn label(value: f64, step: f64) -> String {
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    if value.abs() >= 1e6 && step >= 1e4 {
        format!("{:.2}M", value / 1e6)
    } else {
        format!("{value:.decimals$}")
    }
}

fn draw(canvas: &mut Canvas, top: usize, times: &[String], panel: &Panel) {
    let values = panel.lines.iter().flat_map(|line| &line.values);
    let finite = values.copied().filter(|value| value.is_finite());
    let (low, high) = finite.fold((f64::MAX, f64::MIN), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
    let room = ((high - low) * 0.05).max(high.abs() * 1e-3).max(1e-9);
    let (low, high) = (
        if low >= 0.0 {
            (low - room).max(0.0)
        } else {
            low - room
        },
        high + room,
    );
    let right = WIDTH - RIGHT;
    let y = |value: f64| {
        top + PANEL
            - ((value - low) / (high - low) * PANEL as f64).clamp(0.0, PANEL as f64) as usize
    };
    let points = times.len().max(2) - 1;
    let x = |at: usize| LEFT + at * (right - LEFT) / points;

    let step = step_of(high - low);
    let mut level = (low / step).ceil() * step;
    while level <= high {
        canvas.line((LEFT, y(level)), (right, y(level)), GRID);
        let text = label(level, step);
        let width = text.len() * ADVANCE;
        canvas.text(
            LEFT.saturating_sub(width + 8),
            y(level).saturating_sub(7),
            &text,
            INK,
        );
        level += step;
    }
    for at in (0..times.len()).step_by(times.len().div_ceil(8).max(1)) {
        canvas.line((x(at), top), (x(at), top + PANEL), GRID);
        canvas.text(
            x(at).min(right - 5 * ADVANCE),
            top + PANEL + 8,
            &times[at],
            INK,
        );
    }
    canvas.line((LEFT, top), (LEFT, top + PANEL), INK);
    canvas.line((LEFT, top + PANEL), (right, top + PANEL), INK);
    canvas.text(LEFT, top - 24, &panel.title, INK);
    let mut legend = LEFT + (panel.title.len() + 3) * ADVANCE;
    for (line, colour) in panel.lines.iter().zip(COLOURS.iter().cycle()) {
        canvas.text(legend, top - 24, &line.name, *colour);
        legend += (line.name.len() + 2) * ADVANCE;
        let mut last: Option<(usize, usize)> = None;
        for (at, value) in line.values.iter().enumerate() {
            let here = value.is_finite().then(|| (x(at), y(*value)));
            if let (Some(from), Some(to)) = (last, here) {
                canvas.line(from, to, *colour);
                canvas.line((from.0, from.1 + 1), (to.0, to.1 + 1), *colour);
            }
            last = here;
        }
    }
}

struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            pixels: WHITE.repeat(width * height),
        }
    }

    fn dot(&mut self, x: usize, y: usize, colour: Colour) {
        if x < self.width && y < self.height {
            let at = (y * self.width + x) * 3;
            self.pixels[at..at + 3].copy_from_slice(&colour);
        }
    }

    fn line(&mut self, from: (usize, usize), to: (usize, usize), colour: Colour) {
        let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
        let between = |a: usize, b: usize, step: usize| {
            (a as f64 + (b as f64 - a as f64) * step as f64 / steps as f64).round() as usize
        };
        for step in 0..=steps {
            self.dot(
                between(from.0, to.0, step),
                between(from.1, to.1, step),
                colour,
            );
        }
    }

    fn text(&mut self, x: usize, y: usize, text: &str, colour: Colour) {
        for (place, letter) in text.chars().enumerate() {
            for (column, bits) in glyph(letter).into_iter().enumerate() {
                for row in (0..8).filter(|row| bits >> row & 1 == 1) {
                    for (dx, dy) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                        let left = x + place * ADVANCE + column * DOT;
                        self.dot(left + dx, y + row * DOT + dy, colour);
                    }
                }
            }
        }
    }

    fn png(&self) -> Result<Vec<u8>> {
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut header = Vec::new();
        header.extend(u32::try_from(self.width)?.to_be_bytes());
        header.extend(u32::try_from(self.height)?.to_be_bytes());
        // Eight bits a sample, red, green and blue; deflate, no filters but none, not interlaced.
        header.extend([8, 2, 0, 0, 0]);
        chunk(&mut file, b"IHDR", &header)?;
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
        for row in self.pixels.chunks(self.width * 3) {
            packed.write_all(&[0])?;
            packed.write_all(row)?;
        }
        chunk(&mut file, b"IDAT", &packed.finish()?)?;
        chunk(&mut file, b"IEND", &[])?;
        Ok(file)
    }
}

fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) -> Result<()> {
    file.extend(u32::try_from(data.len())?.to_be_bytes());
    let mut sum = Crc::new();
    sum.update(kind);
    sum.update(data);
    file.extend(kind);
    file.extend(data);
    file.extend(sum.sum().to_be_bytes());
    Ok(())
}

/// Five columns of a letter, the topmost dot lowest; of small letters the capital.
fn glyph(letter: char) -> [u8; 5] {
    match letter.to_ascii_uppercase() {
        '%' => [0x23, 0x13, 0x08, 0x64, 0x62],
        '(' => [0x00, 0x1c, 0x22, 0x41, 0x00],
        ')' => [0x00, 0x41, 0x22, 0x1c, 0x00],
        '+' => [0x08, 0x08, 0x3e, 0x08, 0x08],
        ',' => [0x00, 0x50, 0x30, 0x00, 0x00],
        '-' => [0x08, 0x08, 0x08, 0x08, 0x08],
        '.' => [0x00, 0x60, 0x60, 0x00, 0x00],
        '/' => [0x20, 0x10, 0x08, 0x04, 0x02],
        ':' => [0x00, 0x36, 0x36, 0x00, 0x00],
        '_' => [0x40, 0x40, 0x40, 0x40, 0x40],
        '=' => [0x14, 0x14, 0x14, 0x14, 0x14],
        '0' => [0x3e, 0x51, 0x49, 0x45, 0x3e],
        '1' => [0x00, 0x42, 0x7f, 0x40, 0x00],
        '2' => [0x42, 0x61, 0x51, 0x49, 0x46],
        '3' => [0x21, 0x41, 0x45, 0x4b, 0x31],
        '4' => [0x18, 0x14, 0x12, 0x7f, 0x10],
        '5' => [0x27, 0x45, 0x45, 0x45, 0x39],
        '6' => [0x3c, 0x4a, 0x49, 0x49, 0x30],
        '7' => [0x01, 0x71, 0x09, 0x05, 0x03],
        '8' => [0x36, 0x49, 0x49, 0x49, 0x36],
        '9' => [0x06, 0x49, 0x49, 0x29, 0x1e],
        'A' => [0x7e, 0x11, 0x11, 0x11, 0x7e],
        'B' => [0x7f, 0x49, 0x49, 0x49, 0x36],
        'C' => [0x3e, 0x41, 0x41, 0x41, 0x22],
        'D' => [0x7f, 0x41, 0x41, 0x22, 0x1c],
        'E' => [0x7f, 0x49, 0x49, 0x49, 0x41],
        'F' => [0x7f, 0x09, 0x09, 0x01, 0x01],
        'G' => [0x3e, 0x41, 0x41, 0x51, 0x32],
        'H' => [0x7f, 0x08, 0x08, 0x08, 0x7f],
        'I' => [0x00, 0x41, 0x7f, 0x41, 0x00],
        'J' => [0x20, 0x40, 0x41, 0x3f, 0x01],
        'K' => [0x7f, 0x08, 0x14, 0x22, 0x41],
        'L' => [0x7f, 0x40, 0x40, 0x40, 0x40],
        'M' => [0x7f, 0x02, 0x04, 0x02, 0x7f],
        'N' => [0x7f, 0x04, 0x08, 0x10, 0x7f],
        'O' => [0x3e, 0x41, 0x41, 0x41, 0x3e],
        'P' => [0x7f, 0x09, 0x09, 0x09, 0x06],
        'Q' => [0x3e, 0x41, 0x51, 0x21, 0x5e],
        'R' => [0x7f, 0x09, 0x19, 0x29, 0x46],
        'S' => [0x46, 0x49, 0x49, 0x49, 0x31],
        'T' => [0x01, 0x01, 0x7f, 0x01, 0x01],
        'U' => [0x3f, 0x40, 0x40, 0x40, 0x3f],
        'V' => [0x1f, 0x20, 0x40, 0x20, 0x1f],
        'W' => [0x7f, 0x20, 0x18, 0x20, 0x7f],
        'X' => [0x63, 0x14, 0x08, 0x14, 0x63],
        'Y' => [0x03, 0x04, 0x78, 0x04, 0x03],
        'Z' => [0x61, 0x51, 0x49, 0x45, 0x43],
        _ => [0; 5],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::ZlibDecoder;
    use std::io::Read;

    #[test]
    fn scale_has_round_steps() {
        assert_eq!(step_of(10.0), 2.0);
        assert_eq!(step_of(3.9), 0.5);
        assert_eq!(step_of(40_000.0), 10_000.0);
        assert_eq!(label(2_500_000.0, 500_000.0), "2.50M");
        assert_eq!(label(0.25, 0.05), "0.25");
    }

    #[test]
    fn picture_holds_every_pixel_and_sums_its_chunks() {
        let mut canvas = Canvas::new(3, 2);
        canvas.dot(2, 1, INK);
        let png = canvas.png().unwrap();
        // The checksum of an empty end is in the standard's own examples.
        assert!(png.ends_with(&[0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82]));
        let data = png.windows(4).position(|w| w == b"IDAT").unwrap() + 4;
        let mut rows = Vec::new();
        ZlibDecoder::new(&png[data..])
            .read_to_end(&mut rows)
            .unwrap();
        assert_eq!(rows.len(), 2 * (1 + 3 * 3));
        assert_eq!(rows[rows.len() - 3..], INK);
        assert!(rows[1..10].iter().all(|sample| *sample == 255));
    }
}
