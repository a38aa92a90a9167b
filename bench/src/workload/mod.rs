//! What is sent: commands with their ratios, the keys they name, the values they carry.

pub mod key;
pub mod mix;
pub mod template;
pub mod value;

pub use key::{KeySpace, KeyStream, Pattern};
pub use mix::{Mix, Row, Source};
pub use template::Template;
