//! YAML documents → JSON values, with the place of every field.
//!
//! Built on the parser's events, not on serde: only so can a scalar mean what it means to kubectl (see [`crate::scalar`])
//! and each field keep its line. A mapping is read in order, so that a merge key overrides what stands before it and is
//! overridden by what comes after, as in goyaml.v2. A key that is written twice is an error.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

use crate::{
    error::{ManifestError, Problem},
    object::{Place, SourceFile, escaped},
    scalar,
};

/// More values than any manifest has; aliases of aliases must not fill the memory.
const MOST_VALUES: usize = 500_000;

/// Characters that end a line in YAML 1.1, which kubectl reads, and not in YAML 1.2, which the parser reads; with their escapes. After one
/// of them a comment's text is a key to kubectl.
const OTHER_LINE_BREAKS: [(char, &str); 3] = [('\u{85}', "\\N"), ('\u{2028}', "\\L"), ('\u{2029}', "\\P")];

/// One document of a file.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) value: Value,
    pub(crate) place: Place,
    /// JSON pointer → place.
    pub(crate) places: BTreeMap<String, Place>,
}

/// All documents of a file that hold something; one that says `null` does, an empty one doesn't.
pub(crate) fn documents(source: &Arc<SourceFile>) -> Result<Vec<Document>, ManifestError> {
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text);
    let bom = source.text.len() - text.len();
    // To kubectl, what begins with a brace is JSON.
    if !text.trim_start().starts_with('{') {
        refuse_other_line_breaks(source, text, bom)?;
    }
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        text,
        bom,
        source,
        anchors: BTreeMap::new(),
        places: BTreeMap::new(),
        values: 0,
    };
    let mut documents = Vec::new();
    loop {
        match builder.next()?.0 {
            Event::StreamEnd => return Ok(documents),
            Event::DocumentStart(..) => {
                let (event, place) = builder.next()?;
                // The parser writes `~` where nothing stands.
                let is_empty =
                    place.len == 0 && matches!(&event, Event::Scalar(_, ScalarStyle::Plain, 0, None));
                let value = builder.value(event, &place, "")?;
                builder.anchors.clear();
                let places = std::mem::take(&mut builder.places);
                if !is_empty {
                    documents.push(Document { value, place, places });
                }
            }
            _ => {}
        }
    }
}

fn refuse_other_line_breaks(source: &Arc<SourceFile>, text: &str, bom: usize) -> Result<(), ManifestError> {
    let found = text.char_indices().find_map(|(offset, char)| {
        let (_, escape) = OTHER_LINE_BREAKS.iter().find(|(other, _)| *other == char)?;
        Some((offset, char, escape))
    });
    let Some((offset, char, escape)) = found else { return Ok(()) };
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let place = Place {
        source: Arc::clone(source),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        offset: offset + bom,
        len: char.len_utf8(),
    };
    let code = u32::from(char);
    let message = format!(
        "U+{code:04X} is a line break to kubectl; remove it, or write `{escape}` between double quotes"
    );
    Err(syntax(&place, message))
}

struct Builder<'t> {
    parser: Parser<'t, StrInput<'t>>,
    text: &'t str,
    bom: usize,
    source: &'t Arc<SourceFile>,
    anchors: BTreeMap<usize, Value>,
    places: BTreeMap<String, Place>,
    values: usize,
}

