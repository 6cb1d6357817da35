//! The log: tracing to standard error, a line an event.
//!
//! Values come from outside. Control and bidirectional characters are escaped, so that no value
//! can forge a line or reorder what a terminal shows.

use std::io::{self, Write};

use tracing::error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{LogConfig, LogFormat};

/// Starts the log and sends panics to it. What runs already keeps its log.
pub fn init(config: &LogConfig) {
    // The configuration was checked; an odd level falls back rather than silencing the log.
    let filter = EnvFilter::try_new(&config.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(Escaped);
    let started = match config.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_ok() {
        std::panic::set_hook(Box::new(|info| {
            // Where, not what: the payload may quote patient data.
            let location = info.location().map(ToString::to_string).unwrap_or_default();
            error!(location, thread = std::thread::current().name(), "panic");
        }));
    }
}

/// Standard error behind the escaping.
struct Escaped;

impl<'a> MakeWriter<'a> for Escaped {
    type Writer = Escaped;

    fn make_writer(&'a self) -> Escaped {
        Escaped
    }
}

impl Write for Escaped {
    /// An event arrives in one call, its last byte a line feed.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let mut stderr = io::stderr().lock();
        if let Some(escaped) = escape(&text) {
            stderr.write_all(escaped.as_bytes())?;
        } else {
            stderr.write_all(text.as_bytes())?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// `None` when there is nothing to escape.
fn escape(line: &str) -> Option<String> {
    let body = line.strip_suffix('\n').unwrap_or(line);
    let forges = |c: char| {
        c.is_control()
            || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !body.contains(forges) {
        return None;
    }
    let mut escaped = String::with_capacity(line.len() + 16);
    for c in body.chars() {
        if forges(c) {
            // Valid inside a JSON string too.
            escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    escaped.push('\n');
    Some(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_forges_a_line_is_escaped() {
        assert_eq!(escape("INFO 名前 path=/iti18\n"), None);
        assert_eq!(escape("a\nERROR b\u{202e}\u{1b}[2J\n").unwrap(), "a\\u000aERROR b\\u202e\\u001b[2J\n");
    }
}
