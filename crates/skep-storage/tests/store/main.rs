//! What is signed and what is asked, judged by `s3s-fs`, a store that nobody here wrote (or by another, see `foreign`), and by boto3, Amazon's own library.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod boto3;
mod client;
mod foreign;
mod peers;
mod rules;
mod signed;
mod support;
