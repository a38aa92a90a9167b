//! Load generator and measurements.
//!
//! | module      | owns                                                                        |
//! |-------------|-----------------------------------------------------------------------------|
//! | `args`      | the flags as typed, and what they come to                                   |
//! | `workload`  | commands, keys and values                                                   |
//! | `load`      | connections under load: sessions, phases, tallies                           |
//! | `histogram` | latencies and percentiles                                                   |
//! | `report`    | a run's outcome as text and JSON                                            |
//! | `process`   | CPU time and memory of a server                                             |
//! | `machine`   | what the measurements were made on                                          |

#![forbid(unsafe_code)]

pub mod args;
pub mod cpus;
pub mod error;
pub mod histogram;
pub mod interrupt;
pub mod load;
pub mod machine;
pub mod process;
pub mod progress;
pub mod report;
pub mod run;
pub mod workload;

pub use error::Error;
