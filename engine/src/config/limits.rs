//! What the directives say of how values are kept.

use fastrand::Rng;

use super::Config;
use crate::rdb;
use crate::store::encoding::intset;
use crate::store::encoding::quicklist::ChunkLimit;
use crate::store::{HashLimits, SetLimits, ZsetLimits};

/// Those who draw a seed want one that clients cannot guess.
impl Config {
    /// How much a piece of a list holds.
    #[inline]
    pub fn list_limit(&self) -> ChunkLimit {
        ChunkLimit::from_directive(self.list_max_listpack_size)
    }

    #[inline]
    pub fn set_limits(&self, seed: u64) -> SetLimits {
        SetLimits {
            ints_len_max: (self.set_max_intset_entries as usize).min(intset::LEN_MAX),
            packed_len_max: self.set_max_listpack_entries as usize,
            packed_member_len_max: self.set_max_listpack_value as usize,
            seed,
        }
    }

    #[inline]
    pub fn zset_limits(&self, seed: u64) -> ZsetLimits {
        ZsetLimits {
            packed_len_max: self.zset_max_listpack_entries as usize,
            packed_member_len_max: self.zset_max_listpack_value as usize,
            seed,
        }
    }

    #[inline]
    pub fn hash_limits(&self, seed: u64) -> HashLimits {
        HashLimits {
            packed_len_max: self.hash_max_listpack_entries as usize,
            packed_text_len_max: self.hash_max_listpack_value as usize,
            seed,
        }
    }

    /// What values of any type become when they are read.
    pub fn value_limits(&self, rng: &mut Rng) -> rdb::Limits {
        rdb::Limits {
            list: self.list_limit(),
            set: self.set_limits(rng.u64(..)),
            zset: self.zset_limits(rng.u64(..)),
            hash: self.hash_limits(rng.u64(..)),
        }
    }
}
