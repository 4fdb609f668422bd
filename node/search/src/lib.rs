//! eads-search
