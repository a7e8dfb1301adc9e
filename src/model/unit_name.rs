//! Names of units as systemd accepts them (systemd.unit(5)); services of the second manager use the
//! same form, `NAME.service`.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What kind of unit a name stands for: its suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnitKind {
    Service,
    Socket,
    Target,
    Device,
    Mount,
    Automount,
    Swap,
    Timer,
    Path,
    Slice,
    Scope,
}

impl UnitKind {
    /// The suffix, without its dot.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Socket => "socket",
            Self::Target => "target",
            Self::Device => "device",
            Self::Mount => "mount",
            Self::Automount => "automount",
            Self::Swap => "swap",
            Self::Timer => "timer",
            Self::Path => "path",
            Self::Slice => "slice",
            Self::Scope => "scope",
        }
    }

    fn from_suffix(suffix: &str) -> Option<Self> {
        const ALL: [UnitKind; 11] = [
            UnitKind::Service,
            UnitKind::Socket,
            UnitKind::Target,
            UnitKind::Device,
            UnitKind::Mount,
            UnitKind::Automount,
            UnitKind::Swap,
            UnitKind::Timer,
            UnitKind::Path,
            UnitKind::Slice,
            UnitKind::Scope,
        ];
        ALL.into_iter().find(|kind| kind.suffix() == suffix)
    }
}

/// Longest unit name that systemd takes (`UNIT_NAME_MAX` in its sources, without the NUL).
pub const UNIT_NAME_MAX: usize = 255;

/// Why a text is not a unit name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnitNameError {
    /// No name before the suffix, or nothing at all.
    #[error("a unit name can't be empty")]
    Empty,
    /// Over [`UNIT_NAME_MAX`].
    #[error("a unit name has at most 255 bytes, this one has {0}")]
    TooLong(usize),
    /// Outside letters, digits and `:-_.\@`.
    #[error("a unit name can't contain {0:?}")]
    BadCharacter(char),
    /// The suffix is missing or none that systemd knows.
    #[error("a unit name ends in .service, .socket, .timer or another unit suffix")]
    BadSuffix,
}

/// A valid unit name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnitName(String);

impl UnitName {
    /// Checks the form, not the existence.
    ///
    /// # Errors
    /// When systemd would refuse the name.
    pub fn parse(text: impl Into<String>) -> Result<Self, UnitNameError> {
        let text = text.into();
        if text.len() > UNIT_NAME_MAX {
            return Err(UnitNameError::TooLong(text.len()));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
        if let Some(bad) = text.chars().find(|c| !allowed(*c)) {
            return Err(UnitNameError::BadCharacter(bad));
        }
        match text.rsplit_once('.') {
            _ if text.is_empty() => Err(UnitNameError::Empty),
            None => Err(UnitNameError::BadSuffix),
            Some((_, suffix)) if UnitKind::from_suffix(suffix).is_none() => Err(UnitNameError::BadSuffix),
            Some(("", _)) => Err(UnitNameError::Empty),
            Some(_) => Ok(Self(text)),
        }
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What its suffix says it is.
    #[must_use]
    pub fn kind(&self) -> UnitKind {
        self.0
            .rsplit_once('.')
            .and_then(|(_, suffix)| UnitKind::from_suffix(suffix))
            .expect("parse accepts only names with a known suffix")
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for UnitName {
    type Error = UnitNameError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(text)
    }
}

impl From<UnitName> for String {
    fn from(name: UnitName) -> Self {
        name.0
    }
}

/// A pattern over unit names: `*` and `?` as in the shell, everything else literal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnitPattern(String);

impl UnitPattern {
    /// Any text is a pattern.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole name fits. Linear in the name for each `*`: no backtracking blow-up.
    #[must_use]
    pub fn matches(&self, name: &UnitName) -> bool {
        let (pattern, text) = (self.0.as_bytes(), name.0.as_bytes());
        let (mut p, mut t) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, t));
                    p += 1;
                }
                Some(&c) if c == b'?' || c == text[t] => {
                    p += 1;
                    t += 1;
                }
                Some(_) | None => match star {
                    Some((star_p, star_t)) => {
                        star = Some((star_p, star_t + 1));
                        p = star_p + 1;
                        t = star_t + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern[p..].iter().all(|c| *c == b'*')
    }
}
