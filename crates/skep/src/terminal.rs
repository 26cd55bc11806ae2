//! The one way to standard output and standard error. What others wrote (pods, the cluster, registries, builders) is shown, never obeyed: a
//! log line could set the terminal's title, clear its screen or fill its clipboard. Control characters are written as `cat -v` does.
//!
//! Skep's own styles are noncharacters of Unicode until they get here, so that an escape sequence in a text is always somebody else's.

use std::{
    fmt::{self, Display, Write as _},
    io::{self, IsTerminal as _, Write},
};

/// Ends all styles that were begun.
const PLAIN: char = '\u{FDD0}';

/// How a word is set off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Bold,
    Dimmed,
    Red,
    Green,
    Yellow,
    Cyan,
}

impl Style {
    const ALL: [(Self, char, &str); 6] = [
        (Self::Bold, '\u{FDD1}', "\x1b[1m"),
        (Self::Dimmed, '\u{FDD2}', "\x1b[2m"),
        (Self::Red, '\u{FDD3}', "\x1b[31m"),
        (Self::Green, '\u{FDD4}', "\x1b[32m"),
        (Self::Yellow, '\u{FDD5}', "\x1b[33m"),
        (Self::Cyan, '\u{FDD6}', "\x1b[36m"),
    ];

    fn mark(self) -> char {
        Self::ALL.iter().find(|(style, ..)| *style == self).map_or(PLAIN, |(_, mark, _)| *mark)
    }
}

/// Styles for whatever can be shown.
pub(crate) trait Paint: Display {
    fn style(&self, style: Style) -> Painted<'_, Self> {
        Painted(style, self)
    }
    fn bold(&self) -> Painted<'_, Self> {
        self.style(Style::Bold)
    }
    fn dimmed(&self) -> Painted<'_, Self> {
        self.style(Style::Dimmed)
    }
    fn red(&self) -> Painted<'_, Self> {
        self.style(Style::Red)
    }
    fn green(&self) -> Painted<'_, Self> {
        self.style(Style::Green)
    }
    fn yellow(&self) -> Painted<'_, Self> {
        self.style(Style::Yellow)
    }
}

impl<T: Display + ?Sized> Paint for T {}

/// Something with a style.
pub(crate) struct Painted<'t, T: ?Sized>(Style, &'t T);

impl<T: Display + ?Sized> Display for Painted<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char(self.0.mark())?;
        self.1.fmt(f)?;
        f.write_char(PLAIN)
    }
}

/// Prints a line to standard output, with all but Skep's own styles made visible.
macro_rules! outln {
    () => { $crate::terminal::out("") };
    ($($text:tt)*) => { $crate::terminal::out(&format!($($text)*)) };
}

/// The same to standard error.
macro_rules! errln {
    () => { $crate::terminal::err("") };
    ($($text:tt)*) => { $crate::terminal::err(&format!($($text)*)) };
}

#[expect(clippy::disallowed_macros, reason = "this is the one way to standard output")]
pub(crate) fn out(text: &str) {
    anstream::println!("{}", styled(text));
}

#[expect(clippy::disallowed_macros, reason = "this is the one way to standard error")]
pub(crate) fn err(text: &str) {
    anstream::eprintln!("{}", styled(text));
}

/// Prints a line of a program's own output: as it is, unless a terminal would obey it.
#[expect(clippy::print_stdout, reason = "a pipe gets what the program wrote, colors and all")]
pub(crate) fn program_line(prefix: &str, line: &str) {
    if io::stdout().is_terminal() {
        return out(&format!("{prefix}{line}"));
    }
    let prefix: String = prefix.chars().filter(|c| !is_style(*c)).collect();
    println!("{prefix}{line}");
}

/// Prints an object of JSON. What JSON leaves as it is (C1 and DEL) a terminal would obey: it is escaped too.
#[expect(clippy::print_stdout, reason = "no style is in it")]
pub(crate) fn json(text: &str) {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match is_obeyed(c) {
            // A string takes every write.
            true => drop(write!(line, "\\u{:04x}", u32::from(c))),
            false => line.push(c),
        }
    }
    println!("{line}");
}

