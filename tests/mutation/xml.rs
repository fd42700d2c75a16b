//! Calls as XML: valid ones of every method, and such whose structure is wrong.

use crate::dice::Dice;

/// A method and the types of its parameters, as the daemon tells them.
pub(crate) struct Signature {
    pub(crate) name: String,
    pub(crate) kinds: Vec<String>,
}

/// Of programs that may be started, stopped and removed; the one that must not be touched is not among them.
const NAMES: &[&str] =
    &["toy:toy_0", "toy:toy_1", "toy:*", "toy:", "toy", "no", "no:no", "", ":", "a b", "&amp;", "toy:toy_0:x", "*"];
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "100",
    "2147483647",
    "-2147483648",
    "9223372036854775807",
    "99999999999999999999",
    "",
    "1.5",
    "x",
];
/// None that ends a program.
const SIGNALS: &[&str] = &["CONT", "SIGWINCH", "ZZZ", "-1", "0", "999", ""];
const OPTIONS: &[(&str, &str)] = &[
    ("command", "/bin/false"),
    ("autostart", "false"),
    ("startsecs", "0"),
    ("priority", "x"),
    ("environment", "A=1,B"),
    ("nonsense", "%(here)s"),
    ("directory", "/none"),
    ("exitcodes", "0,1,999"),
];

/// A valid or nearly valid call.
pub(crate) fn call(signature: &Signature, dice: &mut Dice) -> String {
    let mut params: Vec<String> = signature.kinds.iter().map(|kind| value(&signature.name, kind, dice)).collect();
    if !acts_on_all(&signature.name) {
        disarrange(&mut params, dice);
    } else if signature.name.ends_with("stopAllProcesses") {
        // One parameter of any kind would stop everything.
        params.push("<i4>1</i4>".to_owned());
    }
    let params = params.join("</value></param>\n<param><value>");
    let params = if params.is_empty() { params } else { format!("<param><value>{params}</value></param>\n") };
    format!(
        "<?xml version='1.0'?>\n<methodCall>\n<methodName>{}</methodName>\n<params>\n{params}</params>\n</methodCall>\n",
        signature.name
    )
}

/// Whether a call that is right would touch the program that must not be touched.
fn acts_on_all(name: &str) -> bool {
    name.ends_with("stopAllProcesses") || name.ends_with("signalAllProcesses")
}

fn value(method: &str, kind: &str, dice: &mut Dice) -> String {
    match kind {
        "string" if method.contains("ignal") && dice.one_in(2) => format!("<string>{}</string>", dice.pick(SIGNALS)),
        "string" if method.starts_with("system.") => {
            format!("<string>{}</string>", dice.pick(&["supervisor.getState", "twiddler.log", "no.such", "system"]))
        }
        "string" => format!("<string>{}</string>", dice.pick(NAMES)),
        "int" => format!("<int>{}</int>", dice.pick(NUMBERS)),
        "boolean" => format!("<boolean>{}</boolean>", dice.pick(&["0", "1", "2", "true", ""])),
        "struct" => {
            let members = (0..dice.throw(4)).map(|_| OPTIONS[dice.throw(OPTIONS.len())]);
            let members: String = members.map(|(key, text)| member(key, text)).collect();
            format!("<struct>{}{members}</struct>", member("autostart", "false"))
        }
        "array" => {
            let one = "<struct><member><name>methodName</name><value>supervisor.getState</value></member>\
                       <member><name>params</name><value><array><data></data></array></value></member></struct>";
            format!("<array><data>{}</data></array>", format!("<value>{one}</value>").repeat(dice.throw(5)))
        }
        _ => "<string>INFO</string>".to_owned(),
    }
}

fn member(key: &str, text: &str) -> String {
    format!("<member><name>{key}</name><value><string>{text}</string></value></member>")
}

/// Wrong numbers, orders, types and depths of parameters.
fn disarrange(params: &mut Vec<String>, dice: &mut Dice) {
    const STRANGE: &[&str] = &[
        "<nil/>",
        "<base64>AAA=</base64>",
        "<base64>!</base64>",
        "<dateTime.iso8601>20260101T00:00:00</dateTime.iso8601>",
        "<dateTime.iso8601>x</dateTime.iso8601>",
        "<double>1e400</double>",
        "<double>NaN</double>",
        "<i8>5</i8>",
        "<unknown>5</unknown>",
        "<string>&#65;&lt;&unknown;</string>",
        "<string>&#x110000;</string>",
        "<struct><member><name>a</name></member></struct>",
        "<struct><member><value>a</value></member></struct>",
        "<array><data><value/></data></array>",
        "<array></array>",
        "<![CDATA[<x>]]>",
        "",
    ];
    for _ in 0..dice.throw(3) {
        let at = dice.throw(params.len() + 1);
        match dice.throw(6) {
            0 => params.insert(at, dice.pick(STRANGE).to_owned()),
            1 if at < params.len() => drop(params.remove(at)),
            2 if at < params.len() => dice.pick(STRANGE).clone_into(&mut params[at]),
            3 if at < params.len() => params.push(params[at].clone()),
            4 => {
                let depth = dice.throw(200);
                let (open, close) = ("<array><data><value>".repeat(depth), "</value></data></array>".repeat(depth));
                params.insert(at, format!("{open}1{close}"));
            }
            _ => params.insert(at, format!("<string>{}</string>", "x".repeat(dice.throw(20_000)))),
        }
    }
}
