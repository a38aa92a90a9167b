//! `notify-keyspace-events` as a setting.

use super::kind::Kind;
use super::setting::{BadValue, Load, Setting};
use super::syntax;
use crate::pubsub::EventClasses;

impl Setting for EventClasses {
    fn assign(&mut self, _: &Kind, words: &[Vec<u8>], _: Load) -> Result<(), BadValue> {
        let unknown = || BadValue::from("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
        *self = Self::parse(&words[0]).ok_or_else(unknown)?;
        Ok(())
    }

    fn text(&self, _: &Kind) -> Vec<u8> {
        self.shown()
    }

    fn lines(&self, _: &Kind) -> Vec<Vec<u8>> {
        vec![syntax::quote(&self.letters())]
    }
}
