use skep_image::Ignore;

/// What divides an input: the ignore file before, paths after.
const DIVIDER: &str = "\n---\n";

/// An ignore file is read, or refused with a line in it; and of patterns without classes and escapes, what is ignored is what a second
/// matcher says, which knows no regular expressions.
pub fn dockerignore(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (file, paths) = text.split_once(DIVIDER).unwrap_or((&text, "a\na.b\nb/a\na/b/a.b"));
    let ignore = match Ignore::parse(file.as_bytes()) {
        Ok(ignore) => ignore,
        Err(error) => {
            assert!((1..=file.split('\n').count()).contains(&error.line), "{error}");
            return;
        }
    };
    let patterns: Option<Vec<Plain>> = file.split('\n').filter_map(plain).collect();
    for path in paths.split('\n').filter(|path| is_path(path)) {
        let ignored = ignore.ignores(path);
        if let Some(patterns) = &patterns {
            assert_eq!(
                ignored,
                docker(patterns, path) && buildah(patterns, path),
                "{path:?} by {patterns:?}"
            );
        }
    }
}

fn is_path(path: &str) -> bool {
    path.len() <= 24 && path.split('/').all(|part| !["", ".", ".."].contains(&part))
}

/// A pattern that both tools read alike.
#[derive(Debug)]
struct Plain {
    exception: bool,
    glob: Vec<char>,
}

/// Reads a line: `None` if it is no pattern, `Some(None)` if it is not a plain one.
fn plain(line: &str) -> Option<Option<Plain>> {
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (exception, glob) = match line.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let glob = glob.strip_prefix('/').unwrap_or(glob);
    let glob = glob.strip_suffix('/').unwrap_or(glob);
    let known = |char: char| char.is_ascii_alphanumeric() || "*?/._-,{}".contains(char);
    let counts = glob.contains('{') && glob.contains(|char: char| char.is_ascii_digit());
    let is_plain = is_path(glob) && glob.chars().all(known) && !counts && glob.matches('*').count() <= 6;
    Some(is_plain.then(|| Plain { exception, glob: glob.chars().collect() }))
}

/// Evaluates the lines from a folder to what is in it: one that matched a folder matches what is below.
fn docker(patterns: &[Plain], path: &str) -> bool {
    let mut matched = vec![false; patterns.len()];
    let mut ignored = false;
    for name in names(path) {
        ignored = false;
        for (index, pattern) in patterns.iter().enumerate() {
            // A line that could not change the answer is not evaluated.
            if !matched[index] && pattern.exception == ignored {
                matched[index] = match suffix(&pattern.glob) {
                    Some(suffix) => ends_with(&name, suffix),
                    None => matches(&pattern.glob, &name),
                };
            }
            if matched[index] {
                ignored = !pattern.exception;
            }
        }
    }
    ignored
}

/// The last line that matches the path or a folder above it decides.
fn buildah(patterns: &[Plain], path: &str) -> bool {
    let names = names(path);
    let last = patterns.iter().rev().find(|pattern| names.iter().any(|name| matches(&pattern.glob, name)));
    last.is_some_and(|pattern| !pattern.exception)
}

/// A path and the folders above it, from the top.
fn names(path: &str) -> Vec<Vec<char>> {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    ends.map(|end| path[..end].chars().collect()).collect()
}

/// What follows a leading `**` if nothing else in the pattern is special: Docker compares it with the path's end.
fn suffix(glob: &[char]) -> Option<&[char]> {
    let rest = glob.strip_prefix(&['*', '*'])?;
    (!rest.contains(&'*') && !rest.contains(&'?')).then_some(rest)
}

fn ends_with(name: &[char], suffix: &[char]) -> bool {
    name.ends_with(suffix) || suffix.strip_prefix(&['/']) == Some(name)
}

/// Matches by trying every length of what a star stands for.
fn matches(glob: &[char], name: &[char]) -> bool {
    match glob {
        [] => name.is_empty(),
        ['*', '*', rest @ ..] => {
            let rest = rest.strip_prefix(&['/']).unwrap_or(rest);
            let after_slash = |at: &usize| *at == 0 || name[at - 1] == '/';
            rest.is_empty() || (0..=name.len()).filter(after_slash).any(|at| matches(rest, &name[at..]))
        }
        ['*', rest @ ..] => {
            let part = name.iter().position(|char| *char == '/').unwrap_or(name.len());
            (0..=part).any(|at| matches(rest, &name[at..]))
        }
        ['?', rest @ ..] => {
            name.split_first().is_some_and(|(char, name)| *char != '/' && matches(rest, name))
        }
        [char, rest @ ..] => {
            name.split_first().is_some_and(|(first, name)| first == char && matches(rest, name))
        }
    }
}
