//! XML-RPC: values, codec, the table of methods, faults. No sockets.

mod arguments;
mod catalogue;
mod fault;
mod method;
mod value;

pub use catalogue::introspect;
pub use fault::{Fault, FaultCode};
pub use method::{Method, Output};
pub use value::Value;
