//! Load generator and measurements.
//!
//! | module      | owns                                                                        |
//! |-------------|-----------------------------------------------------------------------------|
//! | `args`      | the flags as typed, and what they come to                                   |
//! | `workload`  | commands, keys and values                                                   |
//! | `load`      | connections under load: sessions, phases, tallies                           |
//! | `histogram` | latencies and percentiles                                                   |
//! | `report`    | a run's outcome as text and JSON                                            |
//! | `page`      | outcomes as HTML with plots                                                 |
//! | `compare`   | servers side by side, workload by workload                                  |
//! | `memory`    | bytes per key                                                               |
//! | `idle`      | what connections cost that do nothing                                       |
//! | `growth`    | the longest reply while the table grows                                     |
//! | `overload`  | what others feel while some clients behave badly                            |
//! | `peers`     | servers to measure: found, started, ended                                   |
//! | `null`      | the server that only answers, the floor of every comparison                 |
//! | `process`   | CPU time and memory of a server                                             |
//! | `machine`   | what the measurements were made on                                          |

#![deny(unsafe_code)]

pub mod args;
pub mod compare;
pub mod cpus;
pub mod error;
pub mod growth;
pub mod histogram;
pub mod idle;
pub mod interrupt;
pub mod load;
pub mod machine;
pub mod memory;
pub mod null;
pub mod overload;
mod page;
pub mod peers;
pub mod process;
pub mod progress;
pub mod report;
pub mod run;
pub mod workload;

pub use error::Error;
