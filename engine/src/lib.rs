//! The Bobbin server.
