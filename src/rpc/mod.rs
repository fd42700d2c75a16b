//! XML-RPC: values, codec, the table of methods, faults. No sockets.

mod fault;
mod value;

pub use fault::{Fault, FaultCode};
pub use value::Value;
