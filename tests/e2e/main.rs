//! End-to-end tests over local folders.

mod real;
mod tamper;
