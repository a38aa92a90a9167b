//! Keyspace notifications: what happens to keys, said to channels named after the key and after the event.
//!
//! Every change names its event where it is made (see [`Event`]); the shard that owns the key says it, so what happens to
//! one key is heard in its order. Sources: the flags of `notify-keyspace-events` and how CONFIG GET shows them are those
//! of redis-server 7.0.15.

use super::{Bus, Topic};
use crate::command::{Event, EventClass};

/// What `notify-keyspace-events` asks for: classes of events, and which of the two channels hear of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventClasses(u16);

const KEYSPACE: u16 = 1 << 14;
const KEYEVENT: u16 = 1 << 15;

/// The classes that `A` stands for, and their letters. No event is of class `d`: there are no modules.
const ALL: [(u8, u16); 10] = [
    (b'g', EventClass::Generic.bit()),
    (b'$', EventClass::String.bit()),
    (b'l', EventClass::List.bit()),
    (b's', EventClass::Set.bit()),
    (b'h', EventClass::Hash.bit()),
    (b'z', EventClass::Zset.bit()),
    (b'x', EventClass::Expired.bit()),
    (b'e', EventClass::Evicted.bit()),
    (b't', EventClass::Stream.bit()),
    (b'd', 1 << 13),
];
const NEW: (u8, u16) = (b'n', EventClass::New.bit());
const KEYSPACE_LETTER: (u8, u16) = (b'K', KEYSPACE);
const KEYEVENT_LETTER: (u8, u16) = (b'E', KEYEVENT);
const MISSED: (u8, u16) = (b'm', EventClass::Missed.bit());

const fn all_bits() -> u16 {
    let (mut bits, mut at) = (0, 0);
    while at < ALL.len() {
        bits |= ALL[at].1;
        at += 1;
    }
    bits
}

impl EventClasses {
    /// None if a letter stands for nothing.
    pub fn parse(letters: &[u8]) -> Option<Self> {
        let others = [NEW, KEYSPACE_LETTER, KEYEVENT_LETTER, MISSED];
        let bits = |letter: &u8| {
            let known = ALL.iter().chain(&others).find(|(known, _)| known == letter);
            if *letter == b'A' { Some(all_bits()) } else { known.map(|&(_, bit)| bit) }
        };
        letters.iter().map(bits).try_fold(0, |all, bits| Some(all | bits?)).map(Self)
    }

    /// As CONFIG GET shows it: beside `A`, `n` is not shown.
    pub fn shown(self) -> Vec<u8> {
        if self.0 & all_bits() == all_bits() { Self(self.0 & !NEW.1).letters() } else { self.letters() }
    }

    /// Every letter.
    pub fn letters(self) -> Vec<u8> {
        let mut letters = Vec::new();
        let mut push = |&(letter, bit): &(u8, u16)| letters.extend((self.0 & bit != 0).then_some(letter));
        if self.0 & all_bits() == all_bits() {
            push(&(b'A', all_bits()));
        } else {
            ALL.iter().for_each(&mut push);
        }
        [NEW, KEYSPACE_LETTER, KEYEVENT_LETTER, MISSED].iter().for_each(push);
        letters
    }

    /// Nothing is asked for, or no channel is to hear of it.
    pub fn are_silent(self) -> bool {
        self.0 & (KEYSPACE | KEYEVENT) == 0 || self.0 & !(KEYSPACE | KEYEVENT) == 0
    }

    pub fn has(self, class: EventClass) -> bool {
        self.0 & class.bit() != 0
    }
}

impl Bus {
    /// Whether somebody may hear of such an event.
    pub fn tells(&self, event: Event) -> bool {
        self.classes.has(event.class) && !self.classes.are_silent() && !self.registry.is_empty()
    }

    /// Says what has happened to a key, to whoever wants to hear of it.
    pub fn notify(&mut self, db: u16, key: &[u8], event: Event) {
        if !self.tells(event) {
            return;
        }
        if self.classes.0 & KEYSPACE != 0 {
            let channel = [format!("__keyspace@{db}__:").as_bytes(), key].concat();
            self.publish(Topic::Channel, &channel, event.name.as_bytes());
        }
        if self.classes.0 & KEYEVENT != 0 {
            let channel = format!("__keyevent@{db}__:{}", event.name);
            self.publish(Topic::Channel, channel.as_bytes(), key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_come_back_in_the_order_of_redis() {
        let cases = [
            ("", ""),
            ("KEA", "AKE"),
            ("g$lshzxetdmn", "Am"),
            ("Kg", "gK"),
            ("Kn", "nK"),
            ("KEAmn", "AKEm"),
            ("KEd", "dKE"),
            ("Em", "Em"),
            ("txeKEl", "lxetKE"),
        ];
        for (given, shown) in cases {
            let classes = EventClasses::parse(given.as_bytes()).expect("known letters");
            assert_eq!(classes.shown(), shown.as_bytes(), "{given}");
            assert_eq!(EventClasses::parse(&classes.letters()), Some(classes), "{given}");
        }
        assert_eq!(EventClasses::parse(b"Kq"), None);
    }

    #[test]
    fn without_a_channel_or_a_class_nothing_is_said() {
        let silent = |letters: &[u8]| EventClasses::parse(letters).expect("known letters").are_silent();
        assert!(silent(b"") && silent(b"KE") && silent(b"Amn"));
        assert!(!silent(b"Kg") && !silent(b"En"));
    }
}
