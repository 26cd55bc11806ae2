//! goose's format, on fixtures of our own and on goose's.

mod format;
mod judge;
