//! XML-RPC: values, codec, the table of methods, faults. No sockets.

mod arguments;
pub mod base64;
mod catalogue;
mod fault;
mod interfaces;
mod message;
mod method;
mod multicall;
mod own;
mod printable;
mod python_text;
mod reader;
mod twiddler;
mod value;
mod writer;

pub use fault::{Fault, FaultCode};
pub use interfaces::{Interface, Interfaces};
pub use message::{Call, CallError, parse_call, parse_response, write_call, write_response};
pub use method::{Method, Output};
pub use multicall::{Dispatch, MULTICALL, MULTICALL_MAX, multicall};
pub use own::OwnMethod;
pub use printable::printable;
pub use reader::{DEPTH_MAX, RESPONSE_VALUES_MAX, VALUES_MAX, XmlError};
pub use twiddler::{TWIDDLER_VERSION, Twiddle};
pub use value::{Member, Value};
