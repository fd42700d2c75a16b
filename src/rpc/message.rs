//! Requests and responses: bytes to meaning and back.

use super::fault::Fault;
use super::reader::{self, Item, RESPONSE_VALUES_MAX, Strictness, VALUES_MAX, XmlError};
use super::value::Value;
use super::writer;

/// A request as it was sent: nothing is known yet about the method.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub method: String,
    pub params: Vec<Value>,
}

/// Why a request was not understood; all are HTTP 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error(transparent)]
    Xml(#[from] XmlError),
    #[error("no method name")]
    NoMethodName,
}

/// Reads a request.
///
/// # Errors
/// For everything that Supervisor answers with HTTP 400: malformed XML, values that are none, no method name; and for
/// what goes beyond [`super::DEPTH_MAX`] or [`VALUES_MAX`] or declares a document type.
pub fn parse_call(body: &[u8]) -> Result<Call, CallError> {
    match reader::read(body, VALUES_MAX, Strictness::Strict)? {
        Item::Call { method: Some(method), params } if !method.is_empty() => Ok(Call { method, params }),
        Item::Call { .. } => Err(CallError::NoMethodName),
        _ => Err(XmlError::WrongDocument { wanted: "request" }.into()),
    }
}

/// The response to a call, in the bytes that Supervisor 4.3 would send; characters that XML forbids become U+FFFD.
#[must_use]
pub fn write_response(answer: &Result<Value, Fault>) -> Vec<u8> {
    match answer {
        Ok(value) => writer::result(value),
        Err(fault) => writer::fault(&fault_struct(fault)),
    }
    .into_bytes()
}

/// The request, in the bytes that Python's `xmlrpc.client` would send; strings with characters that XML forbids, which
/// Python sends all the same and no server accepts, are sent as base64, and a carriage return, which a server would read as
/// a line feed, as `&#13;`.
#[must_use]
pub fn write_call(method: &str, params: &[Value]) -> Vec<u8> {
    writer::call(method, params).into_bytes()
}

/// Reads a response; control characters, which Supervisor 4.3 sends, are taken as they are.
///
/// # Errors
/// When the bytes are not an XML-RPC response with one value or a fault, or it goes beyond [`super::DEPTH_MAX`] or
/// [`RESPONSE_VALUES_MAX`].
pub fn parse_response(body: &[u8]) -> Result<Result<Value, Fault>, XmlError> {
    match reader::read(body, RESPONSE_VALUES_MAX, Strictness::Lenient)? {
        Item::Response(Ok(values)) => {
            values.into_iter().next().map(Ok).ok_or(XmlError::Misshapen { element: "params" })
        }
        Item::Response(Err(fault)) => {
            let code = fault.get("faultCode").and_then(Value::as_int);
            let text = fault.get("faultString").and_then(Value::as_str);
            match (code, text) {
                (Some(code), Some(text)) => Ok(Err(Fault { code, text: text.to_owned() })),
                _ => Err(XmlError::Misshapen { element: "fault" }),
            }
        }
        _ => Err(XmlError::WrongDocument { wanted: "response" }),
    }
}

