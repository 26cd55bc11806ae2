//! `.dockerignore`: what a build never sees, and what its inputs therefore don't include.

use globset::{GlobBuilder, GlobMatcher};

/// The patterns of a `.dockerignore`, in order: the last that matches decides.
#[derive(Debug, Default)]
pub(super) struct Ignore(Vec<Pattern>);

#[derive(Debug)]
struct Pattern {
    keeps: bool,
    matcher: GlobMatcher,
}

impl Ignore {
    /// Reads a file's text. A pattern that can't be understood is left out: what it hides counts as an input then, which costs a build
    /// and spoils none.
    pub(super) fn parse(text: &str) -> Self {
        let patterns = text.trim_start_matches('\u{feff}').lines().filter_map(|line| {
            let line = line.trim();
            if line.starts_with('#') || line.is_empty() {
                return None;
            }
            let (keeps, glob) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            let glob = glob.trim_start_matches("./").trim_matches('/');
            let matcher = GlobBuilder::new(glob).literal_separator(true).build().ok()?.compile_matcher();
            Some(Pattern { keeps, matcher })
        });
        Self(patterns.collect())
    }

    /// Whether a path, relative to the context and with `/` between its parts, is left out.
    pub(super) fn leaves_out(&self, path: &str) -> bool {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        let parts: Vec<&str> = ends.map(|end| &path[..end]).collect();
        let mut out = false;
        for pattern in &self.0 {
            if pattern.keeps == out && parts.iter().any(|part| pattern.matcher.is_match(part)) {
                out = !pattern.keeps;
            }
        }
        out
    }

    /// Whether nothing below a folder that is left out can be in the context.
    pub(super) fn has_exceptions(&self) -> bool {
        self.0.iter().any(|pattern| pattern.keeps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_docker_reads_it() {
        let ignore = Ignore::parse(
            "# build output\ntarget\n/dist/\n*.log\n**/node_modules\ndocs/*\n!docs/api.md\n\n.git\n",
        );
        for out in [
            "target",
            "target/debug/x",
            "dist/a",
            "a.log",
            "web/node_modules/x/y",
            "node_modules",
            "docs/x.md",
            ".git/HEAD",
        ] {
            assert!(ignore.leaves_out(out), "{out}");
        }
        for in_it in ["src/target", "src/a.log", "docs/api.md", "docs", "targets", "a/dist"] {
            assert!(!ignore.leaves_out(in_it), "{in_it}");
        }
        let all_but = Ignore::parse("*\n!src\n!Cargo.*\n");
        assert!(all_but.leaves_out("README.md") && !all_but.leaves_out("src/a/b.rs"));
        assert!(!all_but.leaves_out("Cargo.toml") && all_but.has_exceptions());
    }
}
