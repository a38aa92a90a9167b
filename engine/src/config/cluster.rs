//! `node-id`, `node` and `scope`: what the configuration declares of the cluster. Their words are the catalog's.

use bobbin_cluster::catalog::{Change, Refusal, parse_scope};
use bobbin_cluster::node::BadNode;
use bobbin_cluster::scope::Scope;
use bobbin_cluster::{Address, NodeName};

use super::{
    kind::Kind,
    setting::{BadValue, Load, Setting},
    syntax,
};

const SYNTAX: &str = "syntax error";

/// Which of the nodes this server is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeId(pub Option<NodeName>);

/// Nodes in the order in which they are declared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeDeclarations(pub Vec<(NodeName, Address)>);

/// Scopes in the order in which they are declared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeDeclarations(pub Vec<Scope>);

impl Setting for NodeId {
    fn assign(&mut self, _: &Kind, words: &[Vec<u8>], _: Load) -> Result<(), BadValue> {
        let name = (!words[0].is_empty()).then(|| NodeName::new(&words[0])).transpose();
        self.0 = name.map_err(|error| BadValue::from(error.to_string()))?;
        Ok(())
    }

    fn text(&self, _: &Kind) -> Vec<u8> {
        self.0.as_ref().map_or_else(Vec::new, |name| name.as_str().into())
    }
}

impl Setting for NodeDeclarations {
    const GATHERS: bool = true;

    fn assign(&mut self, _: &Kind, words: &[Vec<u8>], load: Load) -> Result<(), BadValue> {
        let declared = match words {
            words if is_nothing(words) => None,
            [name, address] => Some(node(name, address).map_err(|bad| BadValue::from(bad.to_string()))?),
            _ => return Err(SYNTAX.into()),
        };
        gather(&mut self.0, declared, load);
        Ok(())
    }

    fn text(&self, kind: &Kind) -> Vec<u8> {
        text_of(&self.0, &self.lines(kind))
    }

    fn lines(&self, _: &Kind) -> Vec<Vec<u8>> {
        let declared = |(name, address): &(NodeName, Address)| format!("{name} {address}").into_bytes();
        lines_of(self.0.iter().map(declared))
    }
}

impl Setting for ScopeDeclarations {
    const GATHERS: bool = true;

    fn assign(&mut self, _: &Kind, words: &[Vec<u8>], load: Load) -> Result<(), BadValue> {
        let declared = (!is_nothing(words)).then(|| parse_scope(words)).transpose();
        let declared = declared.map_err(|refusal| match refusal {
            Refusal::Syntax => SYNTAX.into(),
            refusal => BadValue::from(refusal.to_string()),
        })?;
        gather(&mut self.0, declared, load);
        Ok(())
    }

    fn text(&self, kind: &Kind) -> Vec<u8> {
        text_of(&self.0, &self.lines(kind))
    }

    fn lines(&self, _: &Kind) -> Vec<Vec<u8>> {
        lines_of(self.0.iter().map(|scope| syntax::join_words(&Change::Scope(scope.clone()).words()[1..])))
    }
}

/// `""`: none, whatever lines before it say.
fn is_nothing(words: &[Vec<u8>]) -> bool {
    matches!(words, [] | [_]) && words.iter().all(Vec::is_empty)
}

fn gather<T>(all: &mut Vec<T>, declared: Option<T>, load: Load) {
    if load == Load::Replace || declared.is_none() {
        all.clear();
    }
    all.extend(declared);
}

fn node(name: &[u8], address: &[u8]) -> Result<(NodeName, Address), BadNode> {
    Ok((NodeName::new(name)?, Address::new(address)?))
}

/// All lines in one, or nothing.
fn text_of<T>(declared: &[T], lines: &[Vec<u8>]) -> Vec<u8> {
    if declared.is_empty() { Vec::new() } else { lines.join(&b' ') }
}

fn lines_of(declared: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let lines: Vec<_> = declared.collect();
    if lines.is_empty() { vec![b"\"\"".to_vec()] } else { lines }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, load_text};
    use std::path::Path;

    fn loaded(text: &str) -> Result<Config, String> {
        let loaded = load_text(Path::new("t"), text.as_bytes());
        loaded.map(|loaded| loaded.config).map_err(|error| error.to_string())
    }

    #[test]
    fn declarations_add_up_and_are_written_back() {
        let text = "node-id a\nnode a 10.0.0.1:1\nnode b [::1]:2\n\
                    scope \"a b:\" writer a\nscope x WRITER b Fallback a\n";
        let config = loaded(text).unwrap();
        let texts = config.matching(&[b"node-id", b"node", b"scope"]).into_iter().map(|(_, text)| text);
        let texts: Vec<_> = texts.map(|text| String::from_utf8(text).unwrap()).collect();
        assert_eq!(texts, ["a", "a 10.0.0.1:1 b [::1]:2", "\"a b:\" writer a x writer b fallback a"]);
        let rewritten = config.rewritten(Path::new("t"), b"").unwrap();
        assert_eq!(loaded(std::str::from_utf8(&rewritten).unwrap()).unwrap(), config);
        let forgotten = loaded(&format!("{text}scope \"\"\nscope y writer a\n")).unwrap();
        assert_eq!(forgotten.scopes.0.len(), 1);
    }

    #[test]
    fn what_is_no_declaration_is_refused_in_its_line() {
        for (line, problem) in [
            ("node a", "syntax error"),
            ("node a b c", "syntax error"),
            ("node a h:0", "a node's address is host:port"),
            ("node a/b h:1", "a node's name is of 1 to 64 letters"),
            ("scope x", "syntax error"),
            ("scope x writer", "syntax error"),
            ("scope x writer a fallback", "syntax error"),
            ("scope x fallback a writer b", "syntax error"),
            ("node-id \"a b\"", "a node's name is of 1 to 64 letters"),
        ] {
            let error = loaded(line).unwrap_err();
            assert!(error.starts_with(&format!("t:1: {problem}")), "{line}: {error}");
            assert!(error.contains("expected: "), "{error}");
        }
    }
}
