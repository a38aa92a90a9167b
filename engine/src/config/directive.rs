//! What one row of the directive table says, and the macro that turns the rows into the `Config` type.
//!
//! Invariant: a row is the only place that knows a directive's name, kind, default and field. Parsing, CONFIG GET,
//! CONFIG SET, CONFIG REWRITE and the reference page all walk the rows and hold no list of their own.

use std::fmt;

use super::{
    Config,
    kind::Kind,
    setting::{BadValue, Load},
};

/// Whether the server acts on the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The server reads the value.
    Live,
    /// A Redis directive without effect here: the value is checked, remembered and answered, and the log says so
    /// when it was given.
    Inert,
}

/// When the value may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Runtime,
    /// Redis calls these immutable: read once, at start.
    Start,
    /// Changeable by CONFIG SET only where `enable-protected-configs` allows it.
    Protected,
    /// Protected in Redis, and where that is lifted still read once, at start.
    ProtectedStart,
}

/// One row of the table.
pub struct Directive {
    pub name: &'static str,
    pub alias: Option<&'static str>,
    /// Heading in the reference page.
    pub group: &'static str,
    pub class: Class,
    pub change: Change,
    pub kind: Kind,
    /// As CONFIG GET writes it.
    pub default: &'static str,
    /// For a live row what it does; for an inert one why it does nothing.
    pub help: &'static str,
    pub(super) field: Field,
}

type Assign = fn(&mut Config, &Kind, &[Vec<u8>], Load) -> Result<(), BadValue>;

/// Access to the row's field in `Config`, with the field's type erased.
pub(super) struct Field {
    pub(super) assign: Assign,
    pub(super) gathers: bool,
    pub(super) text: fn(&Config, &Kind) -> Vec<u8>,
    pub(super) lines: fn(&Config, &Kind) -> Vec<Vec<u8>>,
    pub(super) equal: fn(&Config, &Config) -> bool,
}

impl Directive {
    /// The row for `name`, by name or alias, in any case.
    pub fn find(name: &[u8]) -> Option<&'static Self> {
        Self::find_name(name).map(|(_, row)| row)
    }

    /// The row for `written`, and which of its names that is.
    pub(super) fn find_name(written: &[u8]) -> Option<(&'static str, &'static Self)> {
        let mut names = super::DIRECTIVES.iter().flat_map(|row| row.names().map(move |name| (name, row)));
        names.find(|(name, _)| written.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// The name and, if there is one, the alias.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.alias)
    }

    /// True if the value must not appear in logs, MONITOR or SLOWLOG.
    pub fn is_sensitive(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }

    /// The value as CONFIG GET answers it.
    pub fn text(&self, config: &Config) -> Vec<u8> {
        (self.field.text)(config, &self.kind)
    }

    /// The value as configuration file lines, without the name; usually one.
    pub(super) fn lines(&self, config: &Config) -> Vec<Vec<u8>> {
        (self.field.lines)(config, &self.kind)
    }

    /// True if the directive's lines add up.
    pub(super) fn gathers(&self) -> bool {
        self.field.gathers
    }

    pub(super) fn assign(&self, config: &mut Config, words: &[Vec<u8>], load: Load) -> Result<(), BadValue> {
        if !self.kind.takes_many() && words.len() != 1 {
            return Err(BadValue::from("wrong number of arguments"));
        }
        (self.field.assign)(config, &self.kind, words, load)
    }

    /// Sets the table's default.
    pub(super) fn reset(&self, config: &mut Config) {
        let words = if self.kind.takes_many() {
            self.default.split(' ').map(|word| word.as_bytes().to_vec()).collect()
        } else {
            vec![self.default.as_bytes().to_vec()]
        };
        let result = self.assign(config, &words, Load::Replace);
        result.unwrap_or_else(|problem| {
            panic!("the default of {} is no value of its kind: {problem}", self.name)
        });
    }

    /// True if both hold the same value.
    pub(super) fn is_equal(&self, left: &Config, right: &Config) -> bool {
        (self.field.equal)(left, right)
    }
}

impl PartialEq for Directive {
    /// Names are unique, and there is one table.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Directive {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Directive")
            .field("name", &self.name)
            .field("class", &self.class)
            .finish_non_exhaustive()
    }
}

/// Declares `Config` and `DIRECTIVES` from one list of rows:
/// `Class Change "name" | "alias" => field: Type, kind, "default", "help";`
macro_rules! directives {
    ($( group $group:literal { $(
        $class:ident $change:ident $name:literal $(| $alias:literal)? =>
        $field:ident: $type:ty, $kind:expr, $default:literal, $help:literal;
    )* } )*) => {
        /// Every setting of the server, typed. A value, never changed in place: CONFIG SET makes a new one.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(clippy::struct_excessive_bools, reason = "one field per directive; the table names each one")]
        pub struct Config {
            $($( #[doc = $help] pub $field: $type, )*)*
            /// `rename-command` lines in order.
            pub renamed_commands: Vec<super::RenamedCommand>,
            /// Absolute path of the configuration file the server was started with.
            pub file: Option<std::path::PathBuf>,
            /// The most that `maxclients` may be set to on this machine.
            pub maxclients_ceiling: u32,
        }

        impl Config {
            /// All fields at their type's zero: what the table's defaults are written over.
            fn zeroed() -> Self {
                Self {
                    $($( $field: Default::default(), )*)*
                    renamed_commands: Vec::new(),
                    file: None,
                    maxclients_ceiling: u32::MAX,
                }
            }
        }

        /// Every directive, in the order of the reference page.
        pub static DIRECTIVES: &[Directive] = &[$($( Directive {
            name: $name,
            alias: directives!(@alias $($alias)?),
            group: $group,
            class: Class::$class,
            change: Change::$change,
            kind: $kind,
            default: $default,
            help: $help,
            field: Field {
                assign: |config, kind, words, load| Setting::assign(&mut config.$field, kind, words, load),
                gathers: <$type as Setting>::GATHERS,
                text: |config, kind| Setting::text(&config.$field, kind),
                lines: |config, kind| Setting::lines(&config.$field, kind),
                equal: |left, right| left.$field == right.$field,
            },
        }, )*)*];
    };
    (@alias) => { None };
    (@alias $alias:literal) => { Some($alias) };
}
pub(super) use directives;
