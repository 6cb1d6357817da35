//! One place per setting: `section!` takes a struct whose fields carry documentation and default,
//! and yields the struct, its `Default`, its TOML reading, and the rows the example is printed
//! from.

use std::fmt::Write;

/// One key of a section.
pub struct Field {
    pub key: &'static str,
    /// Lines of documentation as written above the field.
    pub doc: &'static [&'static str],
    pub shown: Shown,
}

/// How the example shows a key.
#[derive(Clone, Copy)]
pub enum Shown {
    /// `key = <default>`
    Default,
    /// `key = <this TOML text>`: the default is empty and has to be replaced.
    Example(&'static str),
    /// `# key = <this TOML text>`: the key may stay absent.
    Commented(&'static str),
    /// A table of its own, printed after the section.
    Table,
}

/// What `section!` implements.
pub trait Section: Default + serde::Serialize {
    const ABOUT: &'static [&'static str];
    const FIELDS: &'static [Field];
}

/// Declares a configuration section.
///
/// ```text
/// section! {
///     /// What the section is for.
///     pub struct LogConfig {
///         /// What the key does.
///         level: String = "info".into(),
///         /// One that may be absent.
///         file: Option<PathBuf> = None; commented "\"/var/log/x\"",
///     }
/// }
/// ```
///
/// A section that holds a secret begins with `private:` and writes its own `Debug`.
macro_rules! section {
    ( private: $($rest:tt)* ) => {
        $crate::config::section::section! { [Clone] $($rest)* }
    };
    ( $(#[doc = $about:literal])* pub struct $($rest:tt)* ) => {
        $crate::config::section::section! { [Debug, Clone] $(#[doc = $about])* pub struct $($rest)* }
    };
    (
        [$($derive:ident),*]
        $(#[doc = $about:literal])*
        pub struct $Name:ident {
            $(
                $(#[doc = $doc:literal])*
                $field:ident : $ty:ty = $default:expr $(; $how:ident $($text:literal)?)?
            ),* $(,)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive($($derive,)* PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $Name {
            $( $(#[doc = $doc])* pub $field: $ty, )*
        }

        impl Default for $Name {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl $crate::config::section::Section for $Name {
            const ABOUT: &'static [&'static str] = &[$($about),*];
            const FIELDS: &'static [$crate::config::section::Field] = &[
                $($crate::config::section::Field {
                    key: stringify!($field),
                    doc: &[$($doc),*],
                    shown: $crate::config::section::shown!($($how $($text)?)?),
                }),*
            ];
        }
    };
}

macro_rules! shown {
    () => {
        $crate::config::section::Shown::Default
    };
    (example $text:literal) => {
        $crate::config::section::Shown::Example($text)
    };
    (commented $text:literal) => {
        $crate::config::section::Shown::Commented($text)
    };
    (table) => {
        $crate::config::section::Shown::Table
    };
}

pub(crate) use {section, shown};

/// Prints a section with its documentation under `header` (`[log]`, `[[listener]]`).
pub fn print<S: Section>(out: &mut String, header: &str) {
    comment(out, S::ABOUT, "# ");
    let _ = writeln!(out, "{header}");
    let defaults = toml::Table::try_from(S::default()).unwrap_or_default();
    for field in S::FIELDS {
        let line = match field.shown {
            Shown::Table => continue,
            Shown::Example(text) => format!("{} = {text}", field.key),
            Shown::Commented(text) => format!("# {} = {text}", field.key),
            Shown::Default => match defaults.get(field.key) {
                Some(value) => format!("{} = {value}", field.key),
                None => format!("# {} =", field.key),
            },
        };
        out.push('\n');
        comment(out, field.doc, "# ");
        let _ = writeln!(out, "{line}");
    }
    out.push('\n');
}

/// Prints a section that may be absent: everything commented out.
pub fn print_commented<S: Section>(out: &mut String, header: &str) {
    let mut text = String::new();
    print::<S>(&mut text, header);
    for line in text.trim_end().lines() {
        match line {
            "" => out.push_str("#\n"),
            line if line.starts_with("# ") => {
                let _ = writeln!(out, "#{line}");
            }
            line => {
                let _ = writeln!(out, "# {line}");
            }
        }
    }
    out.push('\n');
}

fn comment(out: &mut String, lines: &[&str], prefix: &str) {
    for line in lines {
        let _ = writeln!(out, "{}", format!("{prefix}{}", line.trim()).trim_end());
    }
}
