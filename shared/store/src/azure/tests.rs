//! Over real servers.
