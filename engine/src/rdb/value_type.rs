//! The numbers that say how a value is written.

/// How a value is written. Types that only Redis's modules have are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ValueType {
    String = 0,
    List = 1,
    Set = 2,
    /// Scores as text.
    Zset = 3,
    Hash = 4,
    /// Scores as binary doubles.
    Zset2 = 5,
    HashZipmap = 9,
    ListZiplist = 10,
    SetIntset = 11,
    ZsetZiplist = 12,
    HashZiplist = 13,
    /// Ziplists.
    ListQuicklist = 14,
    /// Without what Redis 7.0 added: how many entries there have been, and were read.
    StreamListpacks = 15,
    HashListpack = 16,
    ZsetListpack = 17,
    /// Listpacks and large elements.
    ListQuicklist2 = 18,
    StreamListpacks2 = 19,
    SetListpack = 20,
    /// With the times at which consumers were last given something.
    StreamListpacks3 = 21,
    /// With deadlines, as candidates of Redis 7.4 wrote them.
    HashDeadlinesAbsolute = 22,
    HashListpackExBare = 23,
    /// With deadlines, the earliest in front.
    HashDeadlines = 24,
    HashListpackEx = 25,
}

impl ValueType {
    const ALL: [Self; 23] = [
        Self::String,
        Self::List,
        Self::Set,
        Self::Zset,
        Self::Hash,
        Self::Zset2,
        Self::HashZipmap,
        Self::ListZiplist,
        Self::SetIntset,
        Self::ZsetZiplist,
        Self::HashZiplist,
        Self::ListQuicklist,
        Self::StreamListpacks,
        Self::HashListpack,
        Self::ZsetListpack,
        Self::ListQuicklist2,
        Self::StreamListpacks2,
        Self::SetListpack,
        Self::StreamListpacks3,
        Self::HashDeadlinesAbsolute,
        Self::HashListpackExBare,
        Self::HashDeadlines,
        Self::HashListpackEx,
    ];

    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.number() == number)
    }

    pub fn number(self) -> u8 {
        self as u8
    }

    /// The version of RDB that a reader must know: that of redis-server 7.0, or the later one that brought the type.
    pub fn version(self) -> u16 {
        match self.number() {
            0..20 => 10,
            20..22 => 11,
            _ => 12,
        }
    }
}
