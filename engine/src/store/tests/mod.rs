//! The store as a whole, against plain models.

mod db;
mod scan;
mod walk;
