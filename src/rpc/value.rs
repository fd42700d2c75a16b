//! A value on the wire.

use std::borrow::Cow;

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
    Struct(Vec<(Member, Value)>),
}

/// The name of a struct's member. Answers about thousands of processes have the same few names again and again.
pub type Member = Cow<'static, str>;

impl Value {
    /// A struct of these members, in this order.
    #[must_use]
    pub fn object(members: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
        Value::Struct(members.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect())
    }

    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number of an int.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The elements of an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The members of a struct, in the order they were sent.
    #[must_use]
    pub fn as_struct(&self) -> Option<&[(Member, Value)]> {
        match self {
            Value::Struct(members) => Some(members),
            _ => None,
        }
    }

    /// The member of this name; the last one if it was sent twice, as in Python.
    #[must_use]
    pub fn get(&self, member: &str) -> Option<&Value> {
        self.as_struct()?.iter().rev().find(|(name, _)| name == member).map(|(_, value)| value)
    }

    /// What Python would take for true: anything but zero, the empty text and empty containers.
    #[must_use]
    pub fn is_truthy(&self) -> bool {
        match self {
            Value::Int(number) => *number != 0,
            Value::Bool(truth) => *truth,
            Value::String(text) => !text.is_empty(),
            Value::Double(number) => *number != 0.0,
            Value::DateTime(_) => true,
            Value::Array(elements) => !elements.is_empty(),
            Value::Struct(members) => !members.is_empty(),
        }
    }

    /// The type's name as `system.methodSignature` spells it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Int(_) => "int",
            Value::Bool(_) => "boolean",
            Value::String(_) => "string",
            Value::Double(_) => "double",
            Value::DateTime(_) => "dateTime.iso8601",
            Value::Array(_) => "array",
            Value::Struct(_) => "struct",
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Value {
        Value::Int(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Value {
        Value::Int(number.into())
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Bool(truth)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Double(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(elements: Vec<T>) -> Value {
        Value::Array(elements.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_sent_twice_has_its_last_value() {
        let value = Value::object([("a", 1.into()), ("b", true.into()), ("a", 2.into())]);
        assert_eq!(value.get("a"), Some(&Value::Int(2)));
        assert_eq!(value.get("b"), Some(&Value::Bool(true)));
        assert_eq!(value.get("c"), None);
        assert_eq!(Value::Int(1).get("a"), None);
    }

    #[test]
    fn truth_is_pythons() {
        for (value, truth) in [
            (Value::Int(0), false),
            (Value::Int(-1), true),
            ("".into(), false),
            ("false".into(), true),
            (0.0.into(), false),
            (Value::Array(vec![]), false),
            (vec![0].into(), true),
            (Value::Struct(vec![]), false),
        ] {
            assert_eq!(value.is_truthy(), truth, "{value:?}");
        }
    }
}
