//! Where keys live: hash slots. Pure data, no I/O.