/// Prints what has its colors already, such as a framed error of `miette`: they stay, and nothing else that a terminal would obey.
#[expect(clippy::disallowed_macros, reason = "this is the one way to standard error")]
pub(crate) fn colored(text: &str) {
    anstream::eprintln!("{}", with_colors(text));
}

/// Moves to the upper left corner and clears the screen.
#[expect(clippy::disallowed_macros, reason = "this is the one way to standard output")]
pub(crate) fn clear() {
    anstream::print!("\x1b[H\x1b[J");
}

/// The text with styles as a terminal wants them.
pub(crate) fn styled(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match Style::ALL.iter().find(|(_, mark, _)| *mark == c) {
            Some((.., sequence)) => shown.push_str(sequence),
            None if c == PLAIN => shown.push_str("\x1b[0m"),
            None => push_visible(&mut shown, c),
        }
    }
    shown
}

/// The text with all that a terminal would obey made visible: `^[`, `^G`, `M-^[`, `<U+202E>`. Line breaks, tabs and Skep's styles stay.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    text.chars().for_each(|c| push_visible(&mut shown, c));
    shown
}

fn with_colors(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\x1b[") {
        let after = &rest[at + 2..];
        let end = after.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(after.len());
        let is_color = after[end..].starts_with('m');
        let end = at + 2 + if is_color { end + 1 } else { 0 };
        shown.push_str(&visible(&rest[..at]));
        shown.push_str(&if is_color { rest[at..end].to_owned() } else { visible(&rest[at..end]) });
        rest = &rest[end..];
    }
    shown.push_str(&visible(rest));
    shown
}

fn push_visible(shown: &mut String, c: char) {
    let caret = |code: u32| char::from_u32(code ^ 0x40).unwrap_or(char::REPLACEMENT_CHARACTER);
    if !is_obeyed(c) || matches!(c, '\n' | '\t') {
        shown.push(c);
        return;
    }
    // A string takes every write.
    let _ = match u32::from(c) {
        code @ 0..=0x7f => write!(shown, "^{}", caret(code)),
        code @ 0x80..=0x9f => write!(shown, "M-^{}", caret(code - 0x80)),
        code => write!(shown, "<U+{code:04X}>"),
    };
}

/// Controls (C0, DEL, C1), and what turns the direction of the text around it.
fn is_obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn is_style(c: char) -> bool {
    matches!(c, PLAIN..='\u{FDD6}')
}

/// Standard error for the log, whose lines quote errors of others.
#[derive(Debug)]
pub(crate) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(visible(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_as_cat_does() {
        for (text, shown) in [
            ("\x1b]0;title\x07", "^[]0;title^G"),
            ("\x1b]52;c;aGk=\x1b\\", "^[]52;c;aGk=^[\\"),
            ("\x1b[2J\x1b[31mred", "^[[2J^[[31mred"),
            ("a\rb\x08\x7f\0", "a^Mb^H^?^@"),
            ("\u{9b}2J\u{9d}0;t\u{9c}\u{85}", "M-^[2JM-^]0;tM-^\\M-^E"),
            ("user\u{202E}txt.exe\u{2066}", "user<U+202E>txt.exe<U+2066>"),
            ("é\t✓ 漢\n", "é\t✓ 漢\n"),
        ] {
            assert_eq!(visible(text), shown);
            assert_eq!(styled(text), shown);
        }
    }

    #[test]
    fn styles_are_skeps_own_alone() {
        let line = format!("{} {}", "ok".green(), "\x1b[32mnot ok\x1b[0m");
        assert_eq!(styled(&line), "\x1b[32mok\x1b[0m ^[[32mnot ok^[[0m");
        assert_eq!(visible(&line), format!("{} ^[[32mnot ok^[[0m", "ok".green()));
        assert_eq!(styled(&"error".red().bold().to_string()), "\x1b[1m\x1b[31merror\x1b[0m\x1b[0m");
    }

    #[test]
    fn colors_of_a_frame_stay_and_nothing_else() {
        assert_eq!(
            with_colors("\x1b[31;1m×\x1b[0m \x1b[2J\x1b]0;t\x07\x1b["),
            "\x1b[31;1m×\x1b[0m ^[[2J^[]0;t^G^[["
        );
    }
}
