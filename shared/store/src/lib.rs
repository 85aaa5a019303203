//! Sealed stores and head stores.
