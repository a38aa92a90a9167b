//! Settings that are one of a few words, as enums.

use super::{
    kind::Kind,
    setting::{BadValue, Load, Setting},
};

/// An enum whose variants are written as the given words; the first variant is the zero value.
macro_rules! choices {
    ($( $(#[$meta:meta])* $name:ident { $( $(#[$variant_meta:meta])* $variant:ident = $word:literal ),* $(,)? } )*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $( $(#[$variant_meta])* $variant ),* }

        impl $name {
            const WORDS: &'static [&'static str] = &[$($word),*];
            const VARIANTS: &'static [Self] = &[$(Self::$variant),*];
            pub(super) const KIND: Kind = Kind::Choice(Self::WORDS);

            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word ),* }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::VARIANTS[0]
            }
        }

        impl Setting for $name {
            fn assign(&mut self, kind: &Kind, words: &[Vec<u8>], _: Load) -> Result<(), BadValue> {
                *self = Self::VARIANTS[kind.choice(&words[0])?];
                Ok(())
            }

            fn text(&self, _: &Kind) -> Vec<u8> {
                self.as_str().into()
            }
        }
    )* };
}

choices! {
    /// How much the log says.
    LogLevel {
        Debug = "debug",
        Verbose = "verbose",
        Notice = "notice",
        Warning = "warning",
        Nothing = "nothing",
    }

    /// The form of a line of the log.
    LogFormat {
        Legacy = "legacy",
        Logfmt = "logfmt",
    }

    /// How the log tells the time.
    LogTimestampFormat {
        Legacy = "legacy",
        Iso8601 = "iso8601",
        Milliseconds = "milliseconds",
    }

    /// What of a node clients of a cluster are told to connect to.
    EndpointType {
        Ip = "ip",
        Hostname = "hostname",
        Unknown = "unknown-endpoint",
    }

    /// Which keys make room when `maxmemory` is reached, and in what order.
    MaxmemoryPolicy {
        VolatileLru = "volatile-lru",
        VolatileLfu = "volatile-lfu",
        VolatileRandom = "volatile-random",
        VolatileTtl = "volatile-ttl",
        AllkeysLru = "allkeys-lru",
        AllkeysLfu = "allkeys-lfu",
        AllkeysRandom = "allkeys-random",
        Noeviction = "noeviction",
    }

    /// When the journal is made durable.
    AppendFsync {
        EverySec = "everysec",
        Always = "always",
        No = "no",
    }

    /// What a start does when a command of the journal fails.
    PropagationError {
        Ignore = "ignore",
        Panic = "panic",
        PanicOnReplicas = "panic-on-replicas",
    }

    /// Who is told that the server is ready, and that it stops.
    Supervised {
        Upstart = "upstart",
        Systemd = "systemd",
        /// systemd, if it started the process.
        Auto = "auto",
        No = "no",
    }

    /// Who may use a guarded command or directive.
    ProtectedAction {
        No = "no",
        Yes = "yes",
        /// Connections from the machine itself.
        Local = "local",
    }
}
