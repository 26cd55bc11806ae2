//! The steps, a file each, in the words that the user sees.

pub(crate) mod apply;
pub(crate) mod check;
mod clock;
mod definitions;
pub(crate) mod images;
pub(crate) mod load;
pub(crate) mod migrate;
mod promote;
pub(crate) mod roll;
pub(crate) mod spans;
pub(crate) mod stage;
mod unblock;
pub(crate) mod verify;

pub(crate) use clock::Clock;
