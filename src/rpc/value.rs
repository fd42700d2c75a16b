//! A value on the wire.

/// An XML-RPC value. Struct members keep their order.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Int(i64),
    Bool(bool),
    String(String),
    Double(f64),
    /// The text as it was sent.
    DateTime(String),
    Array(Vec<Value>),
    Struct(Vec<(String, Value)>),
}
