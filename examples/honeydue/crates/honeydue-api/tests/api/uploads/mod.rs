//! Direct uploads, tried the way an attacker would: each test is named for what it tries, and for its number in the list of cases that
//! `docs/deployment/storage.md` keeps.

mod attaching;
mod house;
mod parts;
mod presigning;
mod reading;
