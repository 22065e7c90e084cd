//! Cluster image, metadata records, controller decisions and the configuration registry; pure.