/// The struct that stands for a fault in a response and in the array of a multicall.
pub(super) fn fault_struct(fault: &Fault) -> Value {
    Value::object([("faultCode", fault.code.into()), ("faultString", fault.text.as_str().into())])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::reader::DEPTH_MAX;
    use super::*;
    use crate::rpc::FaultCode;

    fn request(values: &str) -> String {
        let params: String =
            values.split('|').flat_map(|value| ["<param><value>", value, "</value></param>"]).collect();
        format!("<?xml version='1.0'?><methodCall><methodName>m</methodName><params>{params}</params></methodCall>")
    }

    fn params(xml: &str) -> Result<Vec<Value>, CallError> {
        parse_call(xml.as_bytes()).map(|call| call.params)
    }

    #[test]
    fn every_request_type_of_supervisor_is_read() {
        let cases: [(&str, Value); 32] = [
            ("<int>5</int>", 5.into()),
            ("<i4> -7 </i4>", (-7).into()),
            ("<int>1_0</int>", 10.into()),
            ("<boolean>1</boolean>", true.into()),
            ("<boolean>0</boolean>", false.into()),
            ("<boolean>true</boolean>", false.into()),
            ("<boolean> 1</boolean>", false.into()),
            ("<string>a b</string>", "a b".into()),
            ("<string/>", "".into()),
            ("<string> keep </string>", " keep ".into()),
            ("bare", "bare".into()),
            ("", "".into()),
            (" \n ", " \n ".into()),
            ("<double>1.5</double>", 1.5.into()),
            ("<dateTime.iso8601>20240101T00:00:00</dateTime.iso8601>", Value::DateTime("20240101T00:00:00".into())),
            ("<base64>\nw6k=\n</base64>", "é".into()),
            ("<i8>5</i8>", "5".into()),
            ("<nil/>", "".into()),
            ("<string>a&amp;b&lt;c&gt;&quot;&apos;&#233;&#xe9;</string>", "a&b<c>\"'éé".into()),
            ("<string><![CDATA[<x>&amp;]]></string>", "<x>&amp;".into()),
            ("<string>a<!-- no -->b<?pi x?>c</string>", "abc".into()),
            ("<string>a\r\nb\rc&#13;d</string>", "a\nb\nc\rd".into()),
            ("<string x='1'>a</string>", "a".into()),
            ("<string>a<b>c</b>d</string>", "a".into()),
            ("\n <int>5</int>\n ", 5.into()),
            ("<array><data/></array>", Value::Array(vec![])),
            (
                "<array> <data> <value><int>1</int></value> <value>x</value> </data> </array>",
                Value::Array(vec![1.into(), "x".into()]),
            ),
            ("<struct/>", Value::Struct(vec![])),
            (
                "<struct> <member> <name>a</name> <value><int>1</int></value> </member> </struct>",
                Value::object([("a", 1.into())]),
            ),
            ("<struct><member><name/><value/></member></struct>", Value::object([("", "".into())])),
            ("<int>+5</int>", 5.into()),
            ("<double> -2e3 </double>", (-2000.0).into()),
        ];
        for (xml, value) in cases {
            assert_eq!(params(&request(xml)), Ok(vec![value]), "{xml}");
        }
    }

    #[test]
    fn params_and_prolog_may_be_missing() {
        let call = |xml: &str| parse_call(xml.as_bytes()).map(|call| (call.method, call.params.len()));
        assert_eq!(call("<methodCall><methodName>a.b</methodName></methodCall>"), Ok(("a.b".into(), 0)));
        assert_eq!(call("\u{feff}<methodCall><params/><methodName>a</methodName></methodCall>\n"), Ok(("a".into(), 0)));
        assert_eq!(call(&request("1|2|3")), Ok(("m".into(), 3)));
    }

    #[test]
    fn what_supervisor_answers_with_400_is_refused() {
        for xml in [
            "",
            "hello",
            "<methodCall>",
            "<methodCall></methodcall>",
            "<methodCall/>",
            "<methodCall><methodName/></methodCall>",
            "<methodCall><methodName>a</methodName></methodCall><x/>",
            "<methodCall><methodName>a</methodName></methodCall>x",
            "<methodResponse><params/></methodResponse>",
            "<?xml version='1.0'?>",
            "<methodCall><methodName>a\u{1b}</methodName></methodCall>",
            "<methodCall><methodName>a&#27;</methodName></methodCall>",
            "<methodCall><methodName>a&nbsp;</methodName></methodCall>",
            "<methodCall><methodName>a & b</methodName></methodCall>",
        ] {
            assert!(parse_call(xml.as_bytes()).is_err(), "{xml}");
        }
        for value in [
            "<int>x</int>",
            "<int/>",
            "<double>x</double>",
            "<base64>Zg</base64>",
            "<base64>/w==</base64>",
            "<array/>",
            "<struct><value/></struct>",
            "<struct><member/></struct>",
            "<struct><member><name>a</name></member></struct>",
            "<struct><member><value/><name>a</name></member></struct>",
        ] {
            assert!(params(&request(value)).is_err(), "{value}");
        }
        assert_eq!(parse_call(b"<a>\xff</a>"), Err(XmlError::NotUtf8.into()));
        assert_eq!(parse_call(b"<methodCall/>"), Err(CallError::NoMethodName));
    }

    #[test]
    fn document_types_are_refused() {
        let bomb = "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'aaaa'>]><methodCall><methodName>&a;</methodName></methodCall>";
        assert_eq!(parse_call(bomb.as_bytes()), Err(XmlError::Doctype.into()));
    }

    #[test]
    fn a_document_type_does_not_hide_in_a_tag() {
        for text in [
            "<?xml version<!DOCTYPE a [<!ENTITY b 'c'>]>='1.0'?><methodCall><methodName>m</methodName></methodCall>",
            "<methodCall a='<!DOCTYPE b>'><methodName>m</methodName></methodCall>",
        ] {
            assert!(matches!(parse_call(text.as_bytes()), Err(CallError::Xml(XmlError::Malformed { .. }))), "{text}");
        }
    }

    fn nested(depth: usize) -> String {
        let open = "<value><array><data>".repeat(depth - 1);
        let close = "</data></array></value>".repeat(depth - 1);
        request(&format!("X{open}<value/>{close}")).replace("<value>X", "").replacen("</value></param>", "</param>", 1)
    }

    #[test]
    fn depth_is_limited() {
        assert!(params(&nested(DEPTH_MAX)).is_ok());
        assert_eq!(params(&nested(DEPTH_MAX + 1)), Err(XmlError::TooDeep.into()));
        let strange = format!("{}{}", "<x>".repeat(10_000), "</x>".repeat(10_000));
        assert_eq!(parse_call(strange.as_bytes()), Err(XmlError::TooDeep.into()));
    }

    #[test]
    fn the_number_of_values_is_limited() {
        let array = |count: usize| request(&format!("<array><data>{}</data></array>", "<value/>".repeat(count)));
        assert!(params(&array(VALUES_MAX - 1)).is_ok());
        assert_eq!(params(&array(VALUES_MAX)), Err(XmlError::TooManyValues { max: VALUES_MAX }.into()));
        let strange = request(&"<x/>".repeat(100_000));
        assert_eq!(params(&strange), Err(XmlError::TooManyValues { max: VALUES_MAX }.into()));
    }

    #[test]
    fn responses_are_pythons_to_the_byte() {
        let value = Value::Array(vec![
            Value::object([("name", "a<&>\"'é]]>".into()), ("pid", 0.into()), ("up", true.into())]),
            Value::Array(vec![]),
            Value::Struct(vec![]),
            (-5).into(),
            1.5.into(),
            "".into(),
        ]);
        let expected = "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><array><data>\n\
            <value><struct>\n<member>\n<name>name</name>\n<value><string>a&lt;&amp;&gt;\"'é]]&gt;</string></value>\n</member>\n\
            <member>\n<name>pid</name>\n<value><int>0</int></value>\n</member>\n\
            <member>\n<name>up</name>\n<value><boolean>1</boolean></value>\n</member>\n</struct></value>\n\
            <value><array><data>\n</data></array></value>\n<value><struct>\n</struct></value>\n\
            <value><int>-5</int></value>\n<value><double>1.5</double></value>\n<value><string></string></value>\n\
            </data></array></value>\n</param>\n</params>\n</methodResponse>\n";
        assert_eq!(String::from_utf8(write_response(&Ok(value))).unwrap(), expected);
        let fault = "<?xml version='1.0'?>\n<methodResponse>\n<fault>\n<value><struct>\n<member>\n<name>faultCode</name>\n\
            <value><int>10</int></value>\n</member>\n<member>\n<name>faultString</name>\n\
            <value><string>BAD_NAME: x</string></value>\n</member>\n</struct></value>\n</fault>\n</methodResponse>\n";
        let answer = Err(Fault::with(FaultCode::BadName, "x"));
        assert_eq!(String::from_utf8(write_response(&answer)).unwrap(), fault);
        assert_eq!(parse_response(fault.as_bytes()), Ok(answer));
    }

    #[test]
    fn requests_are_pythons_to_the_byte() {
        let expected = "<?xml version='1.0'?>\n<methodCall>\n<methodName>supervisor.startProcess</methodName>\n<params>\n\
            <param>\n<value><string>web</string></value>\n</param>\n<param>\n<value><boolean>0</boolean></value>\n</param>\n\
            </params>\n</methodCall>\n";
        let written = write_call("supervisor.startProcess", &["web".into(), false.into()]);
        assert_eq!(String::from_utf8(written).unwrap(), expected);
        let none =
            "<?xml version='1.0'?>\n<methodCall>\n<methodName>m</methodName>\n<params>\n</params>\n</methodCall>\n";
        assert_eq!(String::from_utf8(write_call("m", &[])).unwrap(), none);
    }

    #[test]
    fn control_characters_of_a_log_do_not_break_the_response() {
        let written = write_response(&Ok("\u{1b}[32mok\u{0}\u{ffff}\t".into()));
        assert_eq!(parse_response(&written), Ok(Ok("\u{fffd}[32mok\u{fffd}\u{fffd}\t".into())));
    }

    #[test]
    fn control_characters_of_a_request_arrive() {
        let typed = "\u{3}stop\u{1b}".repeat(20);
        assert_eq!(
            params(&String::from_utf8(write_call("m", &[typed.as_str().into()])).unwrap()),
            Ok(vec![typed.into()])
        );
    }

    #[test]
    fn a_response_of_the_original_with_raw_control_characters_is_read() {
        let xml = "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><string>\u{1b}[0m&#27;</string></value>\n\
            </param>\n</params>\n</methodResponse>\n";
        assert_eq!(parse_response(xml.as_bytes()), Ok(Ok("\u{1b}[0m\u{1b}".into())));
    }

    #[test]
    fn what_is_no_response_is_refused() {
        for xml in [
            "",
            "<html><body>no</body></html>",
            "<methodCall><methodName>m</methodName></methodCall>",
            "<methodResponse/>",
            "<methodResponse><params/></methodResponse>",
            "<methodResponse><fault><value>x</value></fault></methodResponse>",
        ] {
            assert!(parse_response(xml.as_bytes()).is_err(), "{xml}");
        }
    }

    fn text() -> impl Strategy<Value = String> {
        // Line ends are left out: XML reads a lone carriage return as a line feed.
        proptest::collection::vec(any::<char>().prop_filter("line end", |character| *character != '\r'), 0..20)
            .prop_map(|characters| characters.into_iter().collect())
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::Int),
            any::<bool>().prop_map(Value::Bool),
            text().prop_map(Value::String),
            any::<f64>().prop_filter("NaN is not equal to itself", |number| !number.is_nan()).prop_map(Value::Double),
        ];
        leaf.prop_recursive(6, 60, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
                proptest::collection::vec(("[a-z<&>]{0,8}".prop_map(Into::into), inner), 0..8).prop_map(Value::Struct),
            ]
        })
    }

    #[test]
    fn a_carriage_return_in_a_request_arrives() {
        let call = Call { method: "a.b".to_owned(), params: vec!["x\r\n\ry".into()] };
        assert_eq!(parse_call(&write_call(&call.method, &call.params)), Ok(call));
    }

    proptest! {
        #[test]
        fn a_request_comes_back_as_it_was(params in proptest::collection::vec(value(), 0..5)) {
            let call = Call { method: "a.b".to_owned(), params };
            prop_assert_eq!(parse_call(&write_call(&call.method, &call.params)), Ok(call));
        }

        #[test]
        fn what_is_written_once_is_written_the_same_way_again(value in value()) {
            let written = write_response(&Ok(value));
            let read = parse_response(&written).unwrap();
            prop_assert_eq!(write_response(&read), written);
        }

        #[test]
        fn no_mutation_of_a_request_makes_the_reader_panic(
            params in proptest::collection::vec(value(), 0..3),
            cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..10),
        ) {
            let mut bytes = write_call("a.b", &params);
            for (place, byte) in cuts {
                let at = place.index(bytes.len());
                match byte % 3 {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => drop(bytes.remove(at)),
                }
            }
            let _ = parse_call(&bytes);
            let _ = parse_response(&bytes);
        }
    }
}