impl<'t> Builder<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Place), ManifestError> {
        loop {
            match self.parser.next_event() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok((event, span))) => return Ok((event, self.place(&span))),
                Some(Err(error)) => {
                    let place = self.place(&Span::empty(*error.marker()));
                    return Err(syntax(&place, error.info()));
                }
                None => return Ok((Event::StreamEnd, self.place(&Span::default()))),
            }
        }
    }

    fn place(&self, span: &Span) -> Place {
        let range = span.byte_range().unwrap_or_default();
        let offset = range.start.min(self.text.len());
        let text = self.text.get(range).unwrap_or_default();
        Place {
            source: Arc::clone(self.source),
            line: span.start.line(),
            column: span.start.col() + 1,
            offset: offset + self.bom,
            len: text.lines().next().unwrap_or_default().trim_end().len(),
        }
    }

    fn value(&mut self, event: Event<'t>, place: &Place, pointer: &str) -> Result<Value, ManifestError> {
        self.count(1, place)?;
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref()).map_err(|why| syntax(place, why))?;
                (anchor, value)
            }
            Event::SequenceStart(_, anchor, _) => (anchor, self.list(pointer)?),
            Event::MappingStart(_, anchor, _) => (anchor, self.map(pointer)?),
            Event::Alias(id) => {
                let value = self.anchors.get(&id).cloned();
                let value = value
                    .ok_or_else(|| syntax(place, "this alias names an anchor that it is itself a part of"))?;
                self.count(weight(&value), place)?;
                return Ok(value);
            }
            _ => return Err(syntax(place, "expected a value here")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn count(&mut self, values: usize, place: &Place) -> Result<(), ManifestError> {
        self.values += values;
        if self.values > MOST_VALUES {
            return Err(syntax(place, "this file grows too large when its aliases are followed"));
        }
        Ok(())
    }

    fn list(&mut self, pointer: &str) -> Result<Value, ManifestError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::Array(items)),
                (event, place) => {
                    let pointer = format!("{pointer}/{}", items.len());
                    let value = self.value(event, &place, &pointer)?;
                    self.places.insert(pointer, place);
                    items.push(value);
                }
            }
        }
    }

    fn map(&mut self, pointer: &str) -> Result<Value, ManifestError> {
        let mut map = Map::new();
        let mut lines: BTreeMap<String, usize> = BTreeMap::new();
        loop {
            let (event, place) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let is_merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = self.value(event, &place, "")?;
            let key =
                scalar::key(key).ok_or_else(|| syntax(&place, "a key must be a word, and this is not"))?;
            let below = format!("{pointer}/{}", escaped(&key));
            let (event, value_place) = self.next()?;
            if is_merge {
                let value = self.value(event, &value_place, "/<<")?;
                map.extend(merge_sources(value).map_err(|why| syntax(&value_place, why))?);
                continue;
            }
            let is_scalar = matches!(event, Event::Scalar(..));
            let value = self.value(event, &value_place, &below)?;
            if let Some(&first_line) = lines.get(&key) {
                return Err(ManifestError::new(&place, None, Problem::DuplicateKey { key, first_line }));
            }
            lines.insert(key.clone(), place.line);
            // A scalar is pointed at itself; what is longer, at its key.
            self.places.insert(below, if is_scalar { value_place } else { place });
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

fn syntax(place: &Place, message: impl Into<String>) -> ManifestError {
    let message = message.into();
    ManifestError::new(place, None, Problem::Syntax { message })
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, &'static str> {
    let string = || Ok(Value::String(text.to_owned()));
    match tag {
        Some(tag) => match tag.core_suffix() {
            Some(core) => scalar::tagged(core, text),
            None if tag.suffix() == "binary" => Err("`!!binary` is not supported: write base64 under `data`"),
            None => string(),
        },
        None if style == ScalarStyle::Plain => scalar::plain(text),
        None => string(),
    }
}

/// What `<<` brings in; of several mappings, an earlier one wins.
fn merge_sources(value: Value) -> Result<Map<String, Value>, &'static str> {
    match value {
        Value::Object(map) => Ok(map),
        Value::Array(values) => {
            let mut merged = Map::new();
            for value in values.into_iter().rev() {
                merged.extend(merge_sources(value)?);
            }
            Ok(merged)
        }
        _ => Err("`<<` merges a mapping, and this is not one"),
    }
}

fn weight(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(weight).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(weight).sum::<usize>(),
        _ => 1,
    }
}
