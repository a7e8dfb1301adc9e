//! What an operator types and sees.
