//! Whole verifications over stores in memory.
