use super::*;

fn parse(text: &str) -> Ignore {
    Ignore::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// Docker's side alone, of patterns that are given as moby/patternmatcher's tests give them: as lines.
fn docker(patterns: &[&str], path: &str) -> bool {
    parse(&patterns.join("\n")).docker_ignores(path)
}

/// Pattern, path, whether it matches: the cases of moby/patternmatcher's own tests. A path with a `/` at its end is left out: no context
/// has one.
const DOCKER: &[(&str, &str, bool)] = &[
    ("*", "fileutils.go", true),
    ("*.go", "fileutils.go", true),
    ("**", "file", true),
    ("**/", "file", true),
    ("**", "dir/file", true),
    ("**/", "dir/file", true),
    ("**/**", "dir/file", true),
    ("dir/**", "dir/file", true),
    ("dir/**", "dir/dir2/file", true),
    ("**/dir", "dir", true),
    ("**/dir", "dir/file", true),
    ("**/dir2/*", "dir/dir2/file", true),
    ("**/dir2/**", "dir/dir2/dir3/file", true),
    ("**file", "file", true),
    ("**file", "dir/file", true),
    ("**/file", "dir/file", true),
    ("**file", "dir/dir/file", true),
    ("**/file", "dir/dir/file", true),
    ("**/file*", "dir/dir/file", true),
    ("**/file*", "dir/dir/file.txt", true),
    ("**/file*txt", "dir/dir/file.txt", true),
    ("**/file*.txt", "dir/dir/file.txt", true),
    ("**/file*.txt*", "dir/dir/file.txt", true),
    ("**/**/*.txt", "dir/dir/file.txt", true),
    ("**/**/*.txt2", "dir/dir/file.txt", false),
    ("**/*.txt", "file.txt", true),
    ("**/**/*.txt", "file.txt", true),
    ("a**/*.txt", "a/file.txt", true),
    ("a**/*.txt", "a/dir/file.txt", true),
    ("a**/*.txt", "a/dir/dir/file.txt", true),
    ("a/*.txt", "a/dir/file.txt", false),
    ("a/*.txt", "a/file.txt", true),
    ("a/*.txt**", "a/file.txt", true),
    ("a[b-d]e", "ae", false),
    ("a[b-d]e", "ace", true),
    ("a[b-d]e", "aae", false),
    ("a[^b-d]e", "aze", true),
    (".*", ".foo", true),
    (".*", "foo", false),
    ("abc.def", "abcdef", false),
    ("abc.def", "abc.def", true),
    ("abc.def", "abcZdef", false),
    ("abc?def", "abcZdef", true),
    ("abc?def", "abcdef", false),
    (r"a\\", r"a\", true),
    (r"a\*b", "a*b", true),
    (r"a\*b", "ab", false),
    ("**/foo/bar", "foo/bar", true),
    ("**/foo/bar", "dir/foo/bar", true),
    ("**/foo/bar", "dir/dir2/foo/bar", true),
    ("abc/**", "abc", false),
    ("abc/**", "abc/def", true),
    ("abc/**", "abc/def/ghi", true),
    ("**/.foo", ".foo", true),
    ("**/.foo", "bar.foo", false),
    ("a(b)c/def", "a(b)c/def", true),
    ("a(b)c/def", "a(b)c/xyz", false),
    ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
    (
        "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
        "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
        true,
    ),
    ("dist/*.whl", "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", true),
    // Those of Go's `filepath.Match`.
    ("abc", "abc", true),
    ("*", "abc", true),
    ("*c", "abc", true),
    ("a*", "a", true),
    ("a*", "abc", true),
    ("a*", "ab/c", true),
    ("a*/b", "abc/b", true),
    ("a*/b", "a/c/b", false),
    ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
    ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
    ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
    ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
    ("a*b?c*x", "abxbbxdbxebxczzx", true),
    ("a*b?c*x", "abxbbxdbxebxczzy", false),
    ("ab[c]", "abc", true),
    ("ab[b-d]", "abc", true),
    ("ab[e-g]", "abc", false),
    ("ab[^c]", "abc", false),
    ("ab[^b-d]", "abc", false),
    ("ab[^e-g]", "abc", true),
    ("a?b", "a☺b", true),
    ("a[^a]b", "a☺b", true),
    ("a???b", "a☺b", false),
    ("a[^a][^a][^a]b", "a☺b", false),
    ("[a-ζ]*", "α", true),
    ("*[a-ζ]", "A", false),
    ("a?b", "a/b", false),
    ("a*b", "a/b", false),
    (r"[\]a]", "]", true),
    (r"[\-]", "-", true),
    (r"[x\-]", "x", true),
    (r"[x\-]", "-", true),
    (r"[x\-]", "z", false),
    (r"[\-x]", "x", true),
    (r"[\-x]", "-", true),
    (r"[\-x]", "a", false),
    ("*x", "xxx", true),
    // The report's own: braces and `[!` are ordinary characters, a leading `**` needs no `/`.
    ("*.{log,tmp}", "a.log", false),
    ("*.{log,tmp}", "a.{log,tmp}", true),
    ("{c,d}.txt", "c.txt", false),
    ("[!z]*.md", "a.md", false),
    ("[!z]*.md", "!a.md", true),
    ("**.tm*", "a.tmp", false),
    ("**.tm*", ".tmp", true),
    ("**.tmp", "dir/a.tmp", true),
    ("*{2}", "a{2}", false),
    ("a|b*", "a|b", false),
    ("a|b", "a|b", true),
    // A `*` between brackets becomes a class of its own.
    ("[*]a]", "[^a]", false),
    ("[*]a]", "[[]a]", true),
    ("a^b", "a^b", true),
    ("a^b*", "a^bc", false),
    (r"v\d", "v1", true),
    (r"v[\d.]x", "v.x", true),
    ("[[:digit:]]x", "1x", true),
    (".", "a", false),
    ("/", "a", false),
];

#[test]
fn patternmatcher_table_agrees() {
    for (pattern, path, matches) in DOCKER {
        assert_eq!(docker(&[pattern], path), *matches, "{pattern} {path}");
    }
}

#[test]
fn exceptions_follow_the_order_of_lines() {
    for (patterns, path, ignored) in [
        (&["!fileutils.go", "*.go"][..], "fileutils.go", true),
        (&["*.go", "!fileutils.go"], "fileutils.go", false),
        (&["docs", "!docs/README.md"], "docs/README.md", false),
        (&["docs/", "!docs/README.md"], "docs/README.md", false),
        (&["docs/*", "!docs/README.md"], "docs/README.md", false),
        (&["**", "!util/docker/web"], "util/docker/web/foo", false),
        (&["**", "!util/docker/web", "util/docker/web/foo"], "util/docker/web/foo", true),
        (&["**", "!dist/*.whl"], "dist/a-2.4.0rc3.dev36+g08acad9.whl", false),
        (&["*", "!src", "!Cargo.*"], "src/a/b.rs", false),
        (&["*", "!src", "!Cargo.*"], "Cargo.toml", false),
        (&["*", "!src", "!Cargo.*"], "README.md", true),
        (&["docs", "  !docs/README.md  "], "docs/README.md", false),
        // A folder's exception was not evaluated where the folder was no part of what is ignored.
        (&["dir/file", "!dir"], "dir/file", true),
    ] {
        assert_eq!(docker(patterns, path), ignored, "{patterns:?} {path}");
    }
}

#[test]
fn lines_are_read_as_docker_reads_them() {
    for (text, path, ignored) in [
        ("# a comment\n", "# a comment", false),
        ("  # a pattern\n", "# a pattern", true),
        ("\u{feff}# a comment\ntarget", "target/debug/x", true),
        ("\u{feff}target", "target", true),
        ("target/\r\ndist\r\n", "target/x", true),
        ("target/\r\ndist\r\n", "dist", true),
        ("/dist/\n", "dist/a", true),
        ("/dist/\n", "a/dist", false),
        ("./dist\n", "dist", true),
        ("a/../dist\n", "dist", true),
        ("*\n! /src/\n", "src/a", false),
        ("\n   \n\t\ndist", "dist", true),
        ("node_modules", "web/node_modules", false),
        ("**/node_modules", "web/node_modules/x/y", true),
    ] {
        assert_eq!(parse(text).docker_ignores(path), ignored, "{text:?} {path}");
    }
}

#[test]
fn malformed_pattern_is_refused_with_its_line() {
    for pattern in [
        "!",
        "! ",
        "!/",
        "/!",
        "[",
        "[^",
        "[^bc",
        "a[",
        "[]a]",
        "[-]",
        "[x-]",
        "[-x]",
        "[a-b-c]",
        r"\",
        "[z-a]",
        "[Local-Only]/",
        r"web\uploads",
        "[[:letter:]]",
    ] {
        let error = Ignore::parse(format!("# one\ntwo\n{pattern}\n").as_bytes()).expect_err(pattern);
        assert_eq!((error.line, error.pattern.as_str()), (3, pattern.trim()));
    }
    let long = Ignore::parse(&vec![b'a'; 70_000]).expect_err("a line longer than Docker's buffer");
    assert_eq!((long.line, long.pattern.len()), (1, 100));
}

#[test]
fn file_that_one_tool_includes_is_not_ignored() {
    for (text, path, docker, buildah) in [
        ("**.log", "a.log", true, false),
        ("a+b", "a+b", true, false),
        ("dir/**", "dir", false, false),
        ("dir", "dir/a", true, true),
        ("*.{log,tmp}", "a.{log,tmp}", true, true),
        ("dir/file\n!dir", "dir/file", true, false),
        (" /dist", "dist", true, false),
        ("*\n! /src", "src", false, true),
        ("\u{feff}*.log", "a.log", true, true),
    ] {
        let ignore = parse(text);
        assert_eq!(
            (ignore.docker_ignores(path), ignore.buildah_ignores(path)),
            (docker, buildah),
            "{text:?} {path}"
        );
        assert_eq!(ignore.ignores(path), docker && buildah, "{text:?} {path}");
    }
    for unknown in [&b"*\n!caf\xe9\n"[..], b"*\na|b*\n", b"*\na\\x41\n"] {
        assert!(!Ignore::parse(unknown).expect("Docker decides").ignores("a"), "{}", unknown.escape_ascii());
    }
    assert!(parse("*\n!a").has_exceptions() && !parse("*").has_exceptions());
}
