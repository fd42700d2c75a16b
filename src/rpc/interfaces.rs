//! Which methods there are: the interfaces that the configuration enables, each under its namespace, and `system`.

use super::catalogue::{self, Entry};
use super::fault::{Fault, FaultCode};
use super::method::Method;
use super::own::OwnMethod;
use super::twiddler;
use super::value::Value;

/// What a namespace offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interface {
    /// The methods of Supervisor.
    Main,
    /// Those of `supervisor_twiddler`; with a whitelist only the methods in it may be called.
    Twiddler { whitelist: Vec<String> },
}

/// All interfaces with their namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interfaces(Vec<(String, Interface)>);

impl Default for Interfaces {
    /// Supervisor's own methods as `supervisor`.
    fn default() -> Self {
        Interfaces(vec![("supervisor".to_owned(), Interface::Main)])
    }
}

impl Interfaces {
    /// Of two interfaces of one name the later one counts.
    #[must_use]
    pub fn new(named: Vec<(String, Interface)>) -> Self {
        Interfaces(named)
    }

    /// Understands a call.
    ///
    /// # Errors
    /// Fault 1 for a name that nothing has (`system.*` is answered before, see [`Interfaces::introspect`] and
    /// [`super::multicall`]), fault 2 for a wrong number or type of parameters, and what a whitelist refuses.
    pub fn method(&self, name: &str, params: &[Value]) -> Result<Method, Fault> {
        // Ours come with Supervisor's own interface.
        let has_main = self.0.iter().any(|(_, interface)| matches!(interface, Interface::Main));
        if let Some(own) = OwnMethod::from_call(name, params).filter(|_| has_main) {
            return own.map(Method::Own);
        }
        let (entry, interface) = self.find(name).ok_or_else(|| Fault::new(FaultCode::UnknownMethod))?;
        let method = entry.method(params)?;
        match (&method, interface) {
            (Method::Twiddler(twiddle), Some(Interface::Twiddler { whitelist }))
                if !whitelist.is_empty() && !whitelist.iter().any(|allowed| allowed == twiddle.name()) =>
            {
                Err(twiddle.not_allowed())
            }
            _ => Ok(method),
        }
    }

    /// Answers `system.listMethods`, `system.methodHelp` and `system.methodSignature`; `None` for every other name.
    ///
    /// The answer is fault 2 for wrong parameters and fault 4 for an unknown method's help or signature.
    #[must_use]
    pub fn introspect(&self, name: &str, params: &[Value]) -> Option<Result<Value, Fault>> {
        let about = |answer: fn(&Entry) -> Value| -> Result<Value, Fault> {
            let [Value::String(method)] = params else { return Err(Fault::new(FaultCode::IncorrectParameters)) };
            let found = self.find(method).ok_or_else(|| Fault::new(FaultCode::SignatureUnsupported))?;
            Ok(answer(found.0))
        };
        match name {
            "system.listMethods" if params.is_empty() => Some(Ok(Value::Array(self.names()))),
            "system.listMethods" => Some(Err(Fault::new(FaultCode::IncorrectParameters))),
            "system.methodHelp" => Some(about(|entry| entry.help().into())),
            "system.methodSignature" => Some(about(Entry::signature)),
            // Ours; not listed, so that the list is Supervisor's.
            "galaxyd.getVersion" => Some(match params {
                [] => Ok(crate::VERSION.into()),
                _ => Err(Fault::new(FaultCode::IncorrectParameters)),
            }),
            _ => None,
        }
    }

    fn names(&self) -> Vec<Value> {
        let mut names: Vec<String> = catalogue::names("system").map(|method| format!("system.{method}")).collect();
        for (index, (namespace, interface)) in self.0.iter().enumerate() {
            if self.position(namespace) != Some(index) {
                continue;
            }
            match interface {
                Interface::Main => {
                    names.extend(catalogue::names("supervisor").map(|method| format!("{namespace}.{method}")));
                }
                Interface::Twiddler { .. } => {
                    names.extend(twiddler::ENTRIES.iter().map(|entry| format!("{namespace}.{}", entry.name())));
                }
            }
        }
        names.sort_unstable();
        names.into_iter().map(Value::from).collect()
    }

    fn position(&self, namespace: &str) -> Option<usize> {
        self.0.iter().rposition(|(name, _)| name == namespace)
    }

