//! YAML text → nodes that know where they are.
//!
//! A scalar keeps its text as written, so that `args: { VERSION: 1.10 }` stays `1.10`: what a scalar means is decided
//! by the key that asks for it. Anchors, aliases and merge keys work; duplicate keys are refused.

use std::collections::BTreeMap;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span};

use crate::{
    conceal::name_in,
    error::{Fault, Problem},
};

/// More nodes than any project file has; aliases of aliases must not fill the memory.
const MOST_NODES: usize = 200_000;

/// A place in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct At {
    /// From 1.
    pub(crate) line: usize,
    /// From 1, in characters.
    pub(crate) column: usize,
    /// In bytes.
    pub(crate) offset: usize,
    /// In bytes, up to the end of the first line.
    pub(crate) len: usize,
    /// Where it ends, in bytes from the file's beginning, all its lines included.
    pub(crate) end: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// `plain`: written without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: At,
    pub(crate) node: Node,
}

impl Node {
    /// Whether nothing was written, or `~` or `null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// What a person would call this: `a list`, `the number 7`.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            _ if self.is_null() => "nothing".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
            Value::Scalar { text, plain: true } if text.parse::<f64>().is_ok() => {
                format!("the number {text}")
            }
            Value::Scalar { text, plain: true } if matches!(text.as_str(), "true" | "false") => {
                format!("the boolean {text}")
            }
            Value::Scalar { text, .. } => format!("`{text}`"),
        }
    }

    /// The value at `key` of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }
}

/// Parses one document. A file that holds nothing is an empty mapping.
pub(crate) fn parse(text: &str) -> Result<Node, Fault> {
    let mut builder =
        Builder { parser: Parser::new_from_str(text), text, anchors: BTreeMap::new(), nodes: 0 };
    let empty = Node { at: At { line: 1, column: 1, ..At::default() }, value: Value::Map(Vec::new()) };
    let mut root = None;
    loop {
        let (event, at) = builder.next()?;
        match event {
            Event::StreamEnd => break,
            Event::DocumentStart(..) if root.is_some() => {
                return Err(Fault::syntax(
                    at,
                    "a project file is one YAML document, and here a second one begins",
                ));
            }
            Event::DocumentStart(..) => {
                let (event, at) = builder.next()?;
                root = Some(builder.node(event, at)?);
            }
            _ => {}
        }
    }
    Ok(root.filter(|node| !node.is_null()).unwrap_or(empty))
}

struct Builder<'t> {
    parser: Parser<'t, serde_saphyr::granit_parser::StrInput<'t>>,
    text: &'t str,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

impl<'t> Builder<'t> {
    fn next(&mut self) -> Result<(Event<'t>, At), Fault> {
        loop {
            match self.parser.next_event() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok((event, span))) => return Ok((event, self.at(&span))),
                Some(Err(error)) => {
                    let mark = error.marker();
                    let at = At { line: mark.line(), column: mark.col() + 1, ..At::default() };
                    return Err(Fault::syntax(at, &error.info()));
                }
                None => return Ok((Event::StreamEnd, At::default())),
            }
        }
    }

    /// A span, cut at the end of its first line: a collection is pointed at where it begins.
    fn at(&self, span: &Span) -> At {
        let range = span.byte_range().unwrap_or_default();
        let text = self.text.get(range.clone()).unwrap_or_default();
        At {
            line: span.start.line(),
            column: span.start.col() + 1,
            offset: range.start,
            end: range.end,
            len: text.lines().next().unwrap_or_default().trim_end().len(),
        }
    }

    fn node(&mut self, event: Event<'t>, at: At) -> Result<Node, Fault> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(Fault::syntax(at, "this file grows too large when its aliases are followed"));
        }
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let text = text.into_owned();
                (anchor, Value::Scalar { text, plain })
            }
            Event::SequenceStart(_, anchor, _) => (anchor, Value::List(self.list()?)),
            Event::MappingStart(_, anchor, _) => (anchor, Value::Map(self.map()?)),
            Event::Alias(id) => {
                let node = self.anchors.get(&id).cloned().ok_or_else(|| {
                    Fault::syntax(at, "this alias names an anchor that it is itself a part of")
                })?;
                self.nodes += weight(&node);
                return Ok(node);
            }
            _ => return Err(Fault::syntax(at, "expected a value here")),
        };
        let node = Node { at, value };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self) -> Result<Vec<Node>, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, at) => items.push(self.node(event, at)?),
            }
        }
    }

    fn map(&mut self) -> Result<Vec<Entry>, Fault> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (event, key_at) = match self.next()? {
                (Event::MappingEnd, _) => break,
                pair => pair,
            };
            let Value::Scalar { text: key, plain } = self.node(event, key_at)?.value else {
                return Err(Fault::syntax(key_at, "a key must be a plain word, and this is a collection"));
            };
            let (event, at) = self.next()?;
            let node = self.node(event, at)?;
            if key == "<<" && plain {
                merged.extend(merge_sources(node)?);
                continue;
            }
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let first_line = first.key_at.line;
                let key = name_in(&key);
                return Err(Fault::new(key_at, "", Problem::DuplicateKey { key, first_line }));
            }
            entries.push(Entry { key, key_at, node });
        }
        for entry in merged {
            if !entries.iter().any(|own| own.key == entry.key) {
                entries.push(entry);
            }
        }
        Ok(entries)
    }
}

/// What `<<` brings in: the keys of a mapping, or of several, where an earlier one wins.
fn merge_sources(node: Node) -> Result<Vec<Entry>, Fault> {
    match node.value {
        Value::Map(entries) => Ok(entries),
        Value::List(nodes) => {
            let lists = nodes.into_iter().map(merge_sources).collect::<Result<Vec<_>, _>>()?;
            Ok(lists.into_iter().flatten().collect())
        }
        Value::Scalar { .. } => Err(Fault::syntax(node.at, "`<<` merges a mapping, and this is not one")),
    }
}

fn weight(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar { .. } => 0,
        Value::List(nodes) => nodes.iter().map(weight).sum(),
        Value::Map(entries) => entries.iter().map(|entry| weight(&entry.node)).sum(),
    }
}
