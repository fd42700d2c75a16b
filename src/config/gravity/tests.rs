//! By table: what each key does, and what is refused.