    fn find(&self, name: &str) -> Option<(&'static Entry, Option<&Interface>)> {
        let (namespace, method) = name.split_once('.')?;
        let interface = self.position(namespace).and_then(|index| self.0.get(index)).map(|(_, interface)| interface);
        let entry = match interface {
            None if ["system", "galaxyd"].contains(&namespace) => catalogue::find(name),
            None => None,
            Some(Interface::Main) => catalogue::find(&format!("supervisor.{method}")),
            Some(Interface::Twiddler { .. }) => twiddler::ENTRIES.iter().find(|entry| entry.name() == method),
        };
        entry.map(|entry| (entry, interface))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::Twiddle;

    fn both() -> Interfaces {
        let twiddler = |whitelist: &[&str]| Interface::Twiddler {
            whitelist: whitelist.iter().map(|name| (*name).to_owned()).collect(),
        };
        Interfaces::new(vec![
            ("supervisor".to_owned(), Interface::Main),
            ("twiddler".to_owned(), twiddler(&[])),
            ("narrow".to_owned(), twiddler(&["getGroupNames", "log"])),
        ])
    }

    fn texts(answer: Option<Result<Value, Fault>>) -> Vec<String> {
        let answer = answer.unwrap().unwrap();
        answer.as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn only_what_is_configured_is_there() {
        let names = texts(both().introspect("system.listMethods", &[]));
        assert!(names.is_sorted(), "{names:?}");
        assert_eq!(names.len(), 41 + 2 * twiddler::ENTRIES.len());
        assert!(names.contains(&"narrow.log".to_owned()));
        let none = Interfaces::new(Vec::new());
        assert_eq!(texts(none.introspect("system.listMethods", &[])).len(), 4);
        assert_eq!(none.method("supervisor.getState", &[]).unwrap_err().code, 1);
        assert_eq!(Interfaces::default().method("twiddler.log", &["m".into()]).unwrap_err().code, 1);
        let renamed = Interfaces::new(vec![("mine".to_owned(), Interface::Main)]);
        assert_eq!(renamed.method("mine.getState", &[]), Ok(Method::GetState));
    }

    /// What the original answers.
    #[test]
    fn signatures_are_the_twiddlers() {
        for (name, signature) in [
            ("log", "boolean string string|int"),
            ("getAPIVersion", "int"),
            ("getGroupNames", "array"),
            ("addProgramToGroup", "boolean string string struct"),
            ("removeProcessFromGroup", "boolean string string"),
        ] {
            let name = format!("twiddler.{name}");
            let found = texts(both().introspect("system.methodSignature", &[name.as_str().into()]));
            assert_eq!(found.join(" "), signature, "{name}");
            let help = both().introspect("system.methodHelp", &[name.as_str().into()]).unwrap().unwrap();
            assert!(help.as_str().unwrap().contains("@return"));
        }
        assert_eq!(both().introspect("system.methodHelp", &["twiddler.nope".into()]).unwrap().unwrap_err().code, 4);
    }

    #[test]
    fn the_whitelist_is_looked_at_after_the_parameters() {
        let faults = |name: &str, params: &[Value]| both().method(name, params).unwrap_err();
        assert_eq!(faults("narrow.getAPIVersion", &[]).text, "UNKNOWN: getAPIVersion");
        assert_eq!(faults("narrow.getAPIVersion", &[]).code, 230);
        assert_eq!(faults("narrow.getAPIVersion", &[1.into()]).code, 2);
        assert!(both().method("narrow.log", &["m".into()]).is_ok());
    }

    #[test]
    fn levels_go_by_name_and_number() {
        let level = |params: &[Value]| match both().method("twiddler.log", params) {
            Ok(Method::Twiddler(Twiddle::Log { level, .. })) => Ok(level),
            Err(fault) => Err(fault.code),
            other => panic!("{other:?}"),
        };
        assert_eq!(level(&["m".into()]), Ok(20));
        assert_eq!(level(&["m".into(), "warn".into()]), Ok(30));
        assert_eq!(level(&["m".into(), 50.into()]), Ok(50));
        assert_eq!(level(&["m".into(), Value::Double(20.0)]), Ok(20));
        for bad in [Value::from("WARNING"), "30".into(), 31.into(), Value::Bool(true), Value::Array(vec![])] {
            assert_eq!(level(&["m".into(), bad]), Err(2));
        }
    }

    #[test]
    fn options_are_texts_and_what_reads_like_texts() {
        let options = |value: Value| match both().method("twiddler.addProgramToGroup", &["g".into(), "p".into(), value])
        {
            Ok(Method::Twiddler(Twiddle::AddProgramToGroup { options, .. })) => Ok(options),
            Err(fault) => Err(fault.code),
            other => panic!("{other:?}"),
        };
        let pair = |key: &str, text: &str| (key.to_owned(), text.to_owned());
        let sent = Value::object([("a", 1.into()), ("b", true.into()), ("c", "x".into()), ("d", Value::Double(1.5))]);
        assert_eq!(options(sent), Ok(vec![pair("a", "1"), pair("b", "true"), pair("c", "x"), pair("d", "1")]));
        let pairs = Value::Array(vec![Value::Array(vec!["a".into(), "b".into()])]);
        assert_eq!(options(pairs), Ok(vec![pair("a", "b")]));
        for bad in [Value::Int(5), "ab".into(), Value::object([("a", Value::Array(vec![]))])] {
            assert_eq!(options(bad), Err(2));
        }
    }
}
